// What tests/adapter.cpp runs: check_all on the forwarder of tests/faulty, with the behaviour that
// the environment asks for, or with none.

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <test_tunnel/catch2.hpp>
#include <test_tunnel/test_tunnel.hpp>
#include <utility>

#include "support/faulty_tunnel.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;

namespace {

/// With a file, as a tool that has a configuration.
class Tunnel : public support::FaultyTunnel {
public:
    using FaultyTunnel::FaultyTunnel;

    Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override {
        auto server = FaultyTunnel::spawn_server(proxy_listen, svc_listen);
        TempDir files;
        files.write("faulty.conf", "behaviour\n");
        server.add(std::move(files));
        return server;
    }
};

} // namespace

TEST_CASE("two tunnels") {
    auto config = catch2::config_for(FAULTY_TUNNEL);
    config.timeouts.io = 4s; // some close politely, which takes up to a second
    const auto* const behaviour = std::getenv("BEHAVIOUR");
    catch2::check_all(Tunnel{config, behaviour == nullptr ? "none" : behaviour, "forward"});
    SECTION("another section") {
        SUCCEED();
    }
}

// Each by its tag only.

TEST_CASE("a tool that is not installed", "[.half]") {
    catch2::config_for("no-such-tool-at-all");
    FAIL("it was not skipped");
}

TEST_CASE("one that is", "[.half]") {
    support::FaultyTunnel{catch2::config_for(FAULTY_TUNNEL), "none", "forward"}.run();
}

TEST_CASE("SOCKS4", "[.socks4]") {
    support::FaultyTunnel{catch2::config_for(FAULTY_TUNNEL), "none", "socks4"}.run();
}

int main(int argc, char** argv) {
    return catch2::main(argc, argv);
}
