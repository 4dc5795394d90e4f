// The sections that check_all makes, as Catch2's reporters show them.

#include <test_tunnel/process.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <string>
#include <vector>

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Result {
    int code = -1;
    std::string text;
};

/// The program with the sections, run on one behaviour.
Result run(const std::string& behaviour, std::vector<std::string> arguments) {
    auto environment = utf8_environment();
    environment["BEHAVIOUR"] = behaviour;
    environment["TEST_TUNNEL_NETWORK"] = "host"; // this test's
    arguments.insert(arguments.begin(), SECTIONS_PROGRAM);
    auto process = Process::spawn({.argv = arguments, .environment = environment});
    const auto status = process.wait(Deadline::after(60s));
    REQUIRE(status);
    return {status->code().value_or(-1), process.out()};
}

std::size_t count(const std::string& text, std::string_view part) {
    std::size_t result = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
        ++result;
    }
    return result;
}

const std::vector<std::string> two_checks{"--reporter", "junit",   "--check",
                                          "hello",      "--check", "data.bulk.*"};

} // namespace

TEST_CASE("every check of every pair has a result of its own", "[adapter]") {
    const auto [code, text] = run("none", two_checks);
    INFO(text);
    CHECK(code == 0);
    for (const auto* const pair : {"4→4", "4→6", "6→4", "6→6"}) {
        for (const auto* const check : {"hello", "data.bulk.up", "data.bulk.down"}) {
            CHECK_THAT(text, ContainsSubstring(fmt::format("/{}/{}\"", pair, check)));
        }
    }
    CHECK_THAT(text, ContainsSubstring("another section"));
    CHECK(count(text, "<failure") == 0);
}

TEST_CASE("a failed check hides no other one, and tells where it was asked for", "[adapter]") {
    const auto [code, text] = run("corrupts-late-up", two_checks);
    INFO(text);
    CHECK(code != 0);
    CHECK(count(text, "<failure") == 4);
    CHECK_THAT(text, ContainsSubstring("/4→4/data.bulk.down\""));
    CHECK_THAT(text, ContainsSubstring("different from offset 7000"));
    CHECK_THAT(text, ContainsSubstring("sections.cpp:"));
}

TEST_CASE("what is not tried after hello is skipped, not passed", "[adapter]") {
    const auto [code, text] = run("changes-up", two_checks);
    INFO(text);
    CHECK(code != 0);
    CHECK(count(text, "<failure") == 4);
    CHECK(count(text, "<skipped") == 8);
    CHECK_THAT(text, ContainsSubstring("not tried, since hello failed"));
}

TEST_CASE("a section can be run alone", "[adapter]") {
    const auto [code, text] = run("none", {"-c", "4→6", "-c", "data.bulk.up", "--check", "data.*"});
    INFO(text);
    CHECK(code == 0);
    CHECK_THAT(text, ContainsSubstring("1 assertion in 1 test case"));
}

TEST_CASE("what is noted is a warning", "[adapter]") {
    const auto [code, text] = run("reset-becomes-end", {"--check", "reset.client.idle", "-s"});
    INFO(text);
    CHECK(code == 0);
    CHECK_THAT(text,
               ContainsSubstring("warning:") && ContainsSubstring("(undeclared: Traits::reset"));
}

TEST_CASE("the checks are listed, and one that does not exist is refused", "[adapter]") {
    const auto [code, text] = run("none", {"--list-tunnel-checks"});
    CHECK(code == 0);
    CHECK_THAT(text, ContainsSubstring("data.bulk.up ") && ContainsSubstring(" standard "));
    const auto [bad_code, bad_text] = run("none", {"--check", "data.bulk.sideways"});
    CHECK(bad_code != 0);
    CHECK_THAT(bad_text, ContainsSubstring("'data.bulk.sideways' matches no check; there are: "));
}
