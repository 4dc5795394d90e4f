// The examples as a user runs them: whole programs, on machines of several kinds.

#include <test_tunnel/private_network/private_network.hpp>
#include <test_tunnel/process/process.hpp>
#include <test_tunnel/process/temp_dir.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "support/network.hpp"
#include "support/programs.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using support::finish;
using support::Result;

namespace {

/// The example in the network of this test. What the tools do at other levels is another test's.
Process start(std::vector<std::string> argv, Environment environment = utf8_environment()) {
    argv.insert(argv.begin() + 1, {"--level", "hello"});
    environment["TEST_TUNNEL_NETWORK"] = "host";
    return Process::spawn({.argv = std::move(argv), .environment = std::move(environment)});
}

Result run(std::vector<std::string> argv, Environment environment = utf8_environment()) {
    auto process = start(std::move(argv), std::move(environment));
    return finish(process);
}

/// Catch2 3.7 exits with 42, older ones with the number of failures; 4 means skipped.
bool is_failure(int code) {
    return code == 42 || code == 1;
}

} // namespace

TEST_CASE("the examples pass where there are several addresses", "[examples]") {
    const auto* const example = GENERATE(SOCAT_TEST, MICROSOCKS_TEST);
    const auto [code, text] = run({example});
    INFO(text);
    CHECK(code == 0);
    CHECK_THAT(text, ContainsSubstring(": 4 of 4 combinations passed"));
    CHECK_THAT(text,
               ContainsSubstring("tool 127.0.0.1:") && ContainsSubstring("server 192.0.2.1:"));
}

TEST_CASE("the examples pass where there is only the loopback", "[examples]") {
    support::remove_addresses({"192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"});
    for (const auto* const example : {SOCAT_TEST, MICROSOCKS_TEST}) {
        const auto [code, text] = run({example});
        INFO(text);
        CHECK(code == 0);
        CHECK_THAT(text, ContainsSubstring(": 4 of 4 combinations passed"));
        CHECK_THAT(text,
                   ContainsSubstring("tool 127.0.0.1:") && ContainsSubstring("server [::1]:"));
    }
}

TEST_CASE("the examples test one family where there is one", "[examples]") {
    const auto* const example = GENERATE(SOCAT_TEST, MICROSOCKS_TEST);
    support::disable_ipv6();
    const auto [code, text] = run({example});
    INFO(text);
    CHECK(code == 0);
    CHECK_THAT(text, ContainsSubstring("no usable IPv6 address: nothing is tested with IPv6"));
    CHECK_THAT(text, ContainsSubstring(": 1 of 1 combinations passed"));
}

TEST_CASE("an example fails where there is no address at all", "[examples]") {
    support::run_ip({"link", "set", "lo", "down"});
    const auto [code, text] = run({SOCAT_TEST});
    INFO(text);
    CHECK(is_failure(code));
    CHECK_THAT(text, ContainsSubstring("no interface that is up has an IPv4 or IPv6 address"));
}

TEST_CASE("sixteen harnesses at once do not get in each other's way", "[examples]") {
    constexpr int count = 16;
    std::vector<Process> harnesses;
    harnesses.reserve(count);
    for (int i = 0; i < count; ++i) {
        harnesses.push_back(start({i % 2 == 0 ? SOCAT_TEST : MICROSOCKS_TEST}));
    }
    for (auto& harness : harnesses) {
        const auto [code, text] = finish(harness);
        INFO(text);
        CHECK(code == 0);
        CHECK_THAT(text, ContainsSubstring(": 4 of 4 combinations passed"));
    }
}

TEST_CASE("a tool that is not installed is skipped by name", "[examples]") {
    auto environment = utf8_environment();
    environment["PATH"] = "/nowhere";
    const auto [code, text] = run({SOCAT_TEST}, environment);
    CHECK(code == 4);
    CHECK_THAT(text, ContainsSubstring("socat: no such program in /nowhere"));
}

TEST_CASE("a program that was asked for must be there", "[examples]") {
    const auto [code, text] = run({SOCAT_TEST, "--prog", "/nowhere/socat"});
    CHECK(is_failure(code));
    CHECK_THAT(text, ContainsSubstring("/nowhere/socat: No such file or directory"));
}

TEST_CASE("an empty program is an error, not the default one", "[examples]") {
    const auto [code, text] = run({SOCAT_TEST, "--prog="});
    INFO(text);
    CHECK(is_failure(code));
    CHECK_THAT(text, ContainsSubstring("no program was given"));
}

TEST_CASE("two hundred runs in a row pass", "[examples]") {
    for (int i = 0; i < 200; ++i) {
        const auto [code, text] = run({SOCAT_TEST});
        INFO("run " << i << '\n' << text);
        REQUIRE(code == 0);
    }
}

TEST_CASE("a program that is no tunnel fails with its whole story", "[examples]") {
    const auto [code, text] = run({SOCAT_TEST, "--prog", "/bin/false"});
    CHECK(is_failure(code));
    CHECK_THAT(text, ContainsSubstring("socat: 0 of 4 combinations passed"));
    CHECK_THAT(text, ContainsSubstring("/bin/false TCP4-LISTEN:"));
}

TEST_CASE("what a tool prints can neither break the XML of a report nor a terminal", "[examples]") {
    TempDir files;
    const auto tool = files.write(
        "tool", "#!/bin/sh\nprintf '\\033[2J <&]]>\"\\001\\377\\n' >&2\nexit 3\n", 0755);
    for (const auto* const reporter : {"console", "junit", "xml"}) {
        INFO(reporter);
        const auto [code, text] = run({SOCAT_TEST, "--prog", tool, "--reporter", reporter});
        CHECK(is_failure(code));
        CHECK_THAT(text, ContainsSubstring("\\x1b[2J") && ContainsSubstring("\\x01\\xff"));
        CHECK(text.find('\x1b') == std::string::npos);
        CHECK(text.find('\x01') == std::string::npos);
        CHECK(text.find('\xff') == std::string::npos);
        // Raw in the log and on the console, escaped where it stands in XML.
        const bool is_xml = std::string_view{reporter} != "console";
        CHECK((text.find("&lt;&amp;]]") != std::string::npos) == is_xml);
    }
}

TEST_CASE("the offset moves the ports", "[examples]") {
    const auto [code, text] = run({SOCAT_TEST, "--offset", "1000"});
    CHECK(code == 0);
    CHECK_THAT(text, ContainsSubstring("tool 127.0.0.1:7374"));
    const auto [low_code, low_text] = run({SOCAT_TEST, "--offset=-1000"});
    CHECK(low_code == 0);
    CHECK_THAT(low_text, ContainsSubstring("tool 127.0.0.1:5374"));
    const auto [bad_code, bad_text] = run({SOCAT_TEST, "--offset", "60000"});
    CHECK(is_failure(bad_code));
    CHECK_THAT(bad_text, ContainsSubstring("first port 6374 with offset 60000 is 66374"));
}

TEST_CASE("verbose shows what the tool prints and was started with", "[examples]") {
    const auto [code, text] = run({MICROSOCKS_TEST, "--verbose"});
    CHECK(code == 0);
    CHECK_THAT(text, ContainsSubstring(" D started microsocks -i 127.0.0.1 -p "));
    CHECK_THAT(text, ContainsSubstring(" D microsocks (stderr): "));
}

TEST_CASE("an unknown network is refused by name", "[examples]") {
    const auto [code, text] = run({SOCAT_TEST, "--network", "privat"});
    CHECK(is_failure(code));
    CHECK_THAT(text, ContainsSubstring("'privat' is no network; did you mean private?"));
}

TEST_CASE("a run leaves no file behind", "[examples]") {
    const auto directory =
        std::filesystem::temp_directory_path() / fmt::format("test-tunnel-{}", ::getpid());
    std::filesystem::create_directory(directory);
    auto environment = utf8_environment();
    environment["TMPDIR"] = directory.string();
    CHECK(run({SOCAT_TEST}, environment).code == 0);
    CHECK(is_failure(run({SOCAT_TEST, "--prog", "/bin/false"}, environment).code));
    CHECK(std::filesystem::is_empty(directory));
    std::filesystem::remove_all(directory);
}
