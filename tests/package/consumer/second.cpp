#include <test_tunnel/catch2.hpp>
#include <test_tunnel/test_tunnel.hpp>

using namespace test_tunnel;

namespace {

/// A tool that is none.
class NoTunnel : public TestTunnel {
public:
    using TestTunnel::TestTunnel;
    std::string slug() const override { return "none"; }
    Server spawn_server(const AddrPort& /*proxy*/, const AddrPort& /*svc*/) override {
        return spawn({config().prog});
    }
    std::optional<Endpoint> handshake(Socket& /*client*/, const AddrPort& /*svc*/) override {
        return std::nullopt;
    }
};

} // namespace

TEST_CASE("what is no tunnel does not pass") {
    CHECK_THROWS_AS(NoTunnel{catch2::config_for("true")}.run(), TunnelFailure);
}
