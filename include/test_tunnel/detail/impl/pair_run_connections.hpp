#pragma once

// How PairRun makes connections and what it asks of them.

#include <chrono>
#include <exception>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "../../tunnel.hpp"
#include "../inline.hpp"
#include "../text.hpp"
#include "../unread.hpp"
#include "../verdict.hpp"

namespace test_tunnel {

TEST_TUNNEL_INLINE Connection PairRun::connect() {
    const int before = server_ ? connections_ : 0;
    try {
        auto connection = tunnel_.connect(*this);
        if (before > 0 && traits_.serves_again == false) {
            judge<bool>("serves_again", "a further connection when the first one has ended",
                        traits_.serves_again, true, true);
        }
        return connection;
    } catch (const SetupError&) {
        throw;
    } catch (const std::exception&) { // whatever a hook makes of it
        if (before == 0 && may_have_been_too_early()) {
            return connect_when_settled();
        }
        if (before != 1 || !has_ended_well()) {
            throw;
        }
    }
    connections_ = before;
    serves_just_one();
    return tunnel_.connect(*this);
}

/// Whether a tool that was just started reset its first connection. Some listen in one process
/// until another one does, or anew when they have dropped their privileges; the connections that
/// have come in before are lost.
TEST_TUNNEL_INLINE bool PairRun::may_have_been_too_early() {
    constexpr auto moment = std::chrono::seconds{1};
    return was_reset_ && !settles_ && server_ && server_->running() &&
           server_->processes().front().run_time() < detail::scaled(moment);
}

/// The tool is started anew: if it was too early, then its first connection now, a moment later, is
/// served.
TEST_TUNNEL_INLINE Connection PairRun::connect_when_settled() {
    settles_ = true;
    drop();
    auto connection = tunnel_.connect(*this);
    note(
        "it resets connections that are made within a moment of its start: it listens before it is "
        "ready");
    return connection;
}

TEST_TUNNEL_INLINE std::optional<Connection> PairRun::connect_within(Duration patience) {
    const auto deadline = Deadline::after(patience);
    patience_ = patience;
    std::optional<Connection> result;
    try {
        result = tunnel_.connect(*this);
    } catch (const SetupError&) {
        throw;
    } catch (const std::exception&) { // whatever a hook makes of it
        patience_.reset();
        if (!deadline.passed()) {
            throw;
        }
        discard();
    }
    patience_.reset();
    return result;
}

TEST_TUNNEL_INLINE void PairRun::serves_at_most(std::size_t count) {
    most_at_once_ = count;
    note(fmt::format("it serves {} connections at once, and has others wait", count), "concurrent");
}

TEST_TUNNEL_INLINE Socket PairRun::connect_client() {
    return tunnel_.connect_client(*this);
}

TEST_TUNNEL_INLINE Protocol PairRun::protocol() const {
    return tunnel_.protocol();
}

TEST_TUNNEL_INLINE Socket PairRun::open_client() {
    auto client = connect_client();
    tunnel_.open_client(client);
    return client;
}

TEST_TUNNEL_INLINE std::optional<Endpoint> PairRun::handshake(Socket& client) {
    step("handshake", "the tool does its part of the handshake", Party::client);
    tunnel_.open_client(client);
    return tunnel_.handshake(client, pair_.svc_listen);
}

TEST_TUNNEL_INLINE std::optional<Socket> PairRun::try_accept() {
    auto server = listener().try_accept();
    if (server) {
        open_server(*server);
    }
    return server;
}

/// `client` is known where only one could have been meant.
TEST_TUNNEL_INLINE void PairRun::open_server(Socket& server,
                                             const std::optional<Endpoint>& client) {
    const auto name_step = [&](std::string expected) {
        step("opening", std::move(expected), Party::tool, Party::server);
    };
    std::optional<Endpoint> told;
    server.set_timeout(patience_.value_or(config().timeouts.io));
    try {
        told = tunnel_.open_server(server);
    } catch (const std::exception&) { // whatever a hook makes of it
        name_step("the tool opens its connection to the server as the server is told to demand");
        throw;
    }
    server.set_timeout(config().timeouts.io);
    if (!told) {
        return;
    }
    const auto& address = pair_.proxy_listen.clients.front();
    name_step(fmt::format("the tool tells the server that its client is {}",
                          client ? client->text() : fmt::format("at {}", address)));
    // Without their scopes, which no protocol carries.
    const bool is_same = told->address.packed() == address.packed();
    if (!is_same || (client && told->port != client->port)) {
        throw Unexpected{expected(), fmt::format("it says {}", *told)};
    }
}

TEST_TUNNEL_INLINE Socket PairRun::accept(Socket& client) {
    return tunnel_.accept(*this, client);
}

TEST_TUNNEL_INLINE void PairRun::require_silence(std::vector<Socket*> sockets, Duration duration) {
    std::vector<detail::SocketEvent> events;
    events.reserve(sockets.size());
    for (const auto* socket : sockets) {
        events.push_back(socket->event(POLLIN));
    }
    if (detail::stays_silent(server(), events, duration, watch().lock().get())) {
        return;
    }
    for (std::size_t i = 0; i < events.size(); ++i) {
        if (events[i].revents != 0) {
            std::array<char, 256> bytes{};
            std::string what;
            try {
                const auto count = sockets[i]->read_some(bytes.data(), bytes.size());
                what = count == 0 ? "the end of the stream"
                                  : detail::bytes_around({bytes.data(), count}, 0);
            } catch (const SystemError& error) {
                what = error.what();
            }
            throw Unexpected{expected(), what};
        }
    }
}

TEST_TUNNEL_INLINE void PairRun::require_no_stranger() {
    if (const auto stranger = listener().try_accept()) {
        throw Unexpected{
            "the tool connects to the server once for each client",
            fmt::format("a connection from {} that no client has asked for", stranger->peer())};
    }
}

TEST_TUNNEL_INLINE void PairRun::demand_end(Socket& reader, std::string_view name) {
    if (traits_.passes_eof.value_or(true)) {
        try {
            tunnel_.expect_read(reader, {}, name);
        } catch (const TimedOut& error) {
            throw Unexpected{fmt::format("{}: the end of the stream", name),
                             fmt::format("{}; a tool that does not pass it on has to declare "
                                         "Traits::passes_eof = false",
                                         error.what())};
        }
        return;
    }
    using namespace std::chrono_literals;
    const bool ended =
        detail::wait_for_socket(reader.event(POLLIN), Deadline{Clock::now() + wait(1s)},
                                watch().lock().get(), "the end of the stream");
    if (ended) {
        tunnel_.expect_read(reader, {}, name);
    }
    judge<bool>("passes_eof", "the end of a stream is passed on", traits_.passes_eof, ended, true);
}

TEST_TUNNEL_INLINE void PairRun::say(Socket& from, Socket& to, std::string_view name) {
    const auto text = fmt::format("Hello from the {} {}\n", name.substr(0, name.find(' ')),
                                  detail::hex(pattern(said_++).bytes(0, 8)));
    from.write(text);
    tunnel_.expect_read(to, text, name);
}

TEST_TUNNEL_INLINE void PairRun::round_trip(Connection& connection) {
    auto& [client, server] = connection;
    step("round trip", "a few bytes go from the client to the server and back", Party::client,
         Party::server);
    say(client, server, up);
    say(server, client, down);
}

TEST_TUNNEL_INLINE void PairRun::sentinel() {
    auto connection = connect();
    round_trip(connection);
    step("no further bytes", "there is nothing on the connection that nobody has written",
         Party::tool, Party::client);
    require_silence({&connection.client, &connection.server});
}

TEST_TUNNEL_INLINE void PairRun::transfer(std::vector<Stream> streams) {
    test_tunnel::transfer(streams, watch(),
                          {.patience = config().timeouts.io, .soft_end = soft_end()});
}

/// Learnt once.
TEST_TUNNEL_INLINE bool PairRun::is_concurrent() {
    using namespace std::chrono_literals;
    if (concurrent_) {
        return *concurrent_;
    }
    auto first = connect();
    std::optional<Connection> second;
    if (detail::may_listen(server(), pair_.proxy_listen.listen())) {
        patience_ = strict() ? 5s : 2s;
        try {
            second = tunnel_.connect(*this);
        } catch (const SetupError&) {
            throw;
        } catch (const std::exception&) {
            second.reset();
        }
        concurrent_ = second && carries(*second, std::exchange(patience_, std::nullopt).value());
        patience_.reset();
    } else {
        concurrent_ = false;
    }
    round_trip(first);
    if (!*concurrent_) {
        // What the second client has left behind would meet the next one. Not judged: how the tool
        // ends is for other checks to say.
        drop();
    }
    return *concurrent_;
}

/// Whether anything that the client writes arrives within `patience`: then all of it must.
TEST_TUNNEL_INLINE bool PairRun::carries(Connection& connection, Duration patience) {
    auto& [client, server] = connection;
    const auto text = pattern(said_++).bytes(0, 16);
    client.write(text);
    if (!detail::wait_for_socket(server.event(POLLIN), Deadline::after(patience),
                                 watch().lock().get(), "data")) {
        return false;
    }
    tunnel_.expect_read(server, text, up);
    round_trip(connection);
    return true;
}

TEST_TUNNEL_INLINE void PairRun::need_concurrency() {
    const bool concurrent = is_concurrent();
    if (!is_concurrency_judged_) {
        is_concurrency_judged_ = true;
        judge<bool>("concurrent", "a second connection while one is open", traits_.concurrent,
                    concurrent, true);
    }
    if (!concurrent) {
        throw NotApplicable{"it serves one connection at a time (Traits::concurrent)"};
    }
}

} // namespace test_tunnel
