// A tool that listens somewhere else than it was told to.

#include <test_tunnel/base/text.hpp>
#include <test_tunnel/run/command_tunnel.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "support/quiet_config.hpp"
#include "support/recording_log.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

ConfigProg quick(std::string pair) {
    auto config = support::quiet_config();
    config.only = {"hello"};
    config.pairs = {std::move(pair)};
    config.timeouts.connect = 60s;
    return config;
}

const Command forwarder{FAULTY_TUNNEL,      "{listen.address}", "{listen.port}", "{source.address}",
                        "{target.address}", "{target.port}",    "none",          "forward"};

/// A program that does `first`, and then becomes a tunnel.
Command then_forwards(Command first) {
    first.insert(first.begin(), CHILD_PROGRAM);
    first.emplace_back("exec");
    first.insert(first.end(), forwarder.begin(), forwarder.end());
    return first;
}

CheckResult result_of(const ConfigProg& config, Command command) {
    auto report = CommandTunnel{config, {.command = std::move(command)}}.run_all();
    return report.pairs.at(0).checks.at(0);
}

} // namespace

TEST_CASE("a tool that listens on its port of another address is told at once", "[elsewhere]") {
    const auto [pair, address] = GENERATE(std::pair<std::string, std::string>{"4-4", "127.0.0.9"},
                                          std::pair{"6-4", "0.0.0.0"});
    const auto begin = Clock::now();
    const auto result =
        result_of(quick(pair), {CHILD_PROGRAM, "bind", address, "{listen.port}", "listen", "wait"});
    CHECK(result.outcome == Outcome::failed);
    CHECK(result.step_kind == StepKind::connect);
    CHECK_THAT(result.actual, ContainsSubstring("it listens at " + address + ":") &&
                                  ContainsSubstring(", and not there"));
    CHECK(Clock::now() - begin < 30s);
}

TEST_CASE("a tool that is not told its port is not waited for", "[elsewhere]") {
    const auto begin = Clock::now();
    const auto result = result_of(
        quick("4-4"), {CHILD_PROGRAM, "bind", "0.0.0.0", "{inner.port}", "listen", "wait"});
    CHECK(result.outcome == Outcome::failed);
    CHECK_THAT(result.actual,
               ContainsSubstring("it listens at 0.0.0.0:") && ContainsSubstring(", and not there"));
    CHECK(Clock::now() - begin < 30s);
}

TEST_CASE("a tool that listens on another port only is told where", "[elsewhere]") {
    support::RecordingLog log;
    auto config = quick("4-4");
    config.log = log.config().log;
    config.timeouts.connect = 3s;
    const auto patience = text_of(scaled(config.timeouts.connect));
    const auto result = result_of(config, {CHILD_PROGRAM, "bind", "127.0.0.9", "{inner2.port}",
                                           "listen", "wait", "not {listen.port}"});
    CHECK(result.outcome == Outcome::failed);
    CHECK_THAT(result.actual,
               ContainsSubstring("refused for " + patience + "; the tool listens at 127.0.0.9:"));
    CHECK(log.contains("until " + patience + " are over; so far it listens at 127.0.0.9:"));
}

TEST_CASE("a tool may listen on another port first", "[elsewhere]") {
    const auto result = result_of(
        quick("4-4"), then_forwards({"bind", "127.0.0.9", "0", "listen", "sleep", "2500"}));
    INFO(result.account);
    CHECK(result.outcome == Outcome::passed);
}

TEST_CASE("a tool of several processes may listen for itself first", "[elsewhere]") {
    // One process has the tool's port of another address, which the other one is still to use.
    const auto result =
        result_of(quick("4-4"), then_forwards({"fork", "bind", "127.0.0.9", "{listen.port}",
                                               "listen", "wait", "parent", "sleep", "2500"}));
    INFO(result.account);
    CHECK(result.outcome == Outcome::passed);
}

TEST_CASE("where companions listen is no fault of the tool", "[elsewhere]") {
    const auto report = CommandTunnel{
        quick("4-4"),
        {.command = then_forwards({"sleep", "2500"}),
         .companions = {
             {CHILD_PROGRAM, "bind", "127.0.0.9", "{listen.port}", "listen",
              "wait"}}}}.run_all();
    INFO(report.text());
    CHECK(report.passed());
}
