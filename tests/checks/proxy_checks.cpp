// The checks of PROXY headers on tools that are correct, that differ, or that are declared to.

#include <test_tunnel/run/tunnel.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <string>

#include "support/runs.hpp"

using namespace test_tunnel;
using Catch::Matchers::ContainsSubstring;
using support::notes_of;

namespace {

struct Trial {
    std::string check;
    std::string behaviour = "none";
    std::string mode = "proxy-v2";
    Traits traits{};
};

CheckResult result_of(const Trial& trial) {
    return support::run_check(trial.check, Level::strict, trial.behaviour, trial.mode,
                              trial.traits);
}

} // namespace

TEST_CASE("a tool that expects no PROXY header is not tried with one", "[proxy_checks]") {
    const auto* const check = GENERATE("proxy.glued", "proxy.local", "proxy.passed_on", "proxy.cut",
                                       "proxy.extensions", "proxy.invalid", "proxy.truncated");
    const auto result = result_of({.check = check, .mode = "forward"});
    CHECK(result.outcome == Outcome::not_applicable);
    CHECK_THAT(result.account, ContainsSubstring("TestTunnel::client_header"));
}

TEST_CASE("clients elsewhere are served, and told of where the tool tells", "[proxy_checks]") {
    const auto* const mode = GENERATE("proxy-v1", "proxy-v2", "proxy-both");
    const auto result =
        result_of({.check = "proxy.passed_on", .behaviour = "header-plain", .mode = mode});
    INFO(result.account);
    CHECK(result.outcome == Outcome::passed);
}

TEST_CASE("values are tried where version 2 is taken", "[proxy_checks]") {
    const auto result =
        result_of({.check = "proxy.extensions", .behaviour = "header-plain", .mode = "proxy-v1"});
    CHECK(result.outcome == Outcome::not_applicable);
    const auto either = result_of(
        {.check = "proxy.extensions", .behaviour = "header-any-version-in", .mode = "proxy-v1"});
    INFO(either.account);
    CHECK(either.outcome == Outcome::passed);
    CHECK_THAT(notes_of(either), ContainsSubstring("does not verify the checksum"));
}

TEST_CASE("declared as they are, tools that take headers their own way pass", "[proxy_checks]") {
    const auto trial = GENERATE(
        Trial{"proxy.cut", "header-in-one-segment", "proxy-v1", {.header_in_one_segment = true}},
        Trial{"proxy.cut", "header-in-one-segment", "proxy-v2", {.header_in_one_segment = true}},
        Trial{"proxy.extensions", "header-limit-107", "proxy-v2", {.longest_header = 107}},
        Trial{"proxy.invalid", "header-optional", "proxy-v1", {.requires_header = false}},
        Trial{"proxy.invalid", "header-optional", "proxy-v2", {.requires_header = false}},
        Trial{"proxy.local", "header-refuses-unknown", "proxy-v1", {.takes_unknown = false}},
        Trial{
            "proxy.passed_on", "header-tells-own-peer", "proxy-both", {.passes_client_on = false}},
        Trial{"proxy.invalid", "header-bare-lf", "proxy-v1", {.accepts = {"proxy.v1.line_end"}}});
    CAPTURE(trial.check, trial.behaviour, trial.mode);
    const auto result = result_of(trial);
    INFO(result.account);
    CHECK(result.outcome == Outcome::passed);
    CHECK_FALSE(result.notes.empty());
}

TEST_CASE("declared worse than they are, tools are better with headers", "[proxy_checks]") {
    const auto trial = GENERATE(
        Trial{"proxy.cut", "header-plain", "proxy-v1", {.header_in_one_segment = true}},
        Trial{"proxy.invalid", "header-plain", "proxy-v1", {.requires_header = false}},
        Trial{"proxy.local", "header-plain", "proxy-v1", {.takes_unknown = false}},
        Trial{"proxy.passed_on", "header-plain", "proxy-both", {.passes_client_on = false}});
    CAPTURE(trial.check, trial.behaviour, trial.mode);
    const auto result = result_of(trial);
    INFO(result.account);
    CHECK(result.outcome == Outcome::passed);
    CHECK_THAT(notes_of(result), ContainsSubstring("better than declared (Traits::"));
}

TEST_CASE("what is declared of headers excuses nothing else", "[proxy_checks]") {
    const auto trial = GENERATE(
        Trial{"proxy.cut", "header-hangs-on-pieces", "proxy-v1", {.header_in_one_segment = true}},
        Trial{"proxy.extensions", "header-limit-512", "proxy-v2", {.longest_header = 2000}},
        Trial{"proxy.extensions", "header-leaks-beyond-1k", "proxy-v2", {.longest_header = 536}},
        Trial{"proxy.invalid", "header-eats-garbage", "proxy-v2", {.requires_header = false}},
        Trial{"proxy.local", "header-leaks-unknown", "proxy-v1", {.takes_unknown = false}},
        Trial{"proxy.passed_on",
              "header-tells-other-port",
              "proxy-both",
              {.passes_client_on = false}});
    CAPTURE(trial.check, trial.behaviour, trial.mode);
    CHECK(result_of(trial).outcome == Outcome::failed);
}
