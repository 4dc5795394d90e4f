#pragma once

#include "test_tunnel/checks/detail/associations.hpp"

namespace test_tunnel::check {

/// Has two associations at once, each of which gets the answers to what it has said.
inline void keep_apart(PairRun& run) {
    need_several_associations(run);
    Words words{run};
    auto first = run.flow();
    auto second = run.flow();
    run.step("both speak", "what the clients of two associations say arrives", Party::client,
             Party::server);
    demand_only(run, first, words.next());
    demand_only(run, second, words.next());
    run.step("both are answered", "each client gets the answer to what it has said", Party::server,
             Party::client);
    demand_answer(run, first, words.next());
    demand_answer(run, second, words.next());
    run.require_no_datagram({&first, &second});
}

inline constexpr Check associate_apart{
    .id = "associate.apart",
    .title = "of two SOCKS5 associations, each gets the answers to what it has said",
    .needs = {.udp = true},
    .trait = trait::concurrent.name,
    .run = keep_apart};

} // namespace test_tunnel::check
