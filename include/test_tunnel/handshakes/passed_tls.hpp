#pragma once

// For tools that pass TLS on, and only look at the hello, by which they choose a server (SNI
// routing). No TLS is needed for that: what follows the hello may be anything.

#include <memory>
#include <string>
#include <utility>

#include "test_tunnel/handshakes/client_hello.hpp"
#include "test_tunnel/net/socket.hpp"
#include "test_tunnel/net/tls_end.hpp"

namespace test_tunnel {

namespace detail {

/// The client's end, for a tool that passes TLS on: nothing comes first but a hello.
class PassedClientEnd final : public TlsEnd {
public:
    explicit PassedClientEnd(std::string name) : name_{std::move(name)} {}

    bool open(Socket& socket, const TlsManner& manner) const override {
        const auto hello = make_tls_hello(name_, manner.least_hello);
        if (manner.send_hello) {
            manner.send_hello(socket, hello);
        } else {
            socket.write(hello);
        }
        return false;
    }

    [[nodiscard]] bool is_passed_on() const noexcept override { return true; }

private:
    std::string name_;
};

/// The server's end.
class PassedServerEnd final : public TlsEnd {
public:
    explicit PassedServerEnd(std::string name) : name_{std::move(name)} {}

    bool open(Socket& socket, const TlsManner& /*manner*/) const override {
        read_tls_hello(socket, name_);
        return false;
    }

    [[nodiscard]] bool is_passed_on() const noexcept override { return true; }

private:
    std::string name_;
};

} // namespace detail

/// The client's end, for `TestTunnel::client_tls`, of a tool that passes TLS on, and looks only at
/// the hello, for the name that is asked for. It says no more of TLS than that: what follows goes
/// through such a tool as it is.
inline std::shared_ptr<const TlsEnd> passed_tls_client(std::string name) {
    return std::make_shared<detail::PassedClientEnd>(std::move(name));
}

/// The server's end, for `TestTunnel::server_tls`, of a tool that passes TLS on: the client's hello
/// must come first.
inline std::shared_ptr<const TlsEnd> passed_tls_server(std::string name) {
    return std::make_shared<detail::PassedServerEnd>(std::move(name));
}

} // namespace test_tunnel
