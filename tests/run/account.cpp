#include <spdlog/sinks/ostream_sink.h>
#include <test_tunnel/run/tunnel.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstdio>
#include <filesystem>
#include <sstream>

#include "support/faulty_tunnel.hpp"
#include "support/quiet_config.hpp"
#include "support/runs.hpp"

using namespace test_tunnel;
using Catch::Matchers::ContainsSubstring;
using support::any_pair;
using support::FaultyTunnel;
using support::HookedTunnel;
using support::impatient_config;
using support::quiet_config;
using support::result_of;

namespace {

/// A tool that never connects does not say from where, either.
std::string mode_for(std::string_view fault) {
    return fault == "never-connects" ? "forward" : "announce";
}

} // namespace

TEST_CASE("a failure tells the whole story", "[tunnel]") {
    FaultyTunnel tunnel{impatient_config(), "exits"};
    const auto account = result_of(tunnel).account;
    CHECK_THAT(account, ContainsSubstring("faulty 4→4 / hello: failed at step \"connect\"\n"));
    CHECK_THAT(account, ContainsSubstring("expected: the tool accepts a connection at "));
    CHECK_THAT(account, ContainsSubstring("actual:   faulty_tunnel exited with status 4, "));
    CHECK_THAT(account, ContainsSubstring("pair:     client "));
    CHECK_THAT(account, ContainsSubstring("ms  client      tool        server\n"));
    CHECK_THAT(account, ContainsSubstring("  ------------>                  connect  <==\n"));
    CHECK_THAT(account, ContainsSubstring("again:    "));
    CHECK_THAT(account, ContainsSubstring(fmt::format("command:  {} ", FAULTY_TUNNEL)));
    CHECK_THAT(account, ContainsSubstring("status:   exited with status 4 by itself"));
    CHECK_THAT(account, ContainsSubstring("stderr:   can't do it"));
}

TEST_CASE("a failure with a telling pattern comes with a hint", "[tunnel]") {
    const auto [fault, hint] = GENERATE(
        std::pair{"wrong-source", "it did not bind its outgoing side at all"},
        std::pair{"listen-source", "it bound its outgoing side to the address on which it listens"},
        std::pair{"never-connects", "the tool took the connection, but never connected onwards"},
        std::pair{"never-speaks", "each of the two may be waiting for the other to speak"},
        std::pair{"never-ends", "the tool does not pass the end of a stream on"},
        std::pair{"port-in-use", "the port is already in use by another process"},
        std::pair{"daemonizes", "faulty_tunnel went into the background"});
    INFO(fault);
    FaultyTunnel tunnel{impatient_config(), fault, mode_for(fault)};
    const auto pairs = discover_pairs(tunnel.config());
    CHECK_THAT(tunnel.run_pair(pairs.at(0)).checks.at(0).account,
               ContainsSubstring(fmt::format("\n  hint:     {}", hint)));
}

TEST_CASE("a failure names the files of the tool, and keeps them on request", "[tunnel]") {
    class Configured : public FaultyTunnel {
    public:
        using FaultyTunnel::FaultyTunnel;
        Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override {
            TempDir directory;
            file = directory.write("tool.conf", "x = 1\n");
            auto server = FaultyTunnel::spawn_server(proxy_listen, svc_listen);
            server.add(std::move(directory));
            return server;
        }
        std::string file;
    };
    auto config = impatient_config();
    config.keep = GENERATE(false, true);
    Configured tunnel{config, "changes-up"};
    const auto result = result_of(tunnel);
    CHECK_THAT(result.account, ContainsSubstring("\n  files:    " + tunnel.file + "\n"));
    CHECK((result.account.find("(removed; Config::keep leaves them)") == std::string::npos) ==
          config.keep);
    CHECK(std::filesystem::exists(tunnel.file) == config.keep);
    std::filesystem::remove_all(std::filesystem::path{tunnel.file}.parent_path());
    Configured working{config, "none"};
    CHECK(working.run_pair(any_pair(config)).passed());
    CHECK_FALSE(std::filesystem::exists(working.file));
}

TEST_CASE("run throws what run_all reports", "[tunnel]") {
    FaultyTunnel tunnel{impatient_config(), "changes-down"};
    try {
        tunnel.run();
        FAIL("it passed");
    } catch (const TunnelFailure& failure) {
        CHECK(failure.report().pairs.size() == 4);
        CHECK(failure.report().passed_pairs() == 0);
        CHECK(failure.report().text() == failure.what());
    }
}

TEST_CASE("what a tool has said can't reach the terminal through the account", "[tunnel]") {
    HookedTunnel tunnel{[](Socket&) { throw Unexpected{"a reply", "\x1b[2J"}; }};
    CHECK_THAT(result_of(tunnel).account, ContainsSubstring("actual:   \\x1b[2J"));
}

TEST_CASE("a pair of which nothing was checked has not passed", "[tunnel]") {
    PairResult result{};
    CHECK_FALSE(result.passed());
    result.checks.push_back({.id = "hello", .outcome = Outcome::skipped});
    CHECK_FALSE(result.passed());
    CHECK_FALSE(Report{"tool", {result}}.passed());
    CHECK_FALSE(Report{"tool", {}}.passed());
    result.checks.push_back({.id = "hello", .outcome = Outcome::passed});
    CHECK_FALSE(result.passed()); // something was to be tried, and was not
    result.checks.erase(result.checks.begin());
    CHECK(Report{"tool", {result}}.passed());
}

TEST_CASE("the log tells the story, and all details when verbose", "[tunnel]") {
    std::ostringstream story;
    auto config = quiet_config(Level::hello);
    config.log =
        std::make_shared<Logger>("story", std::make_shared<spdlog::sinks::ostream_sink_st>(story));
    config.log->set_pattern("%L %v");
    config.verbose = GENERATE(false, true);
    FaultyTunnel tunnel{config, "no-newline"};
    tunnel.run();
    const auto text = story.str();
    CHECK_THAT(text, ContainsSubstring("I 127.0.0.1 can be reached from "));
    CHECK_THAT(text, ContainsSubstring("I 4 combinations to test\n"));
    CHECK_THAT(text, ContainsSubstring("I faulty 6→4: client "));
    CHECK_THAT(text, ContainsSubstring("I faulty 6→4: passed: 2 checks, "));
    CHECK_THAT(text, ContainsSubstring("I faulty: 4 of 4 combinations passed (hello, 8 checks, "));
    CHECK((text.find("D faulty_tunnel: ready\n") != std::string::npos) == config.verbose);
    CHECK((text.find("D faulty 6→4 / hello: end of stream: ") != std::string::npos) ==
          config.verbose);
    CHECK((text.find("D started ") != std::string::npos) == config.verbose);
}
