// A tool that is the client of an upstream proxy, which the library plays.

#include <test_tunnel/test_tunnel.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/faulty_tunnel.hpp"
#include "support/quiet_config.hpp"

using namespace test_tunnel;
using Catch::Matchers::ContainsSubstring;
using support::FaultyTunnel;
using support::quiet_config;

namespace {

ConfigProg config_of(std::vector<std::string> only) {
    auto config = quiet_config();
    config.only = std::move(only);
    return config;
}

/// Talks to its upstream proxy over one family, whatever its target is.
class OneFamily : public FaultyTunnel {
public:
    OneFamily(ConfigProg config, Family family)
        : FaultyTunnel{std::move(config), "asks-upstream", "via-socks5"}, family_{family} {}

    std::optional<Family> upstream_family() const override { return family_; }

private:
    Family family_;
};

Pair pair_named(const ConfigProg& config, const std::string& name) {
    const auto pairs = discover_pairs(config);
    const auto found = std::find_if(pairs.begin(), pairs.end(),
                                    [&](const Pair& pair) { return pair.name() == name; });
    if (found == pairs.end()) {
        SKIP("this machine has no " << name);
    }
    return *found;
}

} // namespace

TEST_CASE("a tool that asks its upstream proxy for the target passes", "[upstream]") {
    const auto* const mode = GENERATE("via-socks5", "via-socks4", "via-connect-password",
                                      "connect-via-connect", "socks5-via-connect");
    FaultyTunnel tunnel{config_of({"hello", "data.duplex", "connections.*"}), "asks-upstream",
                        mode};
    const auto result = tunnel.run_pair(discover_pairs(tunnel.config()).front());
    INFO(mode << ": " << result.text());
    for (const auto& check : result.checks) {
        INFO(check.account);
        CHECK(check.outcome == Outcome::passed);
    }
}

TEST_CASE("an upstream proxy may be of another family than the target", "[upstream]") {
    const auto family = GENERATE(Family::ipv4, Family::ipv6);
    const auto name = GENERATE("4→6", "6→4", "4→4", "6→6");
    OneFamily tunnel{config_of({"hello"}), family};
    const auto result = tunnel.run_pair(pair_named(tunnel.config(), name));
    INFO(result.checks.front().account);
    CHECK(result.passed());
}

TEST_CASE("who goes past the upstream proxy is told so", "[upstream]") {
    FaultyTunnel tunnel{config_of({"hello"}), "goes-past-on-ipv6", "via-connect"};
    const auto result = tunnel.run_pair(pair_named(tunnel.config(), "4→6"));
    CHECK_THAT(result.checks.front().account,
               ContainsSubstring("the tool connects to nobody but its upstream proxy at") &&
                   ContainsSubstring("to the target itself") &&
                   ContainsSubstring("hint:     it goes to the target itself, not by way of its "
                                     "upstream proxy"));
}

TEST_CASE("a wrong request is told, though a right one follows on another connection",
          "[upstream]") {
    const auto* const mode =
        GENERATE("socks5-via-socks5", "socks5-via-connect", "via-connect-password");
    FaultyTunnel tunnel{config_of({"hello"}), "asks-wrong-port-first", mode};
    const auto result = tunnel.run_pair(discover_pairs(tunnel.config()).front());
    CHECK_THAT(result.checks.front().account, ContainsSubstring("at step \"upstream\"") &&
                                                  ContainsSubstring("expected: the target ") &&
                                                  ContainsSubstring(", wrong at offset "));
}

TEST_CASE("a datagram that goes past the upstream proxy is told", "[upstream]") {
    FaultyTunnel tunnel{config_of({"hello"}), "calls-target", "via-socks5"};
    const auto result = tunnel.run_pair(discover_pairs(tunnel.config()).front());
    CHECK_THAT(result.checks.front().account, ContainsSubstring("a datagram of 1 byte from "));
}

TEST_CASE("an upstream proxy that speaks SOCKS4 without names is asked for IPv4 only",
          "[upstream]") {
    FaultyTunnel tunnel{quiet_config(), "asks-upstream", "via-socks4"};
    for (const auto& pair : tunnel.pairs()) {
        CHECK(pair.svc_listen.address.family() == Family::ipv4);
    }
}

TEST_CASE("a command is told where its upstream proxy is, and its user", "[upstream]") {
    CommandOptions options{.command = {"tool", "{upstream.endpoint}", "{upstream.user}"}};
    CHECK_THROWS_AS((CommandTunnel{quiet_config(), options}), InvalidConfig);
    options.upstream = Socks5Options{};
    CHECK_THROWS_AS((CommandTunnel{quiet_config(), options}), InvalidConfig); // no user
    options.upstream = Socks5Options{.user = "u", .password = "p"};
    CHECK_NOTHROW(CommandTunnel{quiet_config(), options});
    options.upstream = HttpConnectOptions{};
    options.command = {"tool", "{upstream.4=-4}", "{upstream.port}", "{upstream.bracketed}"};
    CHECK_NOTHROW(CommandTunnel{quiet_config(), options});
}
