// The summary of a run on a console.

#include <fcntl.h>
#include <test_tunnel/config/console_style.hpp>
#include <test_tunnel/report/detail/ladder.hpp>
#include <test_tunnel/report/detail/report_text.hpp>
#include <test_tunnel/report/html.hpp>
#include <test_tunnel/run/tunnel.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include "support/reports.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

// --- The summary

TEST_CASE("notes that contradict each other name their checks", "[report]") {
    const auto noting = [](const char* id, const char* text, const char* value) {
        auto check = support::passed_check(id);
        check.notes.push_back({"half_close", text, std::nullopt, NamedTrait{"half_close", value}});
        return check;
    };
    Report report;
    report.pairs = {support::pair_result({noting("close.half.up", "half-close: none", "none"),
                                          noting("close.half.down", "half-close: timed", "timed")}),
                    support::pair_result({noting("close.half.down", "half-close: none", "none")})};
    using Texts = std::vector<std::string>;
    const auto texts = [&] {
        Texts result;
        for (const auto& [text, names] : report.notes()) {
            result.push_back(text);
        }
        return result;
    };
    CHECK(texts() == Texts{"half-close: none, seen by close.half.up, close.half.down",
                           "half-close: timed, seen by close.half.down"});
    report.pairs.front().checks.pop_back(); // then all agree
    CHECK(texts() == Texts{"half-close: none"});
}

TEST_CASE("the summary is a table of pairs and groups of checks", "[report]") {
    CHECK(support::report().summary() ==
          "tool: 1 of 2 combinations passed (standard, 7 checks, 512 ms)\n"
          "       hello  data  stop      time\n"
          "  4→4  ok     FAIL  -       250 ms\n"
          "  6→4  ok     ok    ok      250 ms\n"
          "  failed: data.bulk (4→4)\n"
          "  slowest: data.bulk 80 ms (6→4), data.tiny 9 ms (4→4), hello 6 ms (6→4)\n"
          "  note: half-close: timed (4→4)\n"
          "  note: it is odd (4→4)\n"
          "  note: idle is not applicable: it waits for nobody (Traits::idle_timeout)");
}

TEST_CASE("the summary says what the tool has used", "[report]") {
    auto report = support::report();
    CHECK_THAT(report.summary(), !ContainsSubstring("used:")); // it is not known
    report.pairs[0].use = {.cpu = 30ms, .peak_memory = 4'800'000, .peak_descriptors = 9};
    report.pairs[1].use = {.cpu = 40ms, .peak_memory = 4'200'000, .peak_descriptors = 24};
    CHECK_THAT(report.summary(),
               ContainsSubstring(
                   "\n  used: 70 ms of CPU time, 4.8 MB of memory and 24 descriptors at most"));
    CHECK_THAT(to_html({report}), ContainsSubstring("Used: 70 ms of CPU time, 4.8 MB of memory") &&
                                      ContainsSubstring("; 40 ms of CPU time, 4.2 MB"));
    report.pairs[0].use.peak_memory = report.pairs[1].use.peak_memory = 0;
    CHECK_THAT(report.summary(), ContainsSubstring("used: 70 ms of CPU time, 24 descriptors"));
}

TEST_CASE("what was not tried is not among the slowest", "[report]") {
    auto report = support::report();
    const auto not_tried = [](const char* id) {
        return support::other_check(id, Outcome::skipped, "not tried, since hello has failed");
    };
    report.pairs = {
        support::pair_result({support::failed_check("hello", "nothing"), not_tried("data.bulk"),
                              not_tried("data.tiny"), not_tried("idle")})};
    CHECK_THAT(report.summary(), !ContainsSubstring("slowest"));
}

TEST_CASE("what is not applicable for the same reason stands in one line", "[report]") {
    auto report = support::report();
    const auto excused = [](const char* id) {
        return support::other_check(id, Outcome::not_applicable, "it speaks none");
    };
    report.pairs = {
        support::pair_result({support::passed_check("hello"), excused("data.bulk"),
                              excused("data.tiny"), support::passed_check("data.duplex")})};
    CHECK_THAT(report.summary(),
               ContainsSubstring("data.bulk, data.tiny are not applicable: it speaks none"));
    report.pairs.front().checks.pop_back(); // then it is all of them
    CHECK_THAT(report.summary(), ContainsSubstring("data.* are not applicable: it speaks none"));
}

TEST_CASE("the summary has marks and colours on a terminal, in the same columns", "[report]") {
    const auto report = support::report();
    CHECK_THAT(report.summary({.colours = false, .marks = true}),
               ContainsSubstring("\n       hello  data  stop      time"
                                 "\n  4→4  ✓      ✗     ·       250 ms"
                                 "\n  6→4  ✓      ✓     ✓       250 ms\n"));
    const auto coloured = report.summary({.colours = true, .marks = true});
    CHECK_THAT(coloured, StartsWith("tool: \x1b[1;31m1 of 2 combinations passed\x1b[0m (") &&
                             ContainsSubstring("  \x1b[32m✓\x1b[0m      \x1b[1;31m✗\x1b[0m     "));
    // Without the sequences it is the same.
    std::string plain;
    for (std::size_t i = 0; i < coloured.size(); ++i) {
        if (coloured[i] == '\x1b') {
            i = coloured.find('m', i);
        } else {
            plain += coloured[i];
        }
    }
    CHECK(plain == report.summary({.colours = false, .marks = true}));
}

TEST_CASE("a wide table moves together", "[report]") {
    Report report;
    std::vector<CheckResult> checks;
    for (const auto* const id : {"hello", "address.a", "data.a", "close.a", "target.a", "idle",
                                 "reset.a", "flow.a", "connections.a", "stop.a"}) {
        checks.push_back(support::passed_check(id));
    }
    report.pairs = {support::pair_result(checks)};
    CHECK_THAT(
        report.summary(),
        ContainsSubstring(
            "\n       hello address data close target idle reset flow connections stop     time"
            "\n  4→4  ok    ok      ok   ok    ok     ok   ok    ok   ok          ok     250 ms"));
}

TEST_CASE("a run that was stopped has not passed, and says why", "[report]") {
    auto report = support::report();
    report.pairs.erase(report.pairs.begin());
    REQUIRE(report.passed());
    report.error = "no descriptors are left";
    CHECK_FALSE(report.passed());
    CHECK_THAT(report.summary(), ContainsSubstring("\n  stopped: no descriptors are left\n"));
    report.pairs.clear();
    CHECK_THAT(report.summary(), EndsWith("\n  stopped: no descriptors are left"));
}

TEST_CASE("a console is a terminal with colours, unless the environment says otherwise",
          "[report]") {
    const detail::UniqueFd terminal{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
    REQUIRE(terminal);
    const detail::UniqueFd file{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
    // Each test has a process of its own.
    const auto set = [](const char* name, const char* value) { ::setenv(name, value, 1); };
    set("TERM", "xterm");
    set("NO_COLOR", "");
    set("LC_ALL", "C.UTF-8");
    CHECK(console_style(terminal.get()).colours);
    CHECK(console_style(terminal.get()).marks);
    CHECK_FALSE(console_style(file.get()).colours);
    CHECK_FALSE(console_style(file.get()).marks);
    set("NO_COLOR", "1");
    CHECK_FALSE(console_style(terminal.get()).colours);
    CHECK(console_style(terminal.get()).marks);
    set("NO_COLOR", "");
    set("LC_ALL", "C");
    CHECK(console_style(terminal.get()).colours);
    CHECK_FALSE(console_style(terminal.get()).marks);
    set("TERM", "dumb");
    CHECK_FALSE(console_style(terminal.get()).colours);
}

// --- The ladder

TEST_CASE("a ladder of many steps leaves out those in the middle", "[report]") {
    std::vector<Step> steps;
    for (int i = 0; i < 100; ++i) {
        steps.push_back({fmt::format("step {}", i), "", Party::client, Party::tool, i * 1ms});
    }
    const auto text = detail::ladder(steps);
    CHECK_THAT(text, ContainsSubstring("step 11\n         [... 52 steps ...]\n   64.0  ") &&
                         ContainsSubstring("step 64\n") && EndsWith("step 99  <=="));
    steps.resize(48);
    CHECK_THAT(detail::ladder(steps), !ContainsSubstring("...") && EndsWith("step 47  <=="));
}
