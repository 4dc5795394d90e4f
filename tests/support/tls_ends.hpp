#pragma once

// Both ends of a TLS connection.

#include <poll.h>
#include <test_tunnel/net/detail/poll.hpp>
#include <test_tunnel/net/socket.hpp>
#include <test_tunnel/net/supervisor.hpp>
#include <test_tunnel/net/wait.hpp>
#include <test_tunnel/tls.hpp>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "scripted_peer.hpp"

namespace support {

inline test_tunnel::Address here() {
    return test_tunnel::Address::parse("127.0.0.1");
}

/// Of the address at which these tests listen.
inline const test_tunnel::TlsCertificate& certificate() {
    static const auto made =
        test_tunnel::make_certificate({.addresses = {here()}, .names = {"proxy.test"}});
    return made;
}

inline test_tunnel::TlsClientOptions client_options() {
    return {.authority = certificate().authority};
}

inline test_tunnel::TlsServerOptions server_options() {
    return {.certificate = certificate().certificate, .key = certificate().key};
}

/// A peer that is a TLS server, and does `script` after the handshake.
inline ScriptedPeer tls_peer(std::function<void(test_tunnel::Socket&)> script,
                             test_tunnel::TlsServerOptions options = server_options()) {
    return ScriptedPeer{[script = std::move(script), options = std::move(options)](
                            test_tunnel::Socket& socket, ScriptedPeer& /*self*/) {
        test_tunnel::tls_accept(socket, options);
        script(socket);
    }};
}

/// Reads until the client ends the connection.
inline void await_end(test_tunnel::Socket& socket) {
    std::array<char, 4096> buffer{};
    while (socket.read_some(buffer.data(), buffer.size()) > 0) {
    }
}

struct Ends {
    test_tunnel::Socket client;
    test_tunnel::Socket server;
};

/// Both ends of a TLS connection, for one thread.
inline Ends connect(test_tunnel::TlsVersion version = test_tunnel::TlsVersion::v1_3,
                    test_tunnel::Duration timeout = std::chrono::seconds{60}) {
    test_tunnel::Socket listener{test_tunnel::Family::ipv4, timeout};
    listener.bind({here(), 0});
    listener.listen();
    test_tunnel::Socket client{test_tunnel::Family::ipv4, timeout};
    client.connect(listener.local());
    auto server = listener.accept();
    std::string error;
    std::thread other{[&] {
        try {
            test_tunnel::tls_accept(server, server_options());
        } catch (const std::exception& thrown) {
            error = thrown.what();
        }
    }};
    auto options = client_options();
    options.highest = version;
    try {
        test_tunnel::tls_connect(client, options);
    } catch (const std::exception& thrown) {
        error += thrown.what();
    }
    other.join();
    REQUIRE(error.empty());
    return {std::move(client), std::move(server)};
}

/// Whether poll(2) says that there is something to be read.
inline bool is_readable_for_poll(const test_tunnel::Socket& socket) {
    pollfd entry{.fd = socket.fd(), .events = POLLIN, .revents = 0};
    return test_tunnel::detail::poll_once({&entry, 1}, test_tunnel::Duration::zero());
}

} // namespace support
