// hitch: takes TLS off, and connects onwards in the clear.

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <test_tunnel/catch2.hpp>
#include <test_tunnel/test_tunnel.hpp>
#include <test_tunnel/tls.hpp>

using namespace test_tunnel;

namespace {

class HitchTunnel : public TestTunnel {
public:
    using TestTunnel::TestTunnel;

    std::string slug() const override { return "hitch"; }

    Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override {
        certificate_ = make_certificate({.addresses = {proxy_listen.address}});
        TempDir files;
        const auto frontend = proxy_listen.listen();
        const auto text = fmt::format(
            "frontend = \"[{}]:{}\"\n"
            "backend = \"[{}]:{}\"\n"
            "pem-file = \"{}\"\n"
            "alpn-protos = \"http/1.1\"\n"
            "{}",
            frontend.address, frontend.port, svc_listen.address, svc_listen.svc_port,
            files.write("hitch.pem", certificate_.pem()),
            // It refuses to serve as root, and to become another else.
            ::geteuid() == 0 ? "user = \"nobody\"\n" : "");
        Server server = spawn({config().prog, "--config", files.write("hitch.conf", text)});
        server.add(std::move(files));
        return server;
    }

    std::shared_ptr<const TlsEnd> client_tls() const override {
        return tls_client({.authority = certificate_.authority, .alpn = {"http/1.1"}});
    }

    Traits traits() const override {
        return {.binds_source = false,
                .half_close = HalfClose::none,
                .reset = ResetShows::as_end,
                .refuses = Refuses::by_end};
    }

private:
    TlsCertificate certificate_;
};

} // namespace

TEST_CASE("hitch terminates TLS", "[hitch]") {
    HitchTunnel{catch2::config_for("hitch")}.run();
}

int main(int argc, char** argv) {
    return catch2::main(argc, argv);
}
