#pragma once

#include <test_tunnel/handshakes/proxy_datagram.hpp>
#include <test_tunnel/run/detail/proxy_layer.hpp>
#include <test_tunnel/run/flow.hpp>
#include <test_tunnel/run/pair_run.hpp>
#include <test_tunnel/run/tunnel.hpp>

#include <charconv>
#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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

    test_tunnel::Traits traits() const override {
        auto result = traits_;
        if (mode_ == "socks5-bind") {
            result.serves_bind = true;
        }
        return result;
    }

    test_tunnel::Server spawn_server(const test_tunnel::AddrPort& proxy_listen,
                                     const test_tunnel::AddrPort& svc_listen) override {
        const auto listen = proxy_listen.listen();
        const auto target = svc_listen.listen();
        const auto start = [&](const test_tunnel::Endpoint& from, const std::string& to,
                               std::uint16_t port, const std::string& mode) {
            command_ = {FAULTY_TUNNEL,
                        from.address.text(),
                        std::to_string(from.port),
                        svc_listen.client().address.text(),
                        to,
                        std::to_string(port),
                        behaviour_,
                        mode};
            environment_.clear();
            if (const auto& upstream = svc_listen.upstream) {
                environment_["FAULTY_TUNNEL_UPSTREAM"] =
                    fmt::format("{} {}", upstream->address, upstream->port);
            }
            return spawn(command_, environment_);
        };
        if (mode_ == "chain") {
            const auto inner = svc_listen.spare();
            test_tunnel::Server server =
                start(inner, target.address.text(), target.port, "second-half");
            server.await_listening(inner);
            server.add(start(listen, inner.address.text(), inner.port, "first-half"));
            return server;
        }
        return start(listen, mode_ == "by-name" ? target_name(svc_listen) : target.address.text(),
                     target.port, mode_);
    }

    test_tunnel::Transports transports() const override {
        const bool has_datagrams_only = mode_.starts_with("udp") || mode_ == "associate";
        return {.tcp = !has_datagrams_only, .udp = has_datagrams_only || mode_ == "tcp-and-udp"};
    }

    /// By SIGHUP; of a behaviour that is about a successor, by that one.
    void reload(test_tunnel::Server& tool) override {
        if (behaviour_.starts_with("successor-")) {
            const auto replaced = std::to_string(tool.processes().back().pid());
            tool.hand_over_to(spawn(command_, {{"FAULTY_TUNNEL_REPLACES", replaced}}));
        } else {
            tool.signal(SIGHUP);
        }
    }

    /// By SIGUSR2, which stands for a reload of a configuration that is broken.
    bool reload_broken(test_tunnel::Server& tool) override {
        tool.signal(SIGUSR2);
        return true;
    }

    test_tunnel::Protocol upstream() const override {
        const auto via = mode_.find("via-");
        return via == std::string::npos ? test_tunnel::Protocol{}
                                        : protocol_of(mode_.substr(via + 4));
    }

    std::optional<test_tunnel::ProxyVersion> client_header() const override {
        return mode_.starts_with("proxy-v1") ? std::optional{test_tunnel::ProxyVersion::v1}
               : mode_.starts_with("proxy-v2") || mode_.starts_with("proxy-both")
                   ? std::optional{test_tunnel::ProxyVersion::v2}
                   : std::nullopt;
    }

    std::optional<test_tunnel::ProxyVersion> server_header() const override {
        return mode_.starts_with("proxy-both") ? std::optional{test_tunnel::ProxyVersion::v2}
                                               : std::nullopt;
    }

    test_tunnel::Flow open_flow(test_tunnel::PairRun& run) override {
        auto flow = TestTunnel::open_flow(run);
        if (mode_ == "udp-proxy-both") {
            flow.layer = std::make_shared<test_tunnel::detail::ProxyFlowLayer>(flow.client.local(),
                                                                               flow.relay);
        }
        return flow;
    }

    std::optional<test_tunnel::Endpoint> open_datagram(std::string& payload) override {
        if (!mode_.starts_with("udp-proxy")) {
            return TestTunnel::open_datagram(payload);
        }
        auto read = test_tunnel::read_proxy_datagram(payload);
        payload = std::move(read.data);
        return read.source;
    }

    test_tunnel::Protocol protocol() const override {
        return protocol_of(mode_.substr(0, mode_.find("-via-")));
    }

    static test_tunnel::Protocol protocol_of(const std::string& mode) {
        if (mode == "socks5" || mode == "socks5-bind") {
            return test_tunnel::Socks5Options{};
        }
        if (mode == "associate") {
            return test_tunnel::Socks5Options{};
        }
        if (mode == "socks5-password") {
            return test_tunnel::Socks5Options{.user = "user", .password = "password"};
        }
        if (mode == "socks4") {
            return test_tunnel::Socks4Options{};
        }
        if (mode == "connect") {
            return test_tunnel::HttpConnectOptions{};
        }
        if (mode == "connect-password") {
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

    std::vector<std::string> command_;
    test_tunnel::Environment environment_;
    std::string behaviour_;
    std::string mode_;
    test_tunnel::Traits traits_;
};

} // namespace support
