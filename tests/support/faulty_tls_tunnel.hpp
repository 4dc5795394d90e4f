#pragma once

#include <test_tunnel/handshakes/passed_tls.hpp>
#include <test_tunnel/process/temp_dir.hpp>
#include <test_tunnel/run/tunnel.hpp>
#include <test_tunnel/tls.hpp>

#include <memory>
#include <string>
#include <utility>

namespace support {

/// The tunnel of tests/faulty that takes TLS off, with one of its behaviours, in one of its modes.
class FaultyTlsTunnel : public test_tunnel::TestTunnel {
public:
    FaultyTlsTunnel(test_tunnel::ConfigProg config, std::string behaviour, std::string mode = "tls",
                    test_tunnel::Traits traits = {})
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
        test_tunnel::TempDir files;
        test_tunnel::Server server = spawn(
            {FAULTY_TLS_TUNNEL, listen.address.text(), std::to_string(listen.port),
             svc_listen.client().address.text(), target.address.text(), std::to_string(target.port),
             behaviour_, mode_, files.write("tool.pem", own_.pem()),
             files.write("clients.pem", clients_.certificate())});
        server.add(std::move(files));
        return server;
    }

    std::shared_ptr<const test_tunnel::TlsEnd> client_tls() const override {
        return is_passed_on() ? test_tunnel::passed_tls_client("proxy.test") : client_;
    }

    std::shared_ptr<const test_tunnel::TlsEnd> server_tls() const override {
        return is_passed_on() ? test_tunnel::passed_tls_server("proxy.test") : nullptr;
    }

private:
    [[nodiscard]] bool is_passed_on() const { return mode_ == "tls-passed"; }

    std::string behaviour_;
    std::string mode_;
    test_tunnel::Traits traits_;
    test_tunnel::TlsCertificate own_ = test_tunnel::make_certificate({.names = {"proxy.test"}});
    test_tunnel::TlsAuthority clients_;
    std::shared_ptr<const test_tunnel::TlsEnd> client_ = test_tunnel::tls_client(
        {.authority = own_.authority, .name = "proxy.test"}, clients_, {.name = true});
};

} // namespace support
