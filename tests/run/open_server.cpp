// What comes before the handshake, and what the server is told first, is held against the truth.

#include <test_tunnel/test_tunnel.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "support/faulty_tunnel.hpp"
#include "support/quiet_config.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
using support::FaultyTunnel;
using support::quiet_config;

namespace {

/// A forwarder that begins each connection to the server with a PROXY header, true or not.
class ProxyingTunnel : public FaultyTunnel {
public:
    ProxyingTunnel(ConfigProg config, const std::string& header, std::string behaviour = "none",
                   std::string mode = "forward")
        : FaultyTunnel{with_header(std::move(config), header), std::move(behaviour),
                       std::move(mode)} {}

    std::optional<Endpoint> open_server(Socket& server) override {
        return read_proxied_client(server, ProxyVersion::v1);
    }

private:
    static ConfigProg with_header(ConfigProg config, const std::string& header) {
        config.utf8_env["FAULTY_TUNNEL_PROXY"] = header;
        return config;
    }
};

std::vector<std::string> failures_of(const PairResult& result) {
    std::vector<std::string> texts;
    for (const auto& check : result.checks) {
        if (check.outcome == Outcome::failed) {
            texts.push_back(check.account);
        }
    }
    return texts;
}

PairResult first_pair(TestTunnel& tunnel) {
    return tunnel.run_pair(discover_pairs(tunnel.config()).front());
}

} // namespace

TEST_CASE("a tool that tells the server its true client passes", "[open_server]") {
    const auto mode = GENERATE("forward", "announce", "socks5", "connect");
    INFO(mode);
    ProxyingTunnel tunnel{quiet_config(), "true", "none", mode};
    CHECK(failures_of(first_pair(tunnel)).empty());
}

TEST_CASE("a tool tells the server of clients of both families", "[open_server]") {
    auto config = quiet_config();
    config.only = {"hello", "connections.isolation"};
    ProxyingTunnel tunnel{config, "true"};
    const auto report = tunnel.run_all();
    INFO(report.text());
    CHECK(report.passed());
    CHECK(report.pairs.size() == 4);
}

TEST_CASE("it passes also where it connects late, or when it has been spoken to", "[open_server]") {
    const auto behaviour = GENERATE("slow-dial", "lazy", "serves-once", "one-at-a-time");
    INFO(behaviour);
    ProxyingTunnel tunnel{quiet_config(), "true", behaviour};
    const auto result = first_pair(tunnel);
    INFO(result.text());
    CHECK(failures_of(result).empty());
}

TEST_CASE("the queue that is filled at strict is no tool's", "[open_server]") {
    auto config = quiet_config();
    config.level = Level::strict;
    config.only = {"hello", "target.late"};
    config.timeouts.io = 4s; // longer than the wait for the queue, shorter than a header's
    ProxyingTunnel tunnel{config, "true"};
    CHECK(failures_of(first_pair(tunnel)).empty());
}

namespace {

struct Lie {
    std::string header;
    std::string step;
    std::string actual;
};

} // namespace

TEST_CASE("a tool that tells the server something else fails, and what it told is told",
          "[open_server]") {
    const auto lie = GENERATE(values<Lie>({
        {"wrong-port", "opening", "it says "},
        {"wrong-address", "opening", "it says 127.0.0.1:"},
        {"unknown", "opening", "it says that it is unknown"},
        {"garbage", "opening", "|H|"},
        {"half", "opening", "bytes, then: nothing for "},
        {"silence", "opening", "0 bytes, then: nothing for "},
    }));
    INFO(lie.header);
    auto config = quiet_config();
    config.level = Level::hello;
    config.timeouts.io = 300ms;
    ProxyingTunnel tunnel{config, lie.header};
    const auto report = tunnel.run_all();
    CHECK_FALSE(report.passed());
    for (const auto& pair : report.pairs) {
        const auto& hello = pair.checks.front();
        CHECK(hello.outcome == Outcome::failed);
        CHECK(hello.step == lie.step);
    }
    INFO(report.text());
    CHECK_THAT(report.pairs.front().checks.front().actual, ContainsSubstring(lie.actual));
}

TEST_CASE("clients that have gone before the server was told of them are no lie", "[open_server]") {
    auto config = quiet_config();
    config.only = {"hello", "reset.client.early", "connections.one_to_one", "connections.silent"};
    const auto behaviour = GENERATE("none", "late-accept", "slow-dial");
    INFO(behaviour);
    ProxyingTunnel tunnel{config, "true", behaviour};
    CHECK(failures_of(first_pair(tunnel)).empty());
}

TEST_CASE("what is not said of a client that talks nonsense and leaves is no lie",
          "[open_server]") {
    auto config = quiet_config();
    config.only = {"hello", "connections.one_to_one"};
    config.level = Level::strict;
    // It connects for such a client: that is what it is found to do.
    ProxyingTunnel tunnel{config, "true", "accepts-bad-requests", "socks5"};
    const auto failures = failures_of(first_pair(tunnel));
    REQUIRE(failures.size() == 1);
    CHECK_THAT(failures.front(), ContainsSubstring("connects_eagerly"));
}

namespace {

/// A tunnel that opens its client's connection with a line, to a tool that does nothing with it.
class OpeningTunnel : public FaultyTunnel {
public:
    explicit OpeningTunnel(ConfigProg config)
        : FaultyTunnel{std::move(config), "none", "forward"} {}

    void open_client(Socket& client) override {
        write_proxy_header(client, {.source = client.local(), .destination = client.peer()});
    }

    std::optional<Endpoint> open_server(Socket& server) override {
        return read_proxied_client(server, ProxyVersion::v1);
    }
};

} // namespace

TEST_CASE("what comes before the handshake is said on every connection", "[open_server]") {
    // The tool passes the client's header on as any bytes: it is at the server what is demanded.
    auto config = quiet_config();
    config.only = {"hello", "data.ping_pong", "connections.isolation"};
    OpeningTunnel tunnel{config};
    CHECK(failures_of(first_pair(tunnel)).empty());
}

TEST_CASE("a tool that ends in the hook that starts it has told why", "[open_server]") {
    class Hasty : public FaultyTunnel {
    public:
        Hasty() : FaultyTunnel{quiet_config(), "port-in-use"} {}
        Server spawn_server(const AddrPort& here, const AddrPort& there) override {
            auto server = FaultyTunnel::spawn_server(here, there);
            server.await_listening(here.listen(), 60s);
            return server;
        }
    };
    Hasty tunnel;
    const auto result = first_pair(tunnel);
    const auto& hello = result.checks.front();
    CHECK(hello.step == "start");
    CHECK_THAT(hello.actual, StartsWith("faulty_tunnel exited with status 1, "));
    CHECK_THAT(hello.actual, ContainsSubstring("\n$ " FAULTY_TUNNEL " ") &&
                                 ContainsSubstring("\nbind: Address already in use"));
}
