// What becomes of connections when a tool reloads or is to end, where correct tools differ.

#include <test_tunnel/run/command_tunnel.hpp>
#include <test_tunnel/run/tunnel.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <csignal>
#include <string>

#include "support/runs.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using support::notes_of;

namespace {

CheckResult result_of(const std::string& check, const std::string& behaviour,
                      const Traits& traits = {}) {
    return support::run_check(check, Level::strict, behaviour, "forward", traits);
}

/// What comes of a reload of the correct forwarder by such options.
CheckResult result_of(CommandOptions options, const std::string& check = "life.reload") {
    auto config = support::quiet_config(Level::strict);
    config.only = {check};
    config.timeouts.start = 2s;
    options.command = {FAULTY_TUNNEL,      "{listen.address}", "{listen.port}", "{source.address}",
                       "{target.address}", "{target.port}",    "none",          "forward"};
    CommandTunnel tunnel{config, options};
    return tunnel.run_pair(support::any_pair(config)).checks.at(0);
}

} // namespace

TEST_CASE("a tool that does not say how it reloads is not asked to", "[reload_checks]") {
    const auto result = result_of({});
    CHECK(result.outcome == Outcome::not_applicable);
    CHECK_THAT(result.account, ContainsSubstring("TestTunnel::reload"));
}

TEST_CASE("a tool reloads by a signal, or by a command that ends with status 0",
          "[reload_checks]") {
    CommandOptions options;
    SECTION("a signal") {
        options.reload_signal = SIGHUP;
    }
    SECTION("a command") {
        options.reload_command = {"kill", "-HUP", "{pid}"};
    }
    const auto result = result_of(options);
    INFO(result.account);
    CHECK(result.outcome == Outcome::passed);
}

TEST_CASE("a command that can't have the tool reload fails", "[reload_checks]") {
    const auto result = result_of({.reload_command = {"kill", "-HUP", "{pid}x"}});
    CHECK(result.outcome == Outcome::failed);
    CHECK_THAT(result.actual, ContainsSubstring("kill -HUP") && ContainsSubstring("status"));
}

TEST_CASE("a broken configuration is in place while a tool is told to reload it, and then its own",
          "[reload_checks]") {
    CommandOptions options{.files = {{"tool.conf", "own, for {listen.port}"}},
                           .broken_config = "broken, for {listen.port}"};
    const auto broken = [&](std::string then) {
        options.reload_command = {
            "sh", "-c",
            fmt::format("if grep -q '^broken, for [0-9]' {{config}}; then {}; fi; "
                        "grep -q '^own, for [0-9]' {{config}} && kill -HUP {{pid}}",
                        then)};
        return result_of(options, "life.broken_reload");
    };
    const auto refused = broken("exit 1");
    INFO(refused.account);
    CHECK(refused.outcome == Outcome::passed);
    const auto taken = broken("kill {pid}");
    CHECK(taken.outcome == Outcome::failed);
    CHECK_THAT(taken.expected, ContainsSubstring("goes on with the one that it has"));
    const auto endless = broken("exec sleep 60");
    CHECK(endless.outcome == Outcome::failed);
    CHECK_THAT(endless.actual, ContainsSubstring("it has not"));
    options.broken_config.reset();
    CHECK(broken("exit 1").outcome == Outcome::not_applicable);
}

TEST_CASE("connections that a reload cuts are to be declared", "[reload_checks]") {
    const auto undeclared = result_of("life.reload", "reload-cuts-connections");
    CHECK(undeclared.outcome == Outcome::failed);
    CHECK_THAT(undeclared.actual, ContainsSubstring("Traits::keeps_on_reload = false"));

    const auto declared =
        result_of("life.reload", "reload-cuts-connections", {.keeps_on_reload = false});
    INFO(declared.account);
    CHECK(declared.outcome == Outcome::passed);
    CHECK_THAT(notes_of(declared),
               ContainsSubstring("(declared: Traits::keeps_on_reload = false)"));

    const auto better = result_of("life.reload", "none", {.keeps_on_reload = false});
    CHECK(better.outcome == Outcome::passed);
    CHECK_THAT(notes_of(better), ContainsSubstring("better than declared"));
}

TEST_CASE("that connections are cut excuses none that is hidden, and no client",
          "[reload_checks]") {
    const std::string behaviour = GENERATE("reload-hides-cut", "reload-refuses");
    const auto result = result_of("life.reload", behaviour, {.keeps_on_reload = false});
    CHECK(result.outcome == Outcome::failed);
}

TEST_CASE("what is under way at SIGTERM arrives where that is declared", "[reload_checks]") {
    const auto noted = result_of("stop.drain", "none");
    INFO(noted.account);
    CHECK(noted.outcome == Outcome::passed);
    CHECK_THAT(notes_of(noted), ContainsSubstring("(undeclared: Traits::drains = false)"));
    CHECK(result_of("stop.drain", "none", {.drains = false}).outcome == Outcome::passed);

    const auto cut = result_of("stop.drain", "none", {.drains = true});
    CHECK(cut.outcome == Outcome::failed);
    CHECK_THAT(cut.expected, ContainsSubstring("as declared (Traits::drains = true)"));

    const auto drained = result_of("stop.drain", "finishes-connections", {.drains = true});
    INFO(drained.account);
    CHECK(drained.outcome == Outcome::passed);
    const auto better = result_of("stop.drain", "finishes-connections", {.drains = false});
    CHECK(better.outcome == Outcome::passed);
    CHECK_THAT(notes_of(better), ContainsSubstring("better than declared"));
}
