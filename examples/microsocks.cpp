// microsocks: a SOCKS5 server (RFC 1928), asked to connect by address, without authentication.

#include <catch2/catch_test_macros.hpp>
#include <test_tunnel/catch2.hpp>
#include <test_tunnel/test_tunnel.hpp>

using namespace test_tunnel;

namespace {

class MicrosocksTunnel : public TestTunnel {
public:
    using TestTunnel::TestTunnel;

    std::string slug() const override { return "microsocks"; }

    Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override {
        const auto listen = proxy_listen.listen();
        return spawn({config().prog, "-i", listen.address.text(), "-p", std::to_string(listen.port),
                      "-b", svc_listen.client().address.text()});
    }

    Protocol protocol() const override { return Socks5Options{}; }

    // What it is known not to do. It answers 0.0.0.0:0, whatever it has connected from.
    Traits traits() const override {
        return {.half_close = HalfClose::none,
                .reset = ResetShows::as_end,
                .reports_source = ReportsSource::null,
                .refuses = Refuses::in_handshake,
                .independent_directions = false,
                .no_delay = false};
    }
};

} // namespace

TEST_CASE("microsocks connects", "[microsocks]") {
    MicrosocksTunnel{catch2::config_for("microsocks")}.run();
}

int main(int argc, char** argv) {
    return catch2::main(argc, argv);
}
