#pragma once

#include "test_tunnel/checks/detail/associations.hpp"
#include "test_tunnel/run/detail/association.hpp"

namespace test_tunnel::check {

/// Has a client ask for an association that can't tell from where its datagrams will come, and
/// tells zeros, as RFC 1928 §6 wants it.
inline void tell_zeros(PairRun& run) {
    const auto options = need_associations(run);
    auto flow = test_tunnel::detail::open_association(run, options,
                                                      test_tunnel::detail::ToldClient::nothing);
    run.step("word", "a client is served that has told zeros as its address and port (§6)",
             Party::client, Party::server);
    Words words{run};
    run.carry(flow, Party::client, words.next());
    run.step("answer", "a client is answered that has told zeros as its address and port (§6)",
             Party::server, Party::client);
    demand_answer(run, flow, words.next());
}

inline constexpr Check associate_unknown_client{
    .id = "associate.unknown_client",
    .title = "a SOCKS5 client that tells zeros as the address of its datagrams is served",
    .needs = {.udp = true},
    .run = tell_zeros};

} // namespace test_tunnel::check
