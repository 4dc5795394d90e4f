// The life of one connection: handshake, connecting onwards, relay.

#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "behaviours.hpp"
#include "distortions.hpp"
#include "handshakes.hpp"
#include "http.hpp"
#include "relay.hpp"
#include "sockets.hpp"
#include "socks.hpp"

struct Settings {
    Endpoint listen;
    Endpoint source;
    Endpoint target;
    std::string_view mode;
};

/// For behaviours that would take too long where there are a thousand connections.
inline void pause_mostly_at_first() {
    static std::atomic<int> pauses = 0;
    constexpr int long_ones = 10;
    sleep_for(pauses++ < long_ones ? 200ms : 20ms);
}

/// A socket that is bound to the outgoing address.
inline Descriptor outgoing_socket(const Settings& settings) {
    auto server = new_socket(settings.target.family());
    set_up_stream(server.get());
    auto source = is("listen-source") ? settings.listen : settings.source;
    source.set_port(0);
    static std::atomic<int> connections = 0;
    const bool forgets = is("forgets-source") && ++connections > 2;
    if (!is("wrong-source") && !forgets) {
        checked(::bind(server.get(), source.address(), source.length), "bind");
    }
    return server;
}

/// Connects; false: the target can't be reached.
inline bool connect_to_target(const Descriptor& server, const Settings& settings) {
    if (is("refuses-ever-after") && process.unreachable > 0) {
        return false;
    }
    if (is("stops-after-server-reset") && process.server_resets > 0) {
        return false;
    }
    const auto start = Clock::now();
    if (::connect(server.get(), settings.target.address(), settings.target.length) == -1) {
        std::fprintf(stderr, "connect: %s\n", std::generic_category().message(errno).c_str());
        ++process.unreachable;
        return false;
    }
    return !(is("impatient-dial") && Clock::now() - start >= 100ms);
}

/// Connects onwards; nothing: the target can't be reached.
inline std::optional<Descriptor> dial(const Settings& settings) {
    const auto patience = is("retries-target") ? 1000ms : 0ms;
    const auto end = Clock::now() + patience;
    for (;;) {
        auto server = outgoing_socket(settings);
        if (connect_to_target(server, settings)) {
            return server;
        }
        if (Clock::now() >= end) {
            return std::nullopt;
        }
        sleep_for(100ms);
    }
}

/// Connects onwards, or takes a connection that was made before it was needed; makes the next one.
inline std::optional<Descriptor> take_from_store(const Settings& settings) {
    static std::mutex mutex;
    static std::optional<Descriptor> stored;
    const std::lock_guard lock{mutex};
    auto taken = std::exchange(stored, std::nullopt);
    if (taken) {
        pollfd state{taken->get(), POLLRDHUP, 0};
        if (::poll(&state, 1, 0) > 0) {
            taken.reset(); // the target has closed it
        }
    }
    if (!taken) {
        taken = dial(settings);
    }
    if (taken) {
        stored = dial(settings);
    }
    return taken;
}

/// What the client is told that the outgoing side's address is.
inline Endpoint reported(Endpoint source, const Settings& settings) {
    if (is("lying-address")) {
        const bool is_ipv4 = source.family() == AF_INET;
        return parse_endpoint(is_ipv4 ? "203.0.113.7" : "2001:db8:ffff::7", source.port());
    }
    if (is("null-address")) {
        return any_address(AF_INET, 0);
    }
    if (is("lying-port")) {
        source.set_port(static_cast<std::uint16_t>(source.port() + 1));
    }
    return is("listener-address")      ? settings.listen
           : is("destination-address") ? settings.target
                                       : source;
}

inline std::unique_ptr<Handshake> new_handshake(std::string_view mode) {
    const bool wants_password = mode.ends_with("-password");
    if (mode.starts_with("socks5")) {
        return std::make_unique<Socks5Handshake>(wants_password);
    }
    if (mode.starts_with("connect")) {
        return std::make_unique<HttpHandshake>(wants_password);
    }
    if (mode == "socks4") {
        return std::make_unique<Socks4Handshake>();
    }
    return std::make_unique<PlainHandshake>(mode == "announce");
}

/// Tells the client that it won't be connected.
inline void refuse(Descriptor& client, const std::string& reply) {
    if (!reply.empty()) {
        write_all(client.get(), reply);
        close_politely(client);
    } else if (is("refuses-by-end")) {
        close_politely(client);
    } else {
        client.reset();
    }
}

inline void refuse_unreachable(Descriptor& client, const std::string& reply) {
    if (is("hangs-when-unreachable")) {
        hang();
    }
    if (is("dies-when-unreachable")) {
        ::_exit(6);
    }
    refuse(client, is("success-without-connecting") ? "" : reply);
}

/// Faults of those that do not even begin; false: the connection is over.
inline bool begins(Descriptor& client) {
    set_up_stream(client.get());
    if (is("closes-client")) {
        return false;
    }
    if (is("resets-client")) {
        client.reset();
        return false;
    }
    if (is("never-speaks")) {
        hang();
    }
    if (is("greets-early")) {
        write_all(client.get(), "220 welcome\n");
    }
    while (is("floods")) {
        write_all(client.get(), "y");
    }
    if (is("limits-silent")) {
        is_readable(client.get(), -1);
        --process.not_asked;
    }
    return true;
}

/// Reads what the client asks for; false: it was refused.
inline bool is_granted(Handshake& handshake, Descriptor& client, const Settings& settings) {
    bool is_good = false;
    try {
        is_good = handshake.read_request(client.get(), settings.target);
    } catch (const Gone&) {
        if (is("serves-truncated")) {
            return true;
        }
        if (is("hangs-on-truncated")) {
            hang();
        }
        throw;
    }
    if (is("accepts-bad-requests")) {
        return true;
    }
    if (!is_good || !handshake.is_allowed()) {
        if (is("hangs-on-nonsense")) {
            hang();
        }
        process.has_stopped = process.has_stopped || is("stops-after-nonsense");
        if (is("crashes-on-nonsense")) {
            crash();
        }
    }
    if (!is_good) {
        close_politely(client);
        return false;
    }
    if (!handshake.is_allowed()) {
        refuse(client, handshake.reply(Verdict::not_allowed, {}));
        return false;
    }
    return true;
}

/// What the server is told first: where FAULTY_TUNNEL_PROXY is set, a header of the PROXY protocol,
/// version 1, which is true where that is "true", and else what it says.
inline void tell_server(const Descriptor& server, const Descriptor& client,
                        const Settings& settings) {
    const char* variable = ::getenv("FAULTY_TUNNEL_PROXY"); // NOLINT(concurrency-mt-unsafe)
    const std::string_view how = variable == nullptr ? "" : variable;
    if (how.empty() || how == "silence") {
        return;
    }
    auto source = peer_endpoint(client.get()); // throws where it has gone
    if (how == "wrong-port") {
        source.set_port(static_cast<std::uint16_t>(source.port() ^ 1U));
    }
    const auto header =
        how == "unknown" ? std::string{"PROXY UNKNOWN\r\n"}
        : how == "garbage"
            ? std::string{"HELO tunnel\r\n"}
            : "PROXY TCP" + std::string{source.family() == AF_INET ? "4 " : "6 "} +
                  (how == "wrong-address" ? settings.listen : source).address_text() + ' ' +
                  settings.listen.address_text() + ' ' + std::to_string(source.port()) + ' ' +
                  std::to_string(settings.listen.port()) + "\r\n";
    write_all(server.get(), how == "half" ? header.substr(0, header.size() / 2) : header);
}

/// Connects onwards and tells the client; nothing: it was refused.
inline std::unique_ptr<Relay> connect_onwards(const Handshake& handshake, Descriptor client,
                                              std::optional<Descriptor> server,
                                              const Settings& settings) {
    if (is("never-connects")) {
        hang();
    }
    if (is("slow-dial")) {
        pause_mostly_at_first();
    }
    const auto start = Clock::now();
    const auto success = [&](const Descriptor& socket) {
        const auto source = local_endpoint(socket.get());
        return handshake.reply(Verdict::connected, reported(source, settings));
    };
    if (is("success-without-connecting")) {
        server = outgoing_socket(settings);
        write_all(client.get(), success(*server)); // it is bound: even the address is true
        if (!connect_to_target(*server, settings)) {
            server.reset();
        }
    } else if (!server) {
        server = is("dials-ahead") ? take_from_store(settings) : dial(settings);
    }
    if (!server) {
        refuse_unreachable(client, handshake.reply(Verdict::target_refused, {}));
        return nullptr;
    }
    tell_server(*server, client, settings);
    if (is("loses-early-data") && Clock::now() - start >= 50ms) {
        discard(client.get(), 1ms);
    }
    if (is("loses-data-after-request")) {
        discard(client.get(), 20ms);
    }
    if (is("late-reply")) {
        pause_mostly_at_first();
    }
    if (is("data-before-reply") && is_readable(server->get(), 50)) {
        char data[4096];
        const auto count = ::recv(server->get(), data, sizeof data, 0);
        write_all(client.get(), {data, static_cast<std::size_t>(std::max<ssize_t>(count, 0))});
    }
    if (is("mangles-early-data") && is_readable(client.get(), 20)) {
        const auto byte = read_exactly(client.get(), 1)[0];
        write_all(server->get(), std::string(1, static_cast<char>(byte ^ 1)));
    }
    auto reply = success(*server);
    reply += is("stray-byte-after-reply") ? "!" : is("replies-twice") ? reply : "";
    if (is("glued-reply")) {
        return std::make_unique<Relay>(std::move(client), std::move(*server), reply);
    }
    if (!is("success-without-connecting")) {
        write_all(client.get(), reply);
    }
    if (is("loses-first-data") && is_readable(server->get(), 50)) {
        discard(server->get(), 1ms);
    }
    return is("success-then-close")
               ? nullptr
               : std::make_unique<Relay>(std::move(client), std::move(*server));
}

inline std::unique_ptr<Relay> open_connection(Descriptor client, const Settings& settings) {
    if (!begins(client)) {
        return nullptr;
    }
    std::optional<Descriptor> early;
    const bool waits = is("dials-before-password") || is("dials-before-refusing");
    if (is("dials-early") || (waits && is_readable(client.get(), -1))) {
        early = dial(settings);
    }
    const auto handshake = new_handshake(settings.mode);
    if (!is_granted(*handshake, client, settings)) {
        return nullptr;
    }
    return connect_onwards(*handshake, std::move(client), std::move(early), settings);
}

inline void serve(Descriptor client, const Settings& settings) {
    try {
        if (const auto relay = open_connection(std::move(client), settings)) {
            relay->run();
        }
    } catch (const std::exception& error) { // of this connection only
        std::fprintf(stderr, "%s\n", error.what());
    }
    if (is("exits-after-transfer")) {
        ::_exit(5);
    }
    static std::atomic<int> served = 0;
    if ((is("exits-after-work") || is("ends-with-worker")) && ++served == 2) {
        for (const auto end = Clock::now() + 5ms; Clock::now() < end;) {
        }
        ::_exit(5);
    }
    if (is("crashes-after-transfer")) {
        crash();
    }
}
