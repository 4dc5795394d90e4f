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

/// Looks where else the tool takes datagrams: at other addresses, or a second port. The system says
/// where it does; that is also tried, from each address to itself.
inline void look_for_other_receivers(PairRun& run) {
    using namespace std::chrono_literals;
    auto flow = run.flow();
    const auto own = run.pair().proxy_listen.listen();
    run.step("receives elsewhere",
             fmt::format("the tool receives datagrams at {} and nowhere else", own), Party::client,
             Party::tool);
    std::vector<std::string> elsewhere;
    const auto inodes = detail::inodes_of(detail::pids_of(run.tool().processes()));
    for (const auto& socket : udp_sockets().value_or(std::vector<UdpSocket>{})) {
        // From other ports it sends, and may take answers there from whoever it likes.
        if (detail::contains(inodes, socket.inode) && socket.is_open() &&
            socket.local.port == own.port && socket.local != own) {
            elsewhere.push_back(socket.local.address.text());
        }
    }
    std::vector<DatagramSocket> probes;
    std::vector<std::string> words;
    std::vector<Endpoint> others;
    for (const auto& endpoint : other_endpoints(run.config(), own)) {
        try {
            auto probe = bind_datagrams_to(run.config(), {endpoint.address, 0});
            words.push_back("probe " + hex(run.pattern(words.size()).bytes(0, 8)));
            probe.send(words.back(), endpoint);
            probes.push_back(std::move(probe));
            others.push_back(endpoint);
        } catch (const SystemError&) { // no such address any more, no way there
        }
    }
    while (const auto came = run.receive_at_server(Deadline::unscaled(20ms))) {
        const auto found = std::find(words.begin(), words.end(), came->data);
        if (found == words.end()) {
            throw Unexpected{run.expected(), "a datagram that nobody has sent"};
        }
        elsewhere.push_back(
            others.at(static_cast<std::size_t>(found - words.begin())).address.text());
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
