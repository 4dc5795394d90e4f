#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/detail/datagram_burst.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/discovery/bind.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Strangers send to where the tool expects the server's answers: from another port of the server's
/// address, and from another address. None of that may come to the client, before and after the
/// server's own answer; the flow goes on.
inline void send_as_strangers(PairRun& run) {
    using namespace std::chrono_literals;
    auto flow = run.open_flow();
    if (flow.control) {
        throw NotApplicable{"with each answer, it tells the client who has sent it"};
    }
    const auto& server = run.pair().svc_listen;
    run.step("word", "what the client says arrives at the server", Party::client, Party::server);
    run.carry(flow, Party::client, "hello " + hex(run.pattern(0).bytes(0, 8)));

    std::vector<DatagramSocket> strangers;
    strangers.push_back(bind_datagrams_to(run.config(), {server.address, 0}));
    strangers.push_back(bind_datagrams_to(run.config(), {server.clients.front(), 0}));
    std::uint64_t number = 1;
    bool drops = true;
    const auto intrude = [&] {
        run.step("strangers", "the client gets nothing of what others than the server send",
                 Party::server, Party::client);
        std::vector<std::string> words{""};
        for (auto& stranger : strangers) {
            words.push_back("stranger " + hex(run.pattern(number++).bytes(0, 8)));
            stranger.send(words.back(), flow.source.value());
            stranger.send("", flow.source.value());
        }
        const auto is_strangers = [&](const std::string& data) {
            return std::find(words.begin(), words.end(), data) != words.end();
        };
        auto wait = run.begin_wait(run.wait(300ms));
        while (const auto came = run.receive_at_client(flow, wait)) {
            if (run.traits().drops_strangers != false || !is_strangers(came->data)) {
                throw Unexpected{
                    run.expected(),
                    fmt::format("{}\na tool that passes on what anybody sends has to declare {}",
                                odd_datagram({}, *came),
                                run.wording(trait::drops_strangers, false))};
            }
            drops = false;
        }
        run.require_no_datagram({});
    };
    intrude(); // before anything has come from the server
    run.step("answer", "the server's answer arrives", Party::server, Party::client);
    run.carry(flow, Party::server, "answer " + hex(run.pattern(100).bytes(0, 8)));
    run.round_trip(flow);
    intrude();
    run.round_trip(flow);
    run.judge(trait::drops_strangers, drops);
}

inline constexpr Check datagram_strangers{
    .id = "datagram.strangers",
    .title = "what others than the server send to the tool does not come to a client",
    .needs = {.udp = true},
    .trait = trait::drops_strangers.name,
    .run = send_as_strangers};

} // namespace test_tunnel::check
