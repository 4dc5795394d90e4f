#pragma once

// A client of a tool that is not told yet whether it is connected.

#include <poll.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <variant>

#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/handshake_client.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Connects a client, which asks for the target without waiting for the last answer.
inline Socket connect_asking(PairRun& run) {
    auto client = run.open_client();
    run.expect_arrival();
    const auto& protocol = run.protocol();
    if (!std::holds_alternative<std::monostate>(protocol)) {
        const auto script = script_of(protocol, run.pair().svc_listen.listen());
        for (const auto& message : {script.greeting, script.credentials}) {
            if (!message.empty()) {
                constexpr std::size_t answer = 2; // RFC 1928 §3, RFC 1929 §2
                client.write(message);
                static_cast<void>(client.read(answer));
            }
        }
        client.write(script.request);
    } else if (run.speaks_first()) {
        client.write("Is anybody there?\n");
    }
    return client;
}

/// Waits until the connection of a client has ended. A tool that has a handshake with its client
/// may say there that it refuses; another one has nothing to say.
inline void demand_end_of_client(PairRun& run, Socket& client) {
    const auto patience = run.config().timeouts.io;
    const auto deadline = Deadline::after(patience);
    if (std::holds_alternative<std::monostate>(run.protocol())) {
        if (!await_ending(run, client, deadline)) {
            throw Unexpected{run.expected(),
                             fmt::format("nothing came for {}", text_of(scaled(patience))),
                             Cause::timed_out};
        }
        return;
    }
    std::array<char, 4096> bytes{};
    try {
        while (run.wait_for(client.event(POLLIN), deadline, "the end of the client's connection")) {
            if (client.read_some(bytes.data(), bytes.size()) == 0) {
                return;
            }
        }
    } catch (const SystemError&) { // a reset tells it, too
        return;
    }
    throw Unexpected{run.expected(),
                     fmt::format("it had not ended after {}", text_of(scaled(patience))),
                     Cause::timed_out};
}

/// Whether the tool tells a client, within a moment, that it is not connected: by what it says in
/// its handshake, or by the end of the connection.
inline bool has_refused(PairRun& run, Socket& client) {
    using namespace std::chrono_literals;
    if (!run.wait_for(client.event(POLLIN), Deadline::unscaled(run.wait(1s)), "a refusal")) {
        return false;
    }
    const auto& protocol = run.protocol();
    try {
        if (std::holds_alternative<Socks5Options>(protocol)) {
            detail::read_socks5_reply(client);
            return false;
        }
        if (std::holds_alternative<Socks4Options>(protocol)) {
            detail::read_socks4_reply(client);
            return false;
        }
        if (const auto* const http = std::get_if<HttpConnectOptions>(&protocol)) {
            detail::read_http_answer(client, http->version);
            return false;
        }
        return await_ending(run, client, Deadline::now()).has_value();
    } catch (const HandshakeRefused&) {
        return true;
    }
}

} // namespace test_tunnel::check
