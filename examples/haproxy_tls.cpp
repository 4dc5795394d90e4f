// haproxy, which takes TLS off, and connects onwards in the clear; and the same behind a load
// balancer and in front of tinyproxy: a PROXY header, then TLS, then CONNECT, one in the other.

#include <catch2/catch_test_macros.hpp>
#include <test_tunnel/catch2.hpp>
#include <test_tunnel/test_tunnel.hpp>
#include <test_tunnel/tls.hpp>

using namespace test_tunnel;

namespace {

/// Starts haproxy with a certificate of the test's own, and talks TLS to it.
class HaproxyTunnel : public TestTunnel {
public:
    using TestTunnel::TestTunnel;

    std::string slug() const override { return "haproxy-tls"; }

    Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override {
        return spawn_haproxy(proxy_listen, "", svc_listen.listen(),
                             fmt::format("source [{}]:0", svc_listen.client().address));
    }

    void open_client(Socket& client) override {
        tls_connect(client, {.authority = certificate_.authority, .name = "proxy.test"});
    }

    Traits traits() const override {
        return {.reset = ResetShows::as_end, .refuses = Refuses::by_end};
    }

protected:
    Server spawn_haproxy(const AddrPort& proxy_listen, std::string_view bind,
                         const Endpoint& target, std::string_view server) {
        certificate_ = make_certificate({.names = {"proxy.test"}});
        TempDir files;
        const auto pem = files.write("haproxy.pem", certificate_.pem());
        const auto text = fmt::format(
            "defaults\n"
            "  mode tcp\n"
            "  timeout connect 10s\n"
            "  timeout client 1h\n"
            "  timeout server 1h\n"
            "  retries 0\n"
            "listen tunnel\n"
            "  bind {} {} ssl crt {}\n"
            "  server target {} {}\n",
            proxy_listen.listen(), bind, pem, target, server);
        Server haproxy = spawn({config().prog, "-db", "-f", files.write("haproxy.cfg", text)});
        haproxy.add(std::move(files));
        return haproxy;
    }

private:
    TlsCertificate certificate_;
};

class ChainTunnel : public HaproxyTunnel {
public:
    using HaproxyTunnel::HaproxyTunnel;

    std::string slug() const override { return "haproxy-tls-tinyproxy"; }

    Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override {
        const auto inner = svc_listen.client();
        TempDir files;
        const auto text =
            fmt::format("Listen {0}\nPort {1}\nBind {0}\n", inner.address, inner.port);
        auto chain = spawn_haproxy(proxy_listen, "accept-proxy", inner, "");
        chain.add(spawn({"tinyproxy", "-d", "-c", files.write("tinyproxy.conf", text)}));
        chain.add(std::move(files));
        return chain;
    }

    void open_client(Socket& client) override {
        write_proxy_header(client, {.source = client.local(), .destination = client.peer()});
        HaproxyTunnel::open_client(client);
    }

    Protocol protocol() const override { return HttpConnectOptions{}; }

    Traits traits() const override {
        return {.half_close = HalfClose::none,
                .reset = ResetShows::as_end,
                .refuses = Refuses::in_handshake,
                .no_delay = false};
    }
};

} // namespace

TEST_CASE("haproxy terminates TLS", "[haproxy]") {
    HaproxyTunnel{catch2::config_for("haproxy")}.run();
}

TEST_CASE("haproxy takes a PROXY header and TLS off, for tinyproxy", "[haproxy]") {
    ChainTunnel{catch2::config_for("haproxy")}.run();
}

int main(int argc, char** argv) {
    return catch2::main(argc, argv);
}
