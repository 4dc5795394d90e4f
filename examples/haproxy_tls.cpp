// haproxy, which takes TLS off; and three protocols, one in the other: a PROXY header for haproxy,
// TLS, which it takes off too, and CONNECT for tinyproxy behind it.

#include <catch2/catch_test_macros.hpp>
#include <test_tunnel/catch2.hpp>
#include <test_tunnel/test_tunnel.hpp>
#include <test_tunnel/tls.hpp>

using namespace test_tunnel;

namespace {

class HaproxyTunnel : public TestTunnel {
public:
    HaproxyTunnel(ConfigProg config, bool is_chain)
        : TestTunnel{std::move(config)}, is_chain_{is_chain} {}

    std::string slug() const override { return is_chain_ ? "haproxy-tinyproxy" : "haproxy-tls"; }

    Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override {
        TempDir files;
        const auto own = svc_listen.client(); // free: there tinyproxy can listen
        const auto pem = files.write("haproxy.pem", certificate_.pem());
        const auto text = fmt::format(
            "defaults\n  mode tcp\n  retries 0\n"
            "  timeout connect 10s\n  timeout client 1h\n  timeout server 1h\n"
            "listen tunnel\n  bind {} ssl crt {} {}\n  server target {} source [{}]:0\n",
            proxy_listen.listen(), pem, is_chain_ ? "accept-proxy" : "",
            is_chain_ ? own : svc_listen.listen(), own.address);
        Server server = spawn({config().prog, "-db", "-f", files.write("haproxy.cfg", text)});
        if (is_chain_) {
            const auto behind =
                fmt::format("Listen {0}\nPort {1}\nBind {0}\n", own.address, own.port);
            server.add(spawn({"tinyproxy", "-d", "-c", files.write("tinyproxy.conf", behind)}));
        }
        server.add(std::move(files));
        return server;
    }

    void open_client(Socket& client) override {
        if (is_chain_) {
            write_proxy_header(client, {.source = client.local(), .destination = client.peer()});
        }
        TestTunnel::open_client(client);
    }

    std::shared_ptr<const TlsEnd> client_tls() const override {
        return tls_client({.authority = certificate_.authority, .name = "proxy.test"});
    }

    Protocol protocol() const override {
        return is_chain_ ? Protocol{HttpConnectOptions{}} : Protocol{};
    }

    Traits traits() const override {
        return is_chain_ ? Traits{.half_close = HalfClose::none,
                                  .reset = ResetShows::as_end,
                                  .refuses = Refuses::in_handshake,
                                  .no_delay = false}
                         : Traits{.reset = ResetShows::as_end, .refuses = Refuses::by_end};
    }

private:
    bool is_chain_;
    TlsCertificate certificate_ = make_certificate({.names = {"proxy.test"}});
};

} // namespace

TEST_CASE("haproxy terminates TLS", "[haproxy]") {
    HaproxyTunnel{catch2::config_for("haproxy"), false}.run();
}

TEST_CASE("haproxy terminates TLS behind a load balancer and before tinyproxy", "[haproxy]") {
    catch2::config_for("tinyproxy"); // skips where it is not there
    HaproxyTunnel{catch2::config_for("haproxy"), true}.run();
}

int main(int argc, char** argv) {
    return catch2::main(argc, argv);
}
