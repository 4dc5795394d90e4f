#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/kernel/tcp_sockets.hpp"
#include "test_tunnel/net/socket.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// "not on the one to the client"; where it is, when it asks.
inline std::string keep_alive_text(const std::optional<Duration>& asks_in, std::string_view side) {
    return asks_in ? fmt::format("to the {} it asks in {}", side, text_of(*asks_in))
                   : fmt::format("not on the one to the {}", side);
}

/// Judges whether the tool would notice that an end of this connection has vanished, by the timers
/// of its sockets: for that, nothing may have been said for a while. Where the system can't tell,
/// nothing is judged.
inline void judge_keep_alive(PairRun& run, const Connection& silent) {
    const auto to_client = tcp_connection(silent.client.peer(), silent.client.local());
    const auto to_server = tcp_connection(silent.server.peer(), silent.server.local());
    if (!to_client || !to_server) {
        return;
    }
    const bool both = to_client->asks_in && to_server->asks_in;
    const bool none = !to_client->asks_in && !to_server->asks_in;
    const auto subject = none ? std::string{trait::keep_alive.subject}
                              : fmt::format("{} ({}, {})", trait::keep_alive.subject,
                                            keep_alive_text(to_client->asks_in, "client"),
                                            keep_alive_text(to_server->asks_in, "server"));
    run.judge(trait::keep_alive, both, subject);
}

} // namespace test_tunnel::check
