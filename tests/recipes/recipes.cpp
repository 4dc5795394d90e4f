// The recipes for other frameworks as a user runs them: with a tool that works, a broken one, and
// none.

#include <test_tunnel/process/process.hpp>
#include <test_tunnel/process/temp_dir.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "support/network.hpp"
#include "support/programs.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using support::Result;

namespace {

/// A recipe in the network of this test, with this PATH.
Result run(const char* recipe, std::string path) {
    auto environment = utf8_environment();
    environment["TEST_TUNNEL_NETWORK"] = "host";
    environment["PATH"] = std::move(path);
    auto process = Process::spawn({.argv = {recipe}, .environment = environment});
    return support::finish(process, 100s);
}

std::string path() {
    return utf8_environment()["PATH"];
}

/// A socat that fails wherever it is to listen on IPv4.
void write_broken_socat(TempDir& directory) {
    directory.write("socat",
                    fmt::format("#!/bin/sh\ncase $1 in TCP6*) PATH='{}' exec socat \"$@\";; esac\n"
                                "echo no such socket >&2\nexit 3\n",
                                path()),
                    0755);
}

} // namespace

#ifdef GOOGLETEST_RECIPE
TEST_CASE("the recipe for GoogleTest has a test for each pair", "[recipes]") {
    const auto [code, text] = run(GOOGLETEST_RECIPE, path());
    INFO(text);
    CHECK(code == 0);
    for (const auto* const test : {"from_4_to_4", "from_4_to_6", "from_6_to_4", "from_6_to_6"}) {
        CHECK_THAT(text,
                   ContainsSubstring(fmt::format("       OK ] Pairs/SocatTest.Forwards/{}", test)));
    }
}

TEST_CASE("the recipe for GoogleTest fails with the account, pair by pair", "[recipes]") {
    TempDir directory;
    write_broken_socat(directory);
    const auto [code, text] = run(GOOGLETEST_RECIPE, directory.path());
    INFO(text);
    CHECK(code == 1);
    for (const auto* const part : {"  FAILED  ] Pairs/SocatTest.Forwards/from_4_to_4",
                                   "  FAILED  ] Pairs/SocatTest.Forwards/from_4_to_6",
                                   "       OK ] Pairs/SocatTest.Forwards/from_6_to_4",
                                   "       OK ] Pairs/SocatTest.Forwards/from_6_to_6",
                                   "socat exited with status 3", "no such socket"}) {
        CHECK_THAT(text, ContainsSubstring(part));
    }
}

TEST_CASE("the recipe for GoogleTest skips what can't be tested", "[recipes]") {
    const auto [code, text] = run(GOOGLETEST_RECIPE, "/nowhere");
    INFO(text);
    CHECK(code == 0);
    CHECK_THAT(text, ContainsSubstring("  PASSED  ] 0 tests") &&
                         ContainsSubstring("  SKIPPED ] 4 tests") &&
                         ContainsSubstring("socat: no such program in /nowhere"));
    support::disable_ipv6();
    const auto [code_of_one, text_of_one] = run(GOOGLETEST_RECIPE, path());
    INFO(text_of_one);
    CHECK(code_of_one == 0);
    CHECK_THAT(text_of_one, ContainsSubstring("  PASSED  ] 1 test") &&
                                ContainsSubstring("  SKIPPED ] 3 tests") &&
                                ContainsSubstring("this machine has no addresses for 4→6"));
}
#endif

#ifdef DOCTEST_RECIPE
TEST_CASE("the recipe for doctest passes", "[recipes]") {
    const auto [code, text] = run(DOCTEST_RECIPE, path());
    INFO(text);
    CHECK(code == 0);
    for (const auto* const pair : {"4→4", "4→6", "6→4", "6→6"}) {
        CHECK_THAT(text, ContainsSubstring(fmt::format("socat {}: passed", pair)));
    }
}

TEST_CASE("the recipe for doctest fails with the account, pair by pair", "[recipes]") {
    TempDir directory;
    write_broken_socat(directory);
    const auto [code, text] = run(DOCTEST_RECIPE, directory.path());
    INFO(text);
    CHECK(code == 1);
    for (const auto* const part :
         {"socat 4→4 / hello: failed", "socat 4→6 / hello: failed", "socat 6→4: passed",
          "socat 6→6: passed", "socat exited with status 3", "no such socket", "| 2 failed |"}) {
        CHECK_THAT(text, ContainsSubstring(part));
    }
}

TEST_CASE("the recipe for doctest does not pass where the tool is missing", "[recipes]") {
    const auto [code, text] = run(DOCTEST_RECIPE, "/nowhere");
    INFO(text);
    CHECK(code == 77);
    CHECK_THAT(text, ContainsSubstring("skipped: socat: no such program in /nowhere"));
}
#endif
