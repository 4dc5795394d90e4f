#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/datagram/datagram_clients.hpp"
#include "test_tunnel/checks/detail/resting.hpp"
#include "test_tunnel/discovery/bind.hpp"
#include "test_tunnel/process/detail/settle.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has clients talk whose datagrams nobody receives: the tool is told so by ICMP. It may tell them,
/// but by no datagram that nobody has sent.
inline void talk_to_nobody(PairRun& run, std::vector<Flow>& flows) {
    using namespace std::chrono_literals;
    run.step("nobody receives", "the clients get no datagram while nobody receives at the target",
             Party::client, Party::tool);
    constexpr int times = 3;
    std::uint64_t number = 100;
    for (int i = 0; i < times; ++i) {
        for (auto& flow : flows) {
            const auto word = "lost " + hex(run.pattern(number++).bytes(0, 8));
            flow.send(word);
            run.expect_again(word); // a slow tool may send it on when somebody receives again
        }
        run.pause(2ms, "the tool to send on what the clients say");
    }
    // One that has not got a CPU before somebody receives again is told of nothing.
    detail::wait_until_idle(run.tool(), 2s);
    for (auto& flow : flows) {
        while (const auto came = run.receive_at_client(flow, Deadline::now())) {
            throw Unexpected{run.expected(), odd_datagram({}, *came)};
        }
        static_cast<void>(flow.client.take_errors());
    }
}

/// Has the server go, and come back, and then clients go while the server talks to them: an error
/// that comes back by ICMP ends nobody else's flow, nor the tool.
inline void meet_errors(PairRun& run) {
    need_flows_at_once(run);
    std::vector<Flow> flows;
    flows.push_back(run.flow());
    flows.push_back(run.flow());
    flows.push_back(run.open_flow()); // it speaks for the first time when nobody is there
    const auto target = run.pair().svc_listen.listen();
    run.datagram_server().close();
    talk_to_nobody(run, flows);
    run.datagram_server() = bind_datagrams_to(run.config(), target);
    run.datagram_server().supervise(run.supervisor());
    for (auto& flow : flows) {
        run.step("served again", "a client is served when somebody receives at the target again",
                 Party::client, Party::server);
        run.round_trip(flow);
        run.forgive_losses(); // the first one may meet an error that has come back before
    }
    run.flow_sentinel();

    auto gone = run.flow();
    gone.client.close();
    run.step("client gone", "the tool goes on when a client has gone to which the server talks",
             Party::server, Party::tool);
    constexpr int times = 5;
    for (int i = 0; i < times; ++i) {
        run.datagram_server().send("lost " + hex(run.pattern(200 + std::uint64_t(i)).bytes(0, 8)),
                                   gone.source.value());
    }
    run.round_trip(flows.front());
    run.flow_sentinel();
    try {
        demand_rest(run, "errors have come back and nobody says anything");
    } catch (const BusyPolls&) { // for other checks to say
    }
}

inline constexpr Check datagram_unreachable{
    .id = "datagram.unreachable",
    .title = "a server, or a client, that is not there (ICMP) ends nobody; then all are served",
    .needs = {.udp = true},
    .trait = trait::concurrent.name,
    .run = meet_errors};

} // namespace test_tunnel::check
