// stunnel's server half alone: it takes TLS off, and connects onwards in the clear.

#include <catch2/catch_test_macros.hpp>
#include <test_tunnel/catch2.hpp>
#include <test_tunnel/test_tunnel.hpp>
#include <test_tunnel/tls.hpp>

using namespace test_tunnel;

namespace {

class StunnelTunnel : public TestTunnel {
public:
    using TestTunnel::TestTunnel;

    std::string slug() const override { return "stunnel-tls"; }

    Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override {
        certificate_ = make_certificate({.addresses = {proxy_listen.address}});
        TempDir files;
        const auto pem = files.write("stunnel.pem", certificate_.pem());
        const auto text = fmt::format(
            "foreground = yes\n"
            "pid =\n"
            "[tls]\n"
            "accept = {}:{}\n" // without brackets
            "connect = {}:{}\n"
            "local = {}\n"
            "cert = {}\n",
            proxy_listen.address, proxy_listen.svc_port, svc_listen.address, svc_listen.svc_port,
            svc_listen.client().address, pem);
        Server server = spawn({config().prog, files.write("stunnel.conf", text)});
        server.add(std::move(files));
        return server;
    }

    std::shared_ptr<const TlsEnd> client_tls() const override {
        return tls_client({.authority = certificate_.authority});
    }

    Traits traits() const override {
        return {.reset = ResetShows::as_end, .refuses = Refuses::by_reset};
    }

private:
    TlsCertificate certificate_;
};

} // namespace

TEST_CASE("stunnel terminates TLS", "[stunnel]") {
    StunnelTunnel{catch2::config_for("stunnel")}.run();
}

int main(int argc, char** argv) {
    return catch2::main(argc, argv);
}
