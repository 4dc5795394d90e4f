#pragma once

// What comes first on a connection: on the client's a PROXY header, TLS and the handshake; on the
// server's what the upstream proxy grants, a PROXY header and TLS.

#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/handshakes/proxy_protocol.hpp"
#include "test_tunnel/net/tls_end.hpp"
#include "test_tunnel/run/detail/pair_state.hpp"
#include "test_tunnel/run/pair_run.hpp"
#include "test_tunnel/run/tunnel.hpp"

namespace test_tunnel {

// --- The client's

namespace detail {

/// Sends the PROXY header that the tool expects, if it does.
inline void write_client_header(Socket& client, std::optional<ProxyVersion> version) {
    if (version) {
        write_proxy_header(
            client, {.version = *version, .source = client.local(), .destination = client.peer()});
    }
}

} // namespace detail

TEST_TUNNEL_INLINE Socket PairRun::open_client() {
    auto client = connect_client();
    detail::write_client_header(client, client_header());
    state_.tunnel.open_client(client);
    return client;
}

TEST_TUNNEL_INLINE std::shared_ptr<const TlsEnd> PairRun::tls(Party side) const {
    return side == Party::client ? state_.tunnel.client_tls() : state_.tunnel.server_tls();
}

TEST_TUNNEL_INLINE bool PairRun::open_client(Socket& client, const TlsManner& manner) {
    detail::write_client_header(client, client_header());
    auto& tunnel = state_.tunnel;
    tunnel.resumed_ = false;
    tunnel.tls_manner_ = &manner;
    try {
        tunnel.open_client(client);
    } catch (...) {
        tunnel.tls_manner_ = nullptr;
        throw;
    }
    if (std::exchange(tunnel.tls_manner_, nullptr) != nullptr) {
        throw NotApplicable{
            "its open_client does not call TestTunnel::open_client, which would open the "
            "connection in another manner"};
    }
    return tunnel.resumed_;
}

TEST_TUNNEL_INLINE std::optional<Endpoint> PairRun::handshake(Socket& client) {
    step(StepKind::handshake, "the tool does its part of the handshake", Party::client);
    detail::write_client_header(client, client_header());
    return handshake_behind_header(client);
}

TEST_TUNNEL_INLINE std::optional<Endpoint> PairRun::handshake_behind_header(Socket& client) {
    state_.tunnel.open_client(client);
    return state_.tunnel.handshake(client, pair().svc_listen);
}

// --- The server's

namespace detail {

/// Returns the client of which the tool's PROXY header tells.
inline Endpoint read_header_of_tool(PairRun& run, Socket& server, ProxyVersion version) {
    const auto header = read_proxy_header(server, version);
    const auto told = client_told_by(header);
    const auto here = run.pair().proxy_listen.listen();
    const bool is_here = header.destination->port == here.port &&
                         header.destination->address.packed() == here.address.packed();
    if (!is_here && !run.client_header()) { // by which its own client could have told another one
        run.note(
            "the destination in its PROXY header is not where its client has connected to "
            "(proxy-protocol.txt §2)");
    }
    return told;
}

} // namespace detail

TEST_TUNNEL_INLINE void PairRun::open_server(Socket& server,
                                             const std::optional<Endpoint>& client) {
    upstream().grant(server);
    open_granted(server, client);
}

TEST_TUNNEL_INLINE void PairRun::open_granted(Socket& server,
                                              const std::optional<Endpoint>& client) {
    const auto name_step = [&](std::string expected) {
        step("opening", std::move(expected), Party::tool, Party::server);
    };
    std::optional<Endpoint> told;
    server.set_timeout(state_.patience.value_or(config().timeouts.io));
    try {
        if (const auto version = server_header()) {
            told = detail::read_header_of_tool(*this, server, *version);
        }
        if (const auto by_hook = state_.tunnel.open_server(server)) {
            told = by_hook;
        }
    } catch (const std::exception&) { // whatever a hook makes of it
        name_step("the tool opens its connection to the server as the server is told to demand");
        throw;
    }
    server.set_timeout(config().timeouts.io);
    if (!told) {
        return;
    }
    const auto& address = pair().proxy_listen.clients.front();
    name_step(fmt::format("the tool tells the server that its client is {}",
                          client ? client->text() : fmt::format("at {}", address)));
    // Without their scopes, which no protocol carries.
    const bool is_same = told->address.packed() == address.packed();
    if (!is_same || (client && told->port != client->port)) {
        throw Unexpected{expected(), fmt::format("it says {}", *told)};
    }
}

TEST_TUNNEL_INLINE std::optional<Endpoint> PairRun::read_told_client(Socket& server) {
    std::optional<Endpoint> told;
    if (const auto version = server_header()) {
        told = read_proxy_header(server, *version).source;
    }
    const auto by_hook = state_.tunnel.open_server(server);
    return by_hook ? by_hook : told;
}

} // namespace test_tunnel
