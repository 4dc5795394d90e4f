#include <test_tunnel/run/check.hpp>
#include <test_tunnel/run/tunnel.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <set>

#include "support/checked.hpp"
#include "support/child.hpp"
#include "support/faulty_tunnel.hpp"
#include "support/quiet_config.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
using support::any_pair;
using support::Checked;
using support::fail;
using support::FaultyTunnel;
using support::first;
using support::Ids;
using support::pass;
using support::quiet_config;
using support::story;

namespace {

/// For a tool that fails by not doing something.
ConfigProg impatient_config() {
    auto config = quiet_config();
    config.timeouts.io = 1s;
    config.timeouts.stop = 1s;
    config.timeouts.linger = 500ms;
    return config;
}

/// Prepares a text.
std::string prepare(PairRun& run) {
    run.step("ahead", "what is done ahead is told, too");
    pass(run);
    story.back() = "prepare";
    return "prepared";
}

void use_prepared(PairRun& /*run*/, std::string& text) {
    story.push_back("use what was " + text);
}

Check waiting() {
    return prepared_check<prepare, use_prepared>({.id = "waiting", .title = "it waits"});
}

} // namespace

// --- One check after the other

TEST_CASE("a check of one's own is run like all others", "[checks]") {
    Checked tunnel{{first(), {.id = "own", .title = "one's own", .run = pass}}};
    const auto result = tunnel.run_pair(any_pair(tunnel.config()));
    REQUIRE(result.checks.size() == 2);
    CHECK(result.checks[1].id == "own");
    CHECK(result.checks[1].outcome == Outcome::passed);
    CHECK(result.passed());
    CHECK(tunnel.started.size() == 1); // one tool does for all that pass
    CHECK_FALSE(support::has_children());
}

TEST_CASE("a check that fails does not hide the next one", "[checks]") {
    Checked tunnel{{{.id = "bad", .title = "it fails", .run = fail},
                    {.id = "good", .title = "it does not", .run = pass}}};
    const auto result = tunnel.run_pair(any_pair(tunnel.config()));
    REQUIRE(result.checks.size() == 2);
    CHECK(result.checks[0].outcome == Outcome::failed);
    CHECK(result.checks[0].expected == "a success");
    CHECK(result.checks[0].actual == "a failure");
    CHECK(result.checks[1].outcome == Outcome::passed);
    CHECK_FALSE(result.passed());
    CHECK(story == Ids{"fail", "pass"});
    CHECK_FALSE(support::has_children());
}

TEST_CASE("after a check that has failed the tool is started anew, on other ports", "[checks]") {
    Checked tunnel{{{.id = "bad", .title = "it fails", .run = fail},
                    {.id = "worse", .title = "it fails, too", .run = fail},
                    {.id = "good", .title = "it does not", .run = pass}}};
    static_cast<void>(tunnel.run_pair(any_pair(tunnel.config())));
    REQUIRE(tunnel.started.size() == 3);
    const std::set<std::uint16_t> ports{tunnel.started[0].port, tunnel.started[1].port,
                                        tunnel.started[2].port};
    CHECK(ports.size() == 3);
    CHECK(tunnel.started[0].address == tunnel.started[2].address);
}

TEST_CASE("a fault that one check finds fails no other", "[checks]") {
    auto config = impatient_config();
    config.only = {"hello", "data.bulk.*", "data.bytes", "stop.idle"};
    FaultyTunnel tunnel{config, "corrupts-late-up"};
    const auto result = tunnel.run_pair(any_pair(config));
    CHECK(result.count(Outcome::failed) == 1);
    CHECK(result.checks.at(1).id == "data.bulk.up");
    CHECK(result.checks.at(1).outcome == Outcome::failed);
    CHECK(result.count(Outcome::passed) == 4);
}

TEST_CASE("when hello has failed nothing else is tried, and the reason told", "[checks]") {
    Checked tunnel{checks(), "exits"};
    const auto result = tunnel.run_pair(any_pair(tunnel.config()));
    const auto selected = select(tunnel.config(), checks()).size();
    REQUIRE(result.checks.size() == selected);
    CHECK(result.checks[0].outcome == Outcome::failed);
    CHECK(result.count(Outcome::skipped) == selected - 1);
    CHECK(result.checks[1].id == "address.source");
    CHECK(result.checks[1].account == "not tried, since hello failed");
    CHECK_FALSE(result.passed());
    CHECK(tunnel.started.size() == 1);
}

TEST_CASE("where hello is not selected its failure is not known, and all is tried", "[checks]") {
    auto config = quiet_config();
    config.except = {"hello"};
    Checked tunnel{{first(), {.id = "hello", .title = "it fails", .run = fail}}, "none", config};
    CHECK(tunnel.run_pair(any_pair(config)).passed());
}

TEST_CASE("an error of the set-up in a check is none of the tool", "[checks]") {
    Checked tunnel{{{.id = "odd", .title = "it can't be done here", .run = [](PairRun& run) {
                         pass(run);
                         throw PermissionDenied{"not here"};
                     }}}};
    CHECK_THROWS_WITH(static_cast<void>(tunnel.run_pair(any_pair(tunnel.config()))), "not here");
    CHECK_FALSE(support::has_children());
}

TEST_CASE("a tool that dies without being looked at fails the check that it dies in", "[checks]") {
    Checked tunnel{{{.id = "deadly",
                     .title = "the tool dies of it",
                     .run =
                         [](PairRun& run) {
                             auto connection = run.connect();
                             connection.client.write("!");
                             run.tool().wait_for_end(support::soon());
                         }},
                    {.id = "next",
                     .title = "it is not to be blamed",
                     .run = [](PairRun& run) { auto connection = run.connect(); }}},
                   "exits-in-transfer"};
    const auto result = tunnel.run_pair(any_pair(tunnel.config()));
    CHECK(result.checks.at(0).outcome == Outcome::failed);
    CHECK(result.checks.at(0).step == "afterwards");
    CHECK_THAT(result.checks.at(0).actual, ContainsSubstring("exited with status 7 by itself"));
    CHECK(result.checks.at(1).outcome == Outcome::passed);
}

// --- Notes

namespace {

void note(PairRun& run) {
    run.note("it is odd");
    run.note("it is odd", "reset");
    if (run.pair().name() == "4→6" || run.pair().name() == "6→4") {
        run.note("it is odd here");
    }
}

std::vector<Check> noting() {
    return {{.id = "one", .title = "it notes something", .run = note},
            {.id = "two", .title = "it notes the same", .run = note}};
}

} // namespace

TEST_CASE("what is noted twice is told once for a pair", "[checks]") {
    Checked tunnel{noting()};
    const auto result = tunnel.run_pair(any_pair(tunnel.config()));
    CHECK(result.passed());
    CHECK(result.checks.at(0).notes == std::vector<Note>{{"", "it is odd"}});
    CHECK(result.checks.at(1).notes.empty());
    CHECK(tunnel.started.empty()); // nobody has needed it
}

TEST_CASE("a summary tells a note once, with the pairs where it is not for all", "[checks]") {
    Checked tunnel{noting()};
    const auto report = tunnel.run_all();
    REQUIRE(report.pairs.size() == 4);
    const auto summary = report.summary();
    CHECK_THAT(summary,
               ContainsSubstring("\n  note: it is odd\n  note: it is odd here (4→6, 6→4)"));
    CHECK(summary.find("it is odd\n") == summary.rfind("it is odd\n"));
}

TEST_CASE("notes are told for a check that fails, too", "[checks]") {
    Checked tunnel{{{.id = "bad", .title = "it fails", .run = [](PairRun& run) {
                         run.note("it is odd");
                         fail(run);
                     }}}};
    const auto result = tunnel.run_pair(any_pair(tunnel.config()));
    CHECK(result.checks.at(0).notes == std::vector<Note>{{"", "it is odd"}});
}

// --- What does not concern a tool

TEST_CASE("a check that a tool's trait excuses is not applicable, and says why", "[checks]") {
    auto config = impatient_config();
    config.only = {"hello", "connections.isolation"};
    FaultyTunnel tunnel{config, "one-at-a-time"};
    const auto result = tunnel.run_pair(any_pair(config));
    REQUIRE(result.checks.size() == 2);
    CHECK(result.checks[1].outcome == Outcome::not_applicable);
    CHECK(result.checks[1].account == "it serves one connection at a time (Traits::concurrent)");
    CHECK(result.passed());
    CHECK_THAT(result.text(), StartsWith("passed: 1 check, 1 not applicable, "));
}

TEST_CASE("a pair on which nothing was applicable has not passed", "[checks]") {
    Checked tunnel{{{.id = "never", .title = "it concerns no tool", .run = [](PairRun& /*run*/) {
                         throw NotApplicable{"never"};
                     }}}};
    const auto result = tunnel.run_pair(any_pair(tunnel.config()));
    CHECK(result.checks.at(0).outcome == Outcome::not_applicable);
    CHECK_FALSE(result.passed());
}

// --- What is done ahead

TEST_CASE("what a check prepares is done ahead of the others, once", "[checks]") {
    Checked tunnel{{first(), {.id = "between", .title = "another one", .run = pass}, waiting()}};
    const auto result = tunnel.run_pair(any_pair(tunnel.config()));
    CHECK(story == Ids{"pass", "prepare", "pass", "use what was prepared"});
    CHECK(result.passed());
    CHECK(result.checks.size() == 3);
    CHECK(tunnel.started.size() == 1);
}

TEST_CASE("what was done ahead is part of the check's account", "[checks]") {
    Checked tunnel{{first(), waiting()}};
    const auto result = tunnel.run_pair(any_pair(tunnel.config()));
    const auto& steps = result.checks.at(1).steps;
    CHECK(std::any_of(steps.begin(), steps.end(),
                      [](const Step& step) { return step.name == "ahead"; }));
}

TEST_CASE("what was prepared for a tool that was replaced is prepared anew", "[checks]") {
    Checked tunnel{{first(), {.id = "between", .title = "it fails", .run = fail}, waiting()}};
    const auto result = tunnel.run_pair(any_pair(tunnel.config()));
    CHECK(story == Ids{"pass", "prepare", "fail", "prepare", "use what was prepared"});
    CHECK(result.checks.at(2).outcome == Outcome::passed);
    CHECK(tunnel.started.size() == 2);
}

TEST_CASE("what a check prepares is done by itself where there is no hello", "[checks]") {
    Checked tunnel{{{.id = "between", .title = "another one", .run = pass}, waiting()}};
    const auto result = tunnel.run_pair(any_pair(tunnel.config()));
    CHECK(story == Ids{"pass", "prepare", "use what was prepared"});
    CHECK(result.passed());
}

TEST_CASE("nothing is done ahead with a tool that serves one connection at a time", "[checks]") {
    Checked tunnel{{first(), {.id = "between", .title = "another one", .run = pass}, waiting()},
                   "one-at-a-time",
                   impatient_config()};
    const auto result = tunnel.run_pair(any_pair(tunnel.config()));
    INFO(result.text());
    CHECK(story == Ids{"pass", "pass", "prepare", "use what was prepared"});
    CHECK(result.passed());
}

TEST_CASE("a check that fails ahead has failed, in its place, and is not run", "[checks]") {
    constexpr auto fail_ahead = [](PairRun& run) -> std::string {
        fail(run);
        return {};
    };
    const auto failing =
        prepared_check<fail_ahead, use_prepared>({.id = "waiting", .title = "it waits"});
    Checked tunnel{{first(), {.id = "between", .title = "another one", .run = pass}, failing}};
    const auto result = tunnel.run_pair(any_pair(tunnel.config()));
    CHECK(story == Ids{"pass", "fail", "pass"});
    REQUIRE(result.checks.size() == 3);
    CHECK(result.checks[1].outcome == Outcome::passed);
    CHECK(result.checks[2].id == "waiting");
    CHECK(result.checks[2].outcome == Outcome::failed);
    CHECK_THAT(result.checks[2].account, ContainsSubstring(" / waiting: failed at step "));
}

// --- Data

namespace {

void tell_data(PairRun& run) {
    for (const auto number : {std::uint64_t{0}, std::uint64_t{1}}) {
        story.push_back(hex(run.pattern(number).bytes(0, 16)));
    }
}

std::vector<Check> telling() {
    return {{.id = "one", .title = "it tells its data", .run = tell_data},
            {.id = "two", .title = "it does the same", .run = tell_data}};
}

/// All data of a run on all pairs.
std::vector<std::string> data_of(std::optional<std::uint64_t> seed) {
    auto config = quiet_config();
    config.seed = seed;
    Checked tunnel{telling(), "none", config};
    tunnel.run_all();
    return story;
}

} // namespace

TEST_CASE("the same seed makes the same data", "[checks]") {
    CHECK(data_of(7) == data_of(7));
}

TEST_CASE("another seed makes other data", "[checks]") {
    const auto [one, other] =
        GENERATE(std::pair{std::optional<std::uint64_t>{7}, std::optional<std::uint64_t>{8}},
                 std::pair{std::optional<std::uint64_t>{}, std::optional<std::uint64_t>{}});
    const auto before = data_of(one);
    const auto after = data_of(other);
    const std::set<std::string> known{before.begin(), before.end()};
    CHECK(std::none_of(after.begin(), after.end(),
                       [&](const std::string& data) { return known.contains(data); }));
}

TEST_CASE("data differ by the pair, the check and the number", "[checks]") {
    const auto all = data_of(7);
    CHECK(all.size() == 4U * 2U * 2U);
    CHECK(std::set<std::string>{all.begin(), all.end()}.size() == all.size());
}

TEST_CASE("the data of a check do not depend on which others are run", "[checks]") {
    auto config = quiet_config();
    config.seed = 7;
    Checked tunnel{telling(), "none", config};
    static_cast<void>(tunnel.run_pair(any_pair(config)));
    const auto both = story;
    config.only = {"two"};
    Checked alone{telling(), "none", config};
    static_cast<void>(alone.run_pair(any_pair(config)));
    CHECK(story == Ids{both.begin() + 2, both.end()});
}

TEST_CASE("the seed is in the report and in the account of a failure", "[checks]") {
    auto config = quiet_config();
    config.seed = 18446744073709551615U;
    Checked tunnel{{{.id = "bad", .title = "it fails", .run = fail}}, "none", config};
    const auto report = tunnel.run_all();
    CHECK(report.seed == config.seed);
    CHECK(tunnel.seed() == config.seed);
    CHECK_THAT(report.pairs.at(0).checks.at(0).account,
               ContainsSubstring("\n  seed:     18446744073709551615\n"));
}

TEST_CASE("a seed that was drawn by lot is the report's, too", "[checks]") {
    Checked tunnel{noting()};
    CHECK(tunnel.run_all().seed == tunnel.seed());
}

// --- Strict

TEST_CASE("the bare forwarder passes quick checks at the level strict", "[checks]") {
    auto config = quiet_config();
    config.level = Level::strict;
    config.only = {"hello",         "address.*",          "data.b*", "data.tiny", "reset.*",
                   "target.resets", "target.unreachable", "stop.*"};
    config.except = {"stop.dialling"}; // of plain tools only
    const auto* const mode = GENERATE("announce", "forward", "socks5", "connect");
    FaultyTunnel tunnel{config, "none", mode};
    const auto result = tunnel.run_pair(any_pair(config));
    for (const auto& check : result.checks) {
        INFO(check.account);
        CHECK(check.outcome == Outcome::passed);
    }
}
