// Failures that a tool is known for: they do not count, but have to come.

#include <test_tunnel/report/html.hpp>
#include <test_tunnel/report/json.hpp>
#include <test_tunnel/report/junit.hpp>
#include <test_tunnel/run/command_line.hpp>
#include <test_tunnel/run/detail/known_failures.hpp>
#include <test_tunnel/run/tunnel.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <string>
#include <vector>

#include "support/reports.hpp"
#include "support/runs.hpp"

using namespace test_tunnel;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

namespace {

/// A tunnel that swaps parts of what comes from the server, tested by three checks.
PairResult run_swapping(const std::vector<KnownFailure>& known) {
    auto config = support::quiet_config(Level::standard);
    config.only = {"hello", "data.bulk.*"};
    config.known_failures = known;
    support::FaultyTunnel tunnel{config, "swaps-blocks-down"};
    return tunnel.run_pair(support::any_pair(tunnel.config()));
}

CheckResult judged(CheckResult result, const std::vector<KnownFailure>& known) {
    Config config;
    config.known_failures = known;
    detail::judge_by_known(result, config, "4→6", "tool 4→6 / " + result.id);
    return result;
}

RunSettings with_option(const std::string& text) {
    RunSettings settings;
    const auto options = run_options();
    std::find_if(options.begin(), options.end(), [](const RunOption& option) {
        return std::string{option.name} == "--known-failure";
    })->set(settings, text);
    return settings;
}

} // namespace

TEST_CASE("a tunnel passes that fails in the way that it is known for") {
    const auto unknown = run_swapping({});
    CHECK_FALSE(unknown.passed());
    REQUIRE(unknown.count(Outcome::failed) == 1);
    const auto failure = std::find_if(unknown.checks.begin(), unknown.checks.end(),
                                      [](const auto& check) { return is_failure(check.outcome); });
    REQUIRE(failure->id == "data.bulk.down");

    const auto known = run_swapping({{.check = "data.bulk.down", .text = "different from offset"}});
    CAPTURE(failure->actual);
    CHECK(known.passed());
    CHECK(known.count(Outcome::known_failure) == 1);
    CHECK(known.count(Outcome::passed) == 2);
}

TEST_CASE("a tunnel passes that is known to fail at once, so that nothing else can be tried") {
    auto config = support::quiet_config(Level::standard);
    config.only = {"hello", "data.bulk.*"};
    config.known_failures = {{.check = "hello", .text = "exited with status 4"}};
    support::FaultyTunnel tunnel{config, "exits"};
    const auto result = tunnel.run_pair(support::any_pair(tunnel.config()));
    INFO(result.checks.front().account);
    CHECK(result.passed());
    CHECK(result.count(Outcome::known_failure) == 1);
    CHECK(result.count(Outcome::not_applicable) == 2);
    CHECK_THAT(result.checks.back().account, ContainsSubstring("hello is known to fail"));
}

TEST_CASE("a tunnel fails that no longer fails in the way that it was known for") {
    const auto result = run_swapping({{.check = "data.bulk.down", .text = "different from offset"},
                                      {.check = "data.bulk.up", .text = "different from offset"}});
    CHECK_FALSE(result.passed());
    REQUIRE(result.count(Outcome::failed) == 1);
    const auto failure =
        std::find_if(result.checks.begin(), result.checks.end(),
                     [](const CheckResult& check) { return check.outcome == Outcome::failed; });
    CHECK(failure->id == "data.bulk.up");
    CHECK(failure->step == "known failure");
    CHECK_THAT(failure->account,
               ContainsSubstring("\"different from offset\" (Config::known_failures)"));
    CHECK_THAT(failure->account, ContainsSubstring("it is no longer known to fail"));
}

TEST_CASE("a failure is known by what it tells, however its lines are broken") {
    const auto failure = support::failed_check("idle", "12 bytes,\n  then the  end");
    const auto known_as = [&](const std::string& text, const std::string& pair = "") {
        return judged(failure, {{.check = "idle", .text = text, .pair = pair}});
    };
    CHECK(known_as("bytes, then the end").outcome == Outcome::known_failure);
    CHECK(known_as("echo").outcome == Outcome::known_failure);
    CHECK(known_as("the bytes that were").outcome == Outcome::known_failure);
    CHECK(known_as("then the end", "4-6").outcome == Outcome::known_failure);
    CHECK(known_as("then the end", "6→6").outcome == Outcome::failed);
    const auto other = known_as("no bytes");
    CHECK(other.outcome == Outcome::failed);
    CHECK_THAT(other.account, ContainsSubstring("\n  known:    another failure: \"no bytes\""));
    CHECK(judged(failure,
                 {{.check = "idle", .text = "no bytes"}, {.check = "idle", .text = "the end"}})
              .outcome == Outcome::known_failure);
    CHECK(judged(failure, {{.check = "hello", .text = "the end"}}).account == failure.account);
}

TEST_CASE("a check may pass that is known to fail in some runs only") {
    const std::vector<KnownFailure> known{{.check = "idle", .text = "t", .comes_always = false}};
    CHECK(judged(support::passed_check("idle"), known).outcome == Outcome::passed);
    CHECK(judged(support::failed_check("idle", "t"), known).outcome == Outcome::known_failure);
    CHECK(judged(support::failed_check("idle", "x"),
                 {{.check = "idle", .text = "another", .comes_always = false}})
              .outcome == Outcome::failed);
}

TEST_CASE("what was not tried, or does not concern the tool, is no failure that is known") {
    for (const auto outcome : {Outcome::skipped, Outcome::not_applicable}) {
        const auto result =
            judged(support::other_check("idle", outcome, "why"), {{.check = "idle", .text = "t"}});
        CHECK(result.outcome == outcome);
    }
}

TEST_CASE("a known failure that can't come is told before anything is tested") {
    auto config = support::quiet_config(Level::standard);
    const auto error_of = [&](KnownFailure known) {
        config.known_failures = {std::move(known)};
        try {
            select(config, checks());
        } catch (const InvalidConfig& error) {
            return std::string{error.what()};
        }
        return std::string{};
    };
    CHECK_THAT(error_of({.check = "data.bulk.upp", .text = "t"}),
               StartsWith("known failure 'data.bulk.upp': there is no such check; did you mean "
                          "data.bulk.up? There are: hello, "));
    CHECK_THAT(error_of({.check = "idle", .text = " \n"}), StartsWith("known failure 'idle': "));
    CHECK_THAT(error_of({.check = "idle", .text = "t", .pair = "5-6"}), StartsWith("'5-6' is no"));
    CHECK(error_of({.check = "idle", .text = "t"}).empty());
}

TEST_CASE("the option names check and text, and the combination where there is but one") {
    const auto known = with_option("4-6/idle=a = b/c").config.known_failures;
    REQUIRE(known.size() == 1);
    CHECK(known[0].check == "idle");
    CHECK(known[0].text == "a = b/c");
    CHECK(known[0].pair == "4→6");
    CHECK(with_option("idle=x").config.known_failures.at(0).pair.empty());
    CHECK_THROWS_AS(with_option("idle"), InvalidConfig);
    CHECK_THROWS_AS(with_option("7-6/idle=x"), InvalidConfig);
}

TEST_CASE("every report shows a known failure, and counts it as none") {
    auto report = support::report();
    auto& checks = report.pairs.front().checks;
    checks[1].outcome = Outcome::known_failure;
    checks.pop_back(); // what was skipped
    CHECK(report.passed());
    CHECK_THAT(report.summary(), ContainsSubstring("2 of 2 combinations passed"));
    CHECK_THAT(report.summary(), ContainsSubstring("known to fail: data.bulk (4→4)"));
    CHECK_THAT(report.summary(), ContainsSubstring("ok     known  "));
    CHECK(report.failures().empty());
    CHECK_THAT(report.pairs.front().text(), StartsWith("passed: 3 checks, 1 known failure, "));

    const auto json = to_json({report});
    CHECK_THAT(json, ContainsSubstring(R"("outcome": "known_failure")"));
    CHECK_THAT(json, ContainsSubstring(R"("actual": "other bytes")"));
    const auto html = to_html({report});
    CHECK_THAT(html, ContainsSubstring("data.bulk: known failure"));
    CHECK_THAT(html, ContainsSubstring("<a href=\"#run0-44-data.bulk\">"));
    const auto junit = to_junit({report});
    CHECK_THAT(junit, ContainsSubstring("failures=\"0\""));
    CHECK_THAT(junit, ContainsSubstring("<skipped message=\"known failure: the whole account"));
}
