// socat: a plain forwarder. It listens, connects onwards as soon as somebody has connected, and has
// no handshake.

#include <catch2/catch_test_macros.hpp>
#include <test_tunnel/catch2.hpp>
#include <test_tunnel/test_tunnel.hpp>

using namespace test_tunnel;

namespace {

class SocatTunnel : public TestTunnel {
public:
    using TestTunnel::TestTunnel;

    std::string slug() const override { return "socat"; }

    Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override {
        return spawn(
            {config().prog,
             fmt::format("TCP{}-LISTEN:{},bind={},reuseaddr,fork", proxy_listen.family_id(),
                         proxy_listen.svc_port, proxy_listen.address.bracketed()),
             fmt::format("TCP{}:{},bind={}", svc_listen.family_id(), svc_listen.listen(),
                         svc_listen.client().address.bracketed())});
    }

    std::optional<Endpoint> handshake(Socket& /*client*/, const AddrPort& /*svc_listen*/) override {
        return std::nullopt; // it does not say where it connects from
    }

    // What it does its own way. Without a declaration all of this is only noted, but at the level
    // `strict` a tool has to do what it is declared to do, and no less.
    Traits traits() const override {
        return {.half_close = HalfClose::timed, // half a second: its option -t
                .reset = ResetShows::as_end,
                .connects_eagerly = true,
                .refuses = Refuses::by_end,
                .no_delay = false,
                .stops_connections = false}; // a child serves each, and outlives its parent
    }
};

} // namespace

TEST_CASE("socat forwards", "[socat]") {
    SocatTunnel{catch2::config_for("socat")}.run();
}

int main(int argc, char** argv) {
    return catch2::main(argc, argv);
}
