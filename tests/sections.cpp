// What tests/adapter.cpp runs: check_all on the forwarder of tests/faulty, with the behaviour that
// the environment asks for.

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <test_tunnel/catch2.hpp>
#include <test_tunnel/test_tunnel.hpp>

#include "support/faulty_tunnel.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;

TEST_CASE("two tunnels") {
    auto config = catch2::config_for(FAULTY_TUNNEL);
    config.timeouts.io = 1s;
    catch2::check_all(support::FaultyTunnel{config, std::getenv("BEHAVIOUR"), "forward"});
    SECTION("another section") {
        SUCCEED();
    }
}

int main(int argc, char** argv) {
    return catch2::main(argc, argv);
}
