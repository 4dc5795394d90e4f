#pragma once

#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has two clients, one after the other, and then the first one again, say a word and be answered.
inline void say_hello_by_datagrams(PairRun& run) {
    auto first = run.flow();
    if (run.traits().concurrent == false) {
        run.round_trip(first);
        run.step("no further datagrams", "nothing arrives that nobody has sent");
        run.require_no_datagram({&first});
        return;
    }
    auto second = run.flow();
    run.round_trip(first);
    run.step("no further datagrams", "nothing arrives that nobody has sent", Party::tool,
             Party::client);
    run.require_no_datagram({&first, &second});
}

inline constexpr Check datagram_hello{
    .id = "datagram.hello",
    .title = "one datagram goes each way, the answer from where the tool listens; no others come",
    .level = Level::hello,
    .needs = {.udp = true},
    .trait = trait::answers_from_listener.name,
    .run = say_hello_by_datagrams};

} // namespace test_tunnel::check
