// The life of one connection: handshake, connecting onwards, relay.

#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>

#include "asked_target.hpp"
#include "associate.hpp"
#include "behaviours.hpp"
#include "binding.hpp"
#include "distortions.hpp"
#include "handshakes.hpp"
#include "http.hpp"
#include "keeping.hpp"
#include "names.hpp"
#include "proxy_header.hpp"
#include "relay.hpp"
#include "sockets.hpp"
#include "socks.hpp"
#include "target_memory.hpp"
#include "upstream.hpp"
#include "working.hpp"

struct Settings {
    Endpoint listen;
    Endpoint source;
    Endpoint target;
    std::string_view mode;
    std::string target_name{}; // empty: it was told an address
    std::optional<Upstream> upstream{};
};

/// For behaviours that would take too long where there are a thousand connections.
inline void pause_mostly_at_first() {
    static std::atomic<int> pauses = 0;
    constexpr int long_ones = 10;
    sleep_for(pauses++ < long_ones ? 200ms : 20ms);
}

/// What it does before it connects onwards, by how many clients there have been, or are.
inline void take_time_to_dial() {
    static std::atomic<unsigned> clients = 0;
    const unsigned earlier = clients++;
    constexpr unsigned many = 10;
    const auto pause = [&](std::chrono::milliseconds duration) {
        sleep_for(earlier < many ? duration : 20ms);
    };
    if (is("slow-first-dial")) {
        pause(earlier == 0 ? 1400ms : 250ms);
    }
    if (is("lazy-and-slow")) {
        pause(200ms);
    }
    if (is("slow-every-second-dial")) {
        pause(earlier % 2 == 0 ? 1100ms : 0ms);
    }
    if (is("slow-at-random")) {
        std::minstd_rand random{earlier + static_cast<unsigned>(::getpid())};
        random.discard(4);
        pause(std::chrono::milliseconds{random() % 1500});
    }
    static std::atomic<unsigned> slow_ones = 0;
    constexpr unsigned some = 5;
    if (is("slow-beside-others") && process.open > 1) {
        sleep_for(slow_ones++ < some ? 2300ms : 20ms);
    }
}

/// A socket that is bound to the outgoing address; `tries` have been in vain for this client.
inline Descriptor outgoing_socket(const Settings& settings, int tries = 0) {
    const auto family =
        settings.upstream ? settings.upstream->at.family() : settings.target.family();
    auto server = new_socket(family);
    set_up_stream(server.get());
    auto source = is("listen-source") ? settings.listen : settings.source;
    if (source.family() != family) {
        return server;
    }
    source.set_port(0);
    static std::atomic<int> connections = 0;
    const bool forgets = is("forgets-source") && ++connections > 2;
    if (!is("wrong-source") && !forgets && !(is("second-try-unbound") && tries > 0)) {
        checked(::bind(server.get(), source.address(), source.length), "bind");
    }
    return server;
}

/// When the other half died first, as far as it was asked.
inline Clock::time_point first_loss() {
    static const auto since = Clock::now();
    return since;
}

/// Does what connect(2) does.
inline int connect_to(int fd, const Endpoint& target) {
    if (!is("spins-when-dialling")) {
        ++process.dialling;
        const int result = ::connect(fd, target.address(), target.length);
        --process.dialling;
        return result;
    }
    checked(::fcntl(fd, F_SETFL, O_NONBLOCK), "fcntl");
    ::connect(fd, target.address(), target.length);
    for (pollfd state{fd, POLLOUT, 0}; ::poll(&state, 1, 0) == 0;) {
    }
    socklen_t length = sizeof errno;
    ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &errno, &length);
    return errno == 0 ? 0 : -1;
}

/// Connects; false: the target can't be reached.
inline bool connect_to_target(const Descriptor& server, const Endpoint& target) {
    if (is("refuses-ever-after") && process.unreachable > 0) {
        return false;
    }
    if (is("stops-after-server-reset") && process.server_resets > 0) {
        return false;
    }
    if (is("gives-other-half-up") && process.lost_halves > 0) {
        return false;
    }
    if (is("shuns-dead-half") && process.lost_halves > 0 && Clock::now() - first_loss() < 13s) {
        return false;
    }
    static std::atomic<int> dials = 0;
    static std::atomic<bool> is_hopeless = false;
    const bool is_first = dials++ == 0;
    if (is("first-dial-decides") && is_hopeless) {
        return false;
    }
    if (is("stops-after-refusals") && process.unreachable >= 10) {
        return false;
    }
    static TargetMemory memory;
    if (memory.keeps_from_dialling()) {
        return false;
    }
    const auto start = Clock::now();
    if (connect_to(server.get(), target) == -1) {
        std::fprintf(stderr, "connect: %s\n", std::generic_category().message(errno).c_str());
        ++process.unreachable;
        is_hopeless = is_hopeless || is_first;
        memory.note_refusal();
        return false;
    }
    memory.note_success();
    return !(is("impatient-dial") && Clock::now() - start >= 100ms);
}

/// Connects to one of the addresses of a name; nothing: none can be reached.
inline std::optional<Descriptor> dial_name(const std::string& name, const Settings& settings) {
    static std::atomic<bool> has_given_up = false;
    if (is("gives-name-up") && has_given_up) {
        return std::nullopt;
    }
    const auto targets = addresses_to_try(name, asked_target.value_or(settings.target));
    int tries = 0;
    for (const auto& target : targets) {
        if (is("late-second-try") && tries > 0) {
            sleep_for(300ms);
        }
        auto server = outgoing_socket(settings, tries++);
        if (connect_to_target(server, target)) {
            return server;
        }
        if (is("hangs-on-second-try") && targets.size() > 1) {
            hang();
        }
        has_given_up = has_given_up || targets.size() > 1;
    }
    if (is("looks-up-when-refused")) {
        name_memories[0].forget();
    }
    return std::nullopt;
}

/// Connects past the upstream proxy.
inline std::optional<Descriptor> dial_past(const Settings& settings) {
    auto server = new_socket(settings.target.family());
    set_up_stream(server.get());
    return connect_to_target(server, settings.target) ? std::optional{std::move(server)}
                                                      : std::nullopt;
}

/// Connects by way of the upstream proxy; nothing: it refuses, or can't be reached.
inline std::optional<Descriptor> dial_upstream(const Settings& settings) {
    const auto& upstream = *settings.upstream;
    if (is("goes-past-on-ipv6") && settings.target.family() == AF_INET6) {
        return dial_past(settings);
    }
    if (is("stops-after-upstream-refusal") && upstream_refusals > 0) {
        return std::nullopt;
    }
    if (is("sounds-target-out")) {
        static const Descriptor sounding{
            ::socket(settings.target.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0)};
        ::connect(sounding.get(), settings.target.address(), settings.target.length);
    }
    if (is("calls-target")) {
        const Descriptor calling{::socket(settings.target.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0)};
        ::sendto(calling.get(), "?", 1, 0, settings.target.address(), settings.target.length);
    }
    if (is("asks-wrong-port-first")) {
        const auto first = outgoing_socket(settings);
        is_first_try = true;
        if (connect_to_target(first, upstream.at)) {
            ask_upstream(first, upstream, settings.target);
        }
        is_first_try = false;
    }
    auto server = outgoing_socket(settings);
    if (!connect_to_target(server, upstream.at)) {
        return is("goes-past-without-upstream") ? dial_past(settings) : std::nullopt;
    }
    if (!ask_upstream(server, upstream, settings.target)) {
        return is("goes-past-when-refused") ? dial_past(settings) : std::nullopt;
    }
    return server;
}

/// Connects onwards, once; nothing: the target can't be reached.
inline std::optional<Descriptor> try_to_dial(const Settings& settings) {
    if (settings.upstream) {
        return dial_upstream(settings);
    }
    const auto& name = asked_name.empty() ? settings.target_name : asked_name;
    if (!name.empty()) {
        return dial_name(name, settings);
    }
    auto server = outgoing_socket(settings);
    return connect_to_target(server, asked_target.value_or(settings.target))
               ? std::optional{std::move(server)}
               : std::nullopt;
}

/// Connects onwards; nothing: the target can't be reached.
inline std::optional<Descriptor> dial(const Settings& settings) {
    const auto patience = is("retries-target") ? 1000ms : 0ms;
    const auto end = Clock::now() + patience;
    for (;;) {
        if (auto server = try_to_dial(settings)) {
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
    if (is("lying-address") || is("meaningless-address")) {
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
           : is("destination-address") ? asked_target.value_or(settings.target)
                                       : source;
}

inline std::unique_ptr<Handshake> new_handshake(std::string_view mode) {
    const bool wants_password = mode.ends_with("-password");
    if (mode.starts_with("socks5") || mode == "associate") {
        return std::make_unique<Socks5Handshake>(
            Socks5Abilities{.wants_password = wants_password,
                            .serves_bind = mode == "socks5-bind",
                            .relays_datagrams = mode == "associate"});
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

/// `success` is what the client would have been told.
inline void refuse_unreachable(Descriptor& client, const std::string& reply,
                               const std::string& success) {
    constexpr int slots = 12;
    if (is("loses-slots-when-unreachable") && process.unreachable >= slots) {
        process.has_stopped = true;
    }
    if (is("leaks-when-unreachable")) {
        keep_descriptor();
    }
    if (is("spins-after-refusal")) {
        work_from_now_on();
    }
    if (is("hangs-when-unreachable")) {
        hang();
    }
    if (is("dies-when-unreachable")) {
        ::_exit(6);
    }
    if (is("tells-upstreams-words")) {
        write_all(client.get(), upstream_words + reply);
        close_politely(client);
        return;
    }
    if (is("succeeds-when-upstream-ends") && upstream_words.empty()) {
        write_all(client.get(), success);
        close_politely(client);
        return;
    }
    if (is("passes-bare-407-on") && upstream_words.find(" 407 ") != std::string::npos) {
        write_all(client.get(),
                  "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
        close_politely(client);
        return;
    }
    if (is("refuses-by-half")) {
        write_all(client.get(), reply.substr(0, 2));
        close_politely(client);
        return;
    }
    if (is("tells-words-after-refusal")) {
        write_all(client.get(), reply + upstream_words);
        close_politely(client);
        return;
    }
    if (is("refuses-slowly")) {
        sleep_for(1200ms);
    }
    const bool is_silent = is("success-without-connecting") || is("success-before-asking") ||
                           is("ends-instead-of-refusing") || is("refuses-slowly");
    if (is("stays-open-after-refusal")) {
        write_all(client.get(), reply);
        hang();
    }
    if (is("ends-late-after-refusal")) {
        write_all(client.get(), reply);
        discard(client.get(), 2s);
        return;
    }
    refuse(client, is_silent ? "" : reply);
}

/// Refuses a client, and connects it nevertheless when the target is there again.
inline std::unique_ptr<Relay> connect_after_refusal(Descriptor client, const std::string& reply,
                                                    const Settings& settings) {
    write_all(client.get(), reply);
    constexpr int tries = 40;
    for (int i = 0; i < tries; ++i) {
        sleep_for(25ms);
        if (auto server = dial(settings)) {
            return std::make_unique<Relay>(std::move(client), std::move(*server));
        }
    }
    return nullptr;
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
        if (is("hangs-on-truncated") || is("leaks-when-cut-short")) {
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
        if (is("leaks-when-refused")) {
            keep_descriptor();
        }
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
    if (settings.mode.starts_with("proxy-both")) {
        write_all(server.get(), header_for_server(peer_endpoint(client.get()), settings.listen));
    }
    if (!data_behind_header.empty()) {
        write_all(server.get(), std::exchange(data_behind_header, {}));
    }
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

/// Works for a moment; true: then the client has ended its direction without a word, and the
/// server's connection is reset.
inline bool gives_up(const Descriptor& client, Descriptor& server) {
    work_for(5ms);
    const bool has_gone = has_ended(client.get());
    if (has_gone) {
        server.reset();
    }
    return has_gone;
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
    take_time_to_dial();
    const auto start = Clock::now();
    const auto success = [&](const Descriptor& socket) {
        const auto source = local_endpoint(socket.get());
        return handshake.reply(Verdict::connected, reported(source, settings));
    };
    if (is("success-before-asking")) {
        write_all(client.get(), handshake.reply(Verdict::connected, any_address(AF_INET, 0)));
    }
    if (is("success-without-connecting")) {
        server = outgoing_socket(settings);
        write_all(client.get(), success(*server)); // it is bound: even the address is true
        if (!connect_to_target(*server, asked_target.value_or(settings.target))) {
            server.reset();
        }
    } else if (!server) {
        server = is("dials-ahead") ? take_from_store(settings) : dial(settings);
    }
    if (!server) {
        const auto refusal = handshake.reply(Verdict::target_refused, {});
        if (is("connects-after-refusal")) {
            return connect_after_refusal(std::move(client), refusal, settings);
        }
        refuse_unreachable(client, refusal,
                           handshake.reply(Verdict::connected, any_address(AF_INET, 0)));
        return nullptr;
    }
    if (is("gives-up-unconnected") && gives_up(client, *server)) {
        return nullptr;
    }
    tell_server(*server, client, settings);
    if (is("loses-early-data") && Clock::now() - start >= 50ms) {
        discard(client.get(), 1ms);
    }
    if (is("loses-much-early-data") && readable_bytes(client.get()) > 16384) {
        discard(client.get(), 1ms);
    }
    if (is("gives-up-ended-client") && Clock::now() - start >= 50ms) {
        pollfd state{client.get(), POLLRDHUP, 0};
        if (::poll(&state, 1, 0) > 0) {
            return nullptr;
        }
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
    auto reply =
        (is("success-before-asking") ? "" : success(*server)) + std::exchange(upstream_rest, {});
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

/// Ends a client that is refused, and passes on nevertheless what it has said.
inline void flush_late(Descriptor client, const Settings& settings) {
    if (!is("header-flushes-late") && !is("header-flushes-half-late")) {
        return;
    }
    client.reset();
    sleep_for(5ms);
    if (const auto server = dial(settings)) {
        write_all(server->get(), data_behind_header);
        is_readable(server->get(), -1);
    }
}

inline std::unique_ptr<Relay> open_connection(Descriptor client, const Settings& settings) {
    asked_name.clear();
    asked_target.reset();
    if (!begins(client)) {
        return nullptr;
    }
    std::optional<Descriptor> early;
    const bool waits =
        is("dials-before-password") || is("dials-before-refusing") || is("header-dials-first");
    if (is("dials-early") || (waits && is_readable(client.get(), -1))) {
        early = dial(settings);
    }
    if (settings.mode.starts_with("proxy-")) {
        try {
            read_client_header(client, settings.mode);
        } catch (const Gone&) {
            flush_late(std::move(client), settings);
            throw;
        }
    }
    const auto handshake = new_handshake(settings.mode);
    if (!is_granted(*handshake, client, settings)) {
        return nullptr;
    }
    if (const auto told = handshake->association()) {
        Association{std::move(client), *told, settings.listen, settings.source}.run();
        return nullptr;
    }
    if (handshake->wants_bind()) {
        return let_be_called(*handshake, std::move(client), settings.source);
    }
    return connect_onwards(*handshake, std::move(client), std::move(early), settings);
}

inline void serve(Descriptor client, const Settings& settings) {
    try {
        if (const auto relay = open_connection(std::move(client), settings)) {
            ++open_targets;
            relay->run();
            --open_targets;
        }
    } catch (const std::exception& error) { // of this connection only
        std::fprintf(stderr, "%s\n", error.what());
    }
    if (is("exits-after-transfer")) {
        ::_exit(5);
    }
    static std::atomic<int> served = 0;
    if ((is("exits-after-work") || is("ends-with-worker")) && ++served == 2) {
        work_for(5ms);
        ::_exit(5);
    }
    if (is("crashes-after-transfer")) {
        crash();
    }
    keep_after_connection();
    work_after_connection();
}
