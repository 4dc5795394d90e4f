#include <test_tunnel/run/tunnel.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <thread>

#include "support/faulty_tunnel.hpp"
#include "support/runs.hpp"
#include "support/sockets.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using support::connect;
using support::FaultyTunnel;
using support::impatient_config;

TEST_CASE("expect_read puts pieces together", "[tunnel]") {
    FaultyTunnel tunnel{impatient_config(), "none"};
    auto [client, server] = connect(300ms);
    std::thread writer{[&server = server] {
        for (const char character : std::string_view{"Hello!"}) {
            server.write({&character, 1});
        }
    }};
    CHECK(tunnel.expect_read(client, "Hello", "server → client") == "Hello");
    writer.join();
    CHECK(client.read(1) == "!"); // not one byte further
}

TEST_CASE("expect_read compares as much as it is told", "[tunnel]") {
    FaultyTunnel tunnel{impatient_config(), "none"};
    auto [client, server] = connect(300ms);
    server.write("Hello World");
    CHECK(tunnel.expect_read(client, "Hellish", "server → client", 4) == "Hello W");
    CHECK_THROWS_AS(tunnel.expect_read(client, "ab", "server → client", 3), InvalidConfig);
    CHECK(client.read(4) == "orld");
}

TEST_CASE("expect_read shows both sides around the first difference", "[tunnel]") {
    FaultyTunnel tunnel{impatient_config(), "none"};
    auto [client, server] = connect(300ms);
    server.write("Hellish World");
    try {
        tunnel.expect_read(client, "Hello, World!", "server → client");
        FAIL("it passed");
    } catch (const Unexpected& error) {
        CHECK(error.expected() ==
              "server → client: 13 bytes\n"
              "00000000  48 65 6c 6c 6f 2c 20 57 6f 72 6c 64 21           |Hello, World!|");
        CHECK(error.actual() ==
              "13 bytes, different from offset 4 on\n"
              "00000000  48 65 6c 6c 69 73 68 20 57 6f 72 6c 64           |Hellish World|");
    }
}

TEST_CASE("expect_read tells an early end from wrong bytes", "[tunnel]") {
    FaultyTunnel tunnel{impatient_config(), "none"};
    auto [client, server] = connect(300ms);
    server.write("Hel");
    server.close();
    CHECK_THROWS_WITH(tunnel.expect_read(client, "Hello", "server → client"),
                      ContainsSubstring("got 3 bytes, then end of stream\n00000000  48 65 6c "));
}

TEST_CASE("expect_read of nothing demands the end of the stream", "[tunnel]") {
    FaultyTunnel tunnel{impatient_config(), "none"};
    auto [client, server] = connect(300ms);
    SECTION("a clean end") {
        server.close();
        CHECK(tunnel.expect_read(client, {}, "server → client").empty());
    }
    SECTION("a further byte") {
        server.write("x");
        CHECK_THROWS_WITH(tunnel.expect_read(client, {}, "server → client"),
                          ContainsSubstring("got 1 byte"));
    }
    SECTION("a reset") {
        server.reset();
        CHECK_THROWS_WITH(tunnel.expect_read(client, {}, "server → client"),
                          ContainsSubstring("Connection reset by peer"));
    }
}
