#include <test_tunnel/process/process.hpp>
#include <test_tunnel/process/temp_dir.hpp>
#include <test_tunnel/report/junit.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <string>

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

/// A report with one check of each kind.
Report example(const std::string& account) {
    AddrPort entry;
    entry.address = Address::parse("127.0.0.1");
    entry.svc_port = 6374;
    entry.clients.push_back(Address::parse("192.0.2.1"));
    PairResult pair{{entry, entry}, {}, 1500ms};
    pair.checks.push_back({.id = "hello", .duration = 1ms});
    pair.checks.push_back({.id = "data.bulk.up",
                           .outcome = Outcome::failed,
                           .step = "data",
                           .expected = "1 & 2",
                           .actual = "<3>\n\"4\"",
                           .account = account,
                           .duration = 250ms});
    pair.checks.push_back(
        {.id = "idle", .outcome = Outcome::skipped, .account = "not tried, since hello failed"});
    pair.checks.push_back({.id = "connections.burst",
                           .outcome = Outcome::not_applicable,
                           .account = "it serves just one",
                           .notes = {{"reset", "noted <so>"}}});
    pair.seed = 42;
    return {"a \"tool\"", {pair}, 42};
}

/// What an XML parser of others' has to say of it; empty where it is well-formed.
std::string parsed(const std::string& text) {
    TempDir files;
    SpawnOptions options;
    options.argv = {"python3", "-c", "import sys, xml.etree.ElementTree as e; e.parse(sys.argv[1])",
                    files.write("report.xml", text)};
    try {
        auto process = Process::spawn(std::move(options));
        const auto status = process.wait(Deadline::after(60s));
        REQUIRE(status);
        return status->code() == 0 ? "" : process.err() + "?";
    } catch (const ToolMissing& error) {
        SKIP(error.what());
    }
    return "not run";
}

} // namespace

TEST_CASE("JUnit's report has a suite for each pair and a case for each check", "[junit]") {
    CHECK(to_junit({example("all of it")}) ==
          R"(<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="a &quot;tool&quot;" tests="4" failures="1" errors="0" skipped="2" time="1.500000">
  <testsuite name="a &quot;tool&quot; 4→4" tests="4" failures="1" errors="0" skipped="2" time="1.500000">
    <properties>
      <property name="pair" value="client 192.0.2.1 → tool 127.0.0.1:6374, tool 192.0.2.1 → server 127.0.0.1:6374"/>
      <property name="seed" value="42"/>
    </properties>
    <testcase name="hello" classname="a &quot;tool&quot;.4→4" time="0.001000"/>
    <testcase name="data.bulk.up" classname="a &quot;tool&quot;.4→4" time="0.250000">
      <failure message="data: expected 1 &amp; 2, got &lt;3&gt;&#10;&quot;4&quot;" type="data">all of it</failure>
    </testcase>
    <testcase name="idle" classname="a &quot;tool&quot;.4→4" time="0.000000">
      <skipped message="skipped: not tried, since hello failed"/>
    </testcase>
    <testcase name="connections.burst" classname="a &quot;tool&quot;.4→4" time="0.000000">
      <skipped message="not applicable: it serves just one"/>
      <system-out>note: noted &lt;so&gt;
</system-out>
    </testcase>
  </testsuite>
</testsuites>
)");
}

TEST_CASE("whatever a tool has printed, the XML is well-formed", "[junit]") {
    std::string all;
    for (int byte = 0; byte < 256; ++byte) {
        all += static_cast<char>(byte);
    }
    for (const auto& account : {all, std::string{"]]> <!-- &amp; <![CDATA["}, std::string{}}) {
        CHECK(parsed(to_junit({example(account)})).empty());
    }
    CHECK_FALSE(parsed("<testsuites>").empty());
}

TEST_CASE("a run that was stopped ends with a case that says why", "[junit]") {
    auto report = example("all of it");
    report.error = "no <ports>";
    report.stop_cause = stop_cause_of(PortRangeError{report.error});
    const auto text = to_junit({report});
    CHECK_THAT(text, ContainsSubstring("tests=\"5\" failures=\"1\" errors=\"1\"") &&
                         ContainsSubstring("<testcase name=\"setup\"") &&
                         ContainsSubstring("<error message=\"no &lt;ports&gt;\"/>"));
    CHECK(parsed(text).empty());
}

TEST_CASE("a run without what it takes is skipped, but not where a pair was tested", "[junit]") {
    Report report{"socat", {}, 1};
    report.error = "no such program";
    report.stop_cause = stop_cause_of(ToolMissing{report.error});
    const auto skipped = to_junit({report});
    CHECK_THAT(skipped, ContainsSubstring("skipped=\"1\"") && ContainsSubstring("errors=\"0\"") &&
                            ContainsSubstring("<skipped message=\"no such program\"/>"));
    CHECK(parsed(skipped).empty());
    report.pairs = example("all of it").pairs;
    CHECK_THAT(to_junit({report}), ContainsSubstring("<error message=\"no such program\"/>"));
}

TEST_CASE("one document has all runs", "[junit]") {
    const auto text = to_junit({example("1"), Report{"x", {}, 1}, example("2")});
    CHECK_THAT(text, ContainsSubstring("<testsuites name=\"a &quot;tool&quot;, x\" tests=\"8\" "
                                       "failures=\"2\" errors=\"0\" skipped=\"4\" "
                                       "time=\"3.000000\">"));
    CHECK(parsed(text).empty());
}

TEST_CASE("a report of nothing is well-formed, too", "[junit]") {
    CHECK(parsed(to_junit({Report{"x", {}, 1}})).empty());
    CHECK(parsed(to_junit({})).empty());
}

TEST_CASE("what has stopped a run is told apart", "[junit]") {
    CHECK(stop_cause_of(ToolMissing{""}) == StopCause::tool_missing);
    CHECK(stop_cause_of(PairsMissing{""}) == StopCause::pairs_missing);
    CHECK(stop_cause_of(NoCombinations{""}) == StopCause::no_addresses);
    CHECK(stop_cause_of(NoAddresses{""}) == StopCause::no_addresses);
    CHECK(stop_cause_of(PrivateNetworkUnavailable{""}) == StopCause::no_private_network);
    CHECK(stop_cause_of(ToolNotExecutable{""}) == StopCause::other);
}
