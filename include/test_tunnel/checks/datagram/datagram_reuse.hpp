#pragma once

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "test_tunnel/base/error.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/datagram/datagram_clients.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// A further flow whose client is at `endpoint`; nothing where some other program is there.
inline std::optional<Flow> flow_from(PairRun& run, const Endpoint& endpoint) {
    try {
        return run.open_flow(endpoint);
    } catch (const SystemError& error) {
        if (error.code() != EADDRINUSE) {
            throw;
        }
        return std::nullopt;
    }
}

/// Has a client's port be used again later by somebody else; then the same port number be used at
/// once by clients of two addresses, and neighbouring ones of one address: a tool that knows its
/// clients by less than their address and port gives one the other one's answers.
inline void use_ports_again(PairRun& run) {
    need_flows_at_once(run);
    auto first = run.flow();
    if (first.control) {
        throw NotApplicable{"it knows its clients by their connections, and not by their ports"};
    }
    const auto own = first.client.local();
    first.client.close();
    run.step("again", "somebody else who has the port of a client that has gone is served",
             Party::client, Party::server);
    std::vector<Flow> flows;
    for (int i = 0; i < 4; ++i) {
        flows.clear();
        auto again = flow_from(run, own);
        if (!again) {
            throw NotApplicable{
                fmt::format("some other program has taken the client's port, {}", own)};
        }
        run.round_trip(*again);
        flows.push_back(*std::move(again));
    }
    // Where the tool listens, a client can be, too.
    const auto other = run.pair().proxy_listen.address;
    if (other != own.address && other.family() == own.address.family()) {
        if (auto flow = flow_from(run, {other, own.port})) {
            flows.push_back(*std::move(flow));
        }
    }
    flows.push_back(run.open_flow({own.address, 0}));
    flows.push_back(run.open_flow({own.address, 0}));
    std::uint64_t number = 1000;
    for (int round = 0; round < 3; ++round) {
        talk_at_once(run, flows, number += 100);
    }
}

inline constexpr Check datagram_reuse{
    .id = "datagram.reuse",
    .title = "clients with the port of one that has gone, or of one at another address, are served",
    .needs = {.udp = true},
    .trait = trait::concurrent.name,
    .run = use_ports_again};

} // namespace test_tunnel::check
