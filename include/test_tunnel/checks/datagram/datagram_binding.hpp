#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/address/address_binding.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/discovery/bind.hpp"
#include "test_tunnel/kernel/udp_sockets.hpp"
#include "test_tunnel/process/detail/listeners.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Returns where else the tool takes datagrams, as the system tells: at other addresses, or a
/// second port.
inline std::vector<std::string> other_receivers(PairRun& run, const Flow& flow) {
    const auto own = flow.relay;
    std::vector<std::string> result;
    const auto inodes = detail::inodes_of(detail::pids_of(run.tool().processes()));
    for (const auto& socket : udp_sockets().value_or(std::vector<UdpSocket>{})) {
        // From other ports it sends, and may take answers there from whoever it likes; of an
        // association, it may do so from this port of another address.
        if (detail::contains(inodes, socket.inode) && socket.is_open() &&
            socket.local.port == own.port && socket.local != own &&
            (!flow.control || socket.local.address.is_unspecified())) {
            result.push_back(socket.local.address.text());
        }
    }
    for (const auto& other : run.other_receivers()) {
        if (!flow.control && other.port != own.port && !run.may_listen_on(other.port)) {
            result.push_back(other.text());
        }
    }
    return result;
}

/// Looks where else the tool takes datagrams: the system says where it does; that is also tried,
/// from each address to itself.
inline void look_for_other_receivers(PairRun& run) {
    using namespace std::chrono_literals;
    auto flow = run.flow();
    const auto own = flow.relay;
    run.step("receives elsewhere",
             fmt::format("the tool receives datagrams at {} and nowhere else", own), Party::client,
             Party::tool);
    auto elsewhere = other_receivers(run, flow);
    std::vector<DatagramSocket> probes;
    std::vector<std::string> words;
    std::vector<Endpoint> others;
    for (const auto& endpoint : other_endpoints(run.config(), own)) {
        try {
            auto probe = bind_datagrams_to(run.config(), {endpoint.address, 0});
            const auto word = "probe " + hex(run.pattern(words.size()).bytes(0, 8));
            probe.send(flow.layer ? flow.layer->encode(word, flow.target) : word, endpoint);
            probes.push_back(std::move(probe));
            words.push_back(word);
            others.push_back(endpoint);
        } catch (const SystemError&) { // no such address any more, no way there
        }
    }
    auto wait = run.begin_wait(run.patience_of_at_least(20ms));
    while (const auto came = run.receive_at_server(wait)) {
        const auto found = std::find(words.begin(), words.end(), came->data);
        if (found != words.end()) {
            elsewhere.push_back(
                others.at(static_cast<std::size_t>(found - words.begin())).address.text());
        } else if (!run.has_been_sent_twice(came->data)) {
            throw Unexpected{run.expected(), "a datagram that nobody has sent"};
        }
    }
    for (const auto& word : words) {
        run.expect_again(word); // it may come late
    }
    std::sort(elsewhere.begin(), elsewhere.end());
    elsewhere.erase(std::unique(elsewhere.begin(), elsewhere.end()), elsewhere.end());
    run.judge(trait::binds_listener, elsewhere.empty(),
              elsewhere.empty() ? std::string{}
                                : fmt::format("{}, not at {}", trait::binds_listener.subject,
                                              joined(elsewhere, ", ")));
    run.round_trip(flow);
}

inline constexpr Check datagram_binding{
    .id = "datagram.binding",
    .title = "the tool receives datagrams at the address that it was given, and nowhere else",
    .needs = {.udp = true},
    .trait = trait::binds_listener.name,
    .run = look_for_other_receivers};

} // namespace test_tunnel::check
