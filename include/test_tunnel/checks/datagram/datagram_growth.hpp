#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/datagram/datagram_clients.hpp"
#include "test_tunnel/checks/datagram/datagram_reuse.hpp"
#include "test_tunnel/checks/detail/growth.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/process/tool_usage.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Flows of so many clients, all there at once, each of which has been answered.
inline std::vector<Flow> open_and_answer(PairRun& run, std::size_t count) {
    std::vector<Flow> result;
    const auto steps = run.steps();
    for (std::size_t i = 0; i < count; ++i) {
        run.forget_steps(steps);
        result.push_back(run.flow());
    }
    return result;
}

/// Notes where the tool still has open what `count` clients needed that came at `began` and never
/// again: a tool that forgets nobody has less and less left.
inline void note_what_is_kept(PairRun& run, const ToolUsage& before, std::size_t count,
                              Clock::time_point began) {
    const auto now = usage_of(run.tool());
    // Some may have had the port of one that had come before.
    if (now && now->descriptors() >= before.descriptors() + count / 2) {
        run.note(
            fmt::format("what {} clients had open is still open {} later (undeclared: {})", count,
                        text_of(Clock::now() - began), run.wording(trait::flow_timeout.name)),
            trait::flow_timeout.name);
    }
}

/// Has 960 clients come, which have 20 ports in turn, and then as many datagrams that nobody
/// receives: of descriptors, processes and memory there may not be more and more.
inline void come_and_go_by_datagrams(PairRun& run) {
    need_flows_at_once(run);
    constexpr std::size_t ports = 20;
    constexpr int clients = 160;
    constexpr std::size_t once = 64;
    std::vector<Endpoint> own;
    for (const auto& flow : open_and_answer(run, ports)) {
        own.push_back(flow.client.local());
    }
    const auto began = Clock::now();
    const auto before = usage_of(run.tool());
    if (!run.traits().flow_timeout) {
        static_cast<void>(open_and_answer(run, once));
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
    if (before && !run.traits().flow_timeout) {
        note_what_is_kept(run, *before, once, began);
    }
}

inline constexpr Check datagram_growth{
    .id = "datagram.growth",
    .title = "960 clients of the same 20 ports leave no descriptors, processes or memory behind",
    .level = Level::strict,
    .needs = {.udp = true},
    .trait = trait::concurrent.name,
    .run = come_and_go_by_datagrams};

} // namespace test_tunnel::check
