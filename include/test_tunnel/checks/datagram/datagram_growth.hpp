#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "test_tunnel/checks/datagram/datagram_clients.hpp"
#include "test_tunnel/checks/datagram/datagram_reuse.hpp"
#include "test_tunnel/checks/detail/growth.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has 960 clients come, which have 20 ports in turn, and then as many datagrams that nobody
/// receives: of descriptors, processes and memory there may not be more and more.
inline void come_and_go_by_datagrams(PairRun& run) {
    need_flows_at_once(run);
    constexpr std::size_t ports = 20;
    constexpr int clients = 160;
    std::vector<Endpoint> own;
    {
        std::vector<Flow> flows;
        for (std::size_t i = 0; i < ports; ++i) {
            flows.push_back(run.flow());
            own.push_back(flows.back().client.local());
        }
    }
    std::size_t next = 0;
    // From the next of these ports; some other program may have taken it meanwhile.
    const auto come = [&] {
        for (std::size_t tries = 0; tries < own.size(); ++tries) {
            if (auto flow = flow_from(run, own[next++ % own.size()])) {
                return *std::move(flow);
            }
        }
        throw NotApplicable{"other programs have taken all of the clients' ports"};
    };
    demand_no_growth(run, "clients that have 20 ports in turn",
                     [&] {
                         auto flow = come();
                         run.round_trip(flow);
                     },
                     {.clients = clients});
    demand_no_growth(run, "clients that go before they are answered",
                     [&] {
                         auto flow = come();
                         run.carry(flow, Party::client,
                                   "word " + hex(run.pattern(next).bytes(0, 8)));
                         flow.client.close();
                         run.datagram_server().send("lost", flow.source.value());
                     },
                     {.clients = clients});
}

inline constexpr Check datagram_growth{
    .id = "datagram.growth",
    .title = "960 clients of the same 20 ports leave no descriptors, processes or memory behind",
    .level = Level::strict,
    .needs = {.udp = true},
    .trait = trait::concurrent.name,
    .run = come_and_go_by_datagrams};

} // namespace test_tunnel::check
