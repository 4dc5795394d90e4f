// The sections that check_all makes, as Catch2's reporters show them.

#include <test_tunnel/base/deadline.hpp>
#include <test_tunnel/process/process.hpp>
#include <test_tunnel/process/temp_dir.hpp>
#include <test_tunnel/run/check.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "support/network.hpp"
#include "support/programs.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using support::Result;

namespace {

/// The program with the sections, run on one behaviour.
Result run(const std::string& behaviour, std::vector<std::string> arguments,
           Environment environment = utf8_environment()) {
    environment["BEHAVIOUR"] = behaviour;
    arguments.insert(arguments.begin(), SECTIONS_PROGRAM);
    return support::run_program(std::move(arguments), std::move(environment));
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
    CHECK(code !=
          4); // all skipped, while older versions of Catch2 exit with the number of failures
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

TEST_CASE("only the pairs that are asked for are tested", "[adapter]") {
    const auto [code, text] =
        run("none", {"--reporter", "junit", "--check", "hello", "--pair", "4-6", "--pair", "6→6"});
    INFO(text);
    CHECK(code == 0);
    CHECK(count(text, "/hello\"") == 2);
    CHECK_THAT(text, ContainsSubstring("/4→6/hello\"") && ContainsSubstring("/6→6/hello\""));
}

TEST_CASE("a pair that this machine does not have is skipped", "[adapter]") {
    support::disable_ipv6();
    const auto [code, text] = run("none", {"--check", "hello", "--pair", "4-6"});
    INFO(text);
    CHECK(code == 4);
    CHECK_THAT(text, ContainsSubstring("SKIPPED") &&
                         ContainsSubstring("this machine has no addresses for 4→6"));
    CHECK(run("none", {"--check", "hello", "--pair", "4-4"}).code == 0);
}

TEST_CASE("a pair that a tool can't do is skipped", "[adapter]") {
    const auto [code, text] = run("none", {"[.socks4]", "--check", "hello", "--pair", "4-6"});
    INFO(text);
    CHECK(code == 4);
    CHECK_THAT(text, ContainsSubstring("SOCKS4 without a name has no IPv6 targets: 4→6"));
    const auto all = run("none", {"[.socks4]", "--check", "hello"});
    INFO(all.text);
    CHECK(all.code == 0);
    CHECK_THAT(all.text, ContainsSubstring("no IPv6 targets: 4→6, 6→6 can't be tested") &&
                             ContainsSubstring("2 of 2 combinations passed") &&
                             ContainsSubstring("(2 assertions in 1 test case)"));
}

TEST_CASE("a program of which a part was skipped has not passed", "[adapter]") {
    const auto [code, text] = run("none", {"[.half]", "--check", "hello"});
    INFO(text);
    CHECK(code == 4);
    CHECK_THAT(text, ContainsSubstring("1 passed | 1 skipped"));
    CHECK(run("none", {"one that is", "--check", "hello"}).code == 0);
}

TEST_CASE("without any address a pair is a failure, not skipped", "[adapter]") {
    support::run_ip({"link", "set", "lo", "down"});
    const auto [code, text] = run("none", {"--pair", "4-6"});
    INFO(text);
    CHECK(code != 0);
    CHECK(code != 4);
    CHECK_THAT(text, ContainsSubstring("no interface that is up has an IPv4 or IPv6 address"));
}

TEST_CASE("the pairs are listed, and nothing is tested", "[adapter]") {
    const auto [code, text] = run("none", {"--list-pairs"});
    INFO(text);
    CHECK(code == 0);
    for (const auto* const pair :
         {"4→4  client ", "4→6  client ", "6→4  client ", "6→6  client "}) {
        CHECK_THAT(text, ContainsSubstring(pair));
    }
    CHECK(text.find("faulty") == std::string::npos);
}

TEST_CASE("timeouts are as long as the command line wants them", "[adapter]") {
    // A quarter of the four seconds that it is.
    const auto [code, text] = run("never-speaks", {"--timeout-scale", "0.25", "--pair", "4-4"});
    INFO(text);
    CHECK(code != 0);
    CHECK_THAT(text, ContainsSubstring("nothing for 1 s while waiting for "));
}

TEST_CASE("the files of a tool that has failed stay where that is asked for", "[adapter]") {
    const TempDir files;
    auto environment = utf8_environment();
    environment["TMPDIR"] = files.path();
    const std::vector<std::string> failing{"--pair", "4-4", "--check", "data.bulk.up"};
    const auto left = [&](std::vector<std::string> more) {
        more.insert(more.end(), failing.begin(), failing.end());
        const auto [code, text] = run("corrupts-late-up", more, environment);
        INFO(text);
        CHECK(code != 0);
        std::size_t result = 0;
        for (const auto& entry : std::filesystem::recursive_directory_iterator{files.path()}) {
            result += entry.path().filename() == "faulty.conf" ? 1 : 0;
        }
        return result;
    };
    CHECK(left({}) == 0);
    CHECK(left({"--keep"}) == 1);
}

TEST_CASE("a value that makes no sense is refused, and says which would", "[adapter]") {
    const auto check_refused = [](const std::vector<std::string>& arguments,
                                  const std::string& why) {
        const auto [code, text] = run("none", arguments);
        INFO(text);
        CHECK(code != 0);
        CHECK(code != 4);
        CHECK_THAT(text, ContainsSubstring(why));
    };
    check_refused({"--pair", "4-5"}, "'4-5' is no combination of address families");
    check_refused({"--timeout-scale", "0"}, "--timeout-scale takes a number above 0");
    check_refused({"--idle=-1"}, "--idle takes 0 to 86400 seconds");
    check_refused({"--seed", "x"}, "--seed takes a number, not 'x'");
    check_refused({"--level", "high"}, "'high' is no level");
}

TEST_CASE("CTest waits longer than all deadlines of the library", "[adapter]") {
    const Timeouts timeouts;
    const auto for_each =
        timeouts.start + timeouts.connect + timeouts.check + timeouts.stop + timeouts.linger;
    const auto known = checks();
    const auto all = static_cast<int>(known.size());
    const auto of_hello =
        static_cast<int>(std::count_if(known.begin(), known.end(), [](const Check& check) {
            return check.level == Level::hello;
        }));
    CHECK(std::chrono::seconds{PAIR_TIMEOUT} > all * for_each);
    CHECK(std::chrono::seconds{HELLO_TIMEOUT} > 4 * of_hello * for_each);
}
