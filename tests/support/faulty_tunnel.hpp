#pragma once

#include <test_tunnel/tunnel.hpp>

#include <charconv>
#include <string>
#include <utility>

namespace support {

/// The forwarder of tests/faulty with one of its behaviours, in one of its modes.
class FaultyTunnel : public test_tunnel::TestTunnel {
public:
    FaultyTunnel(test_tunnel::ConfigProg config, std::string behaviour,
                 std::string mode = "announce", test_tunnel::Traits traits = {})
        : TestTunnel{std::move(config)},
          behaviour_{std::move(behaviour)},
          mode_{std::move(mode)},
          traits_{std::move(traits)} {}

    std::string slug() const override { return "faulty"; }

    test_tunnel::Traits traits() const override { return traits_; }

    test_tunnel::Server spawn_server(const test_tunnel::AddrPort& proxy_listen,
                                     const test_tunnel::AddrPort& svc_listen) override {
        const auto listen = proxy_listen.listen();
        const auto target = svc_listen.listen();
        return spawn({FAULTY_TUNNEL, listen.address.text(), std::to_string(listen.port),
                      svc_listen.client().address.text(), target.address.text(),
                      std::to_string(target.port), behaviour_, mode_});
    }

    test_tunnel::Protocol protocol() const override {
        if (mode_ == "socks5") {
            return test_tunnel::Socks5Options{};
        }
        if (mode_ == "socks5-password") {
            return test_tunnel::Socks5Options{.user = "user", .password = "password"};
        }
        if (mode_ == "socks4") {
            return test_tunnel::Socks4Options{};
        }
        if (mode_ == "connect") {
            return test_tunnel::HttpConnectOptions{};
        }
        if (mode_ == "connect-password") {
            return test_tunnel::HttpConnectOptions{.user = "user", .password = "password"};
        }
        return {};
    }

    std::optional<test_tunnel::Endpoint> handshake(test_tunnel::Socket& client,
                                                   const test_tunnel::AddrPort& svc) override {
        return mode_ == "announce" ? announced(client) : TestTunnel::handshake(client, svc);
    }

private:
    /// A line that tells from where the tool connects: "127.0.0.1 1234".
    static std::optional<test_tunnel::Endpoint> announced(test_tunnel::Socket& client) {
        std::string line;
        while (line.empty() || line.back() != '\n') {
            line += client.read(1);
        }
        const auto space = line.find(' ');
        std::uint16_t port = 0;
        std::from_chars(line.data() + space + 1, line.data() + line.size(), port);
        return test_tunnel::Endpoint{test_tunnel::Address::parse(line.substr(0, space)), port};
    }

    std::string behaviour_;
    std::string mode_;
    test_tunnel::Traits traits_;
};

} // namespace support
