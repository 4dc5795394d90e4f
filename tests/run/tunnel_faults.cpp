#include <test_tunnel/run/tunnel.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "support/any_program.hpp"
#include "support/child.hpp"
#include "support/faulty_tunnel.hpp"
#include "support/quiet_config.hpp"
#include "support/runs.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using support::any_pair;
using support::AnyProgram;
using support::FaultyTunnel;
using support::has_children;
using support::impatient_config;
using support::notes_of;
using support::quiet_config;
using support::result_of;

namespace {

/// A tool that never connects does not say from where, either.
std::string mode_for(std::string_view fault) {
    return fault == "never-connects" ? "forward" : "announce";
}

std::string failure_text(TestTunnel& tunnel) {
    try {
        tunnel.run();
    } catch (const TunnelFailure& failure) {
        return failure.what();
    }
    return "(it passed)";
}

struct Fault {
    std::string name;
    std::string step;
    std::string actual;
};

} // namespace

TEST_CASE("every fault is caught, at its step and for its reason", "[tunnel]") {
    const auto fault = GENERATE(
        Fault{"exits", "connect", "faulty_tunnel exited with status 4, "},
        Fault{"daemonizes", "", "; a tool under test must stay in the foreground"},
        Fault{"crashes-at-start", "connect", "faulty_tunnel was killed by signal 11 (Segmentation"},
        Fault{"bound-but-not-listening", "connect", "every connection was refused for "},
        Fault{"never-listens", "connect", "every connection was refused for "},
        Fault{"closes-client", "handshake", "0 bytes, then end of stream"},
        Fault{"resets-client", "", "Connection reset by peer"},
        Fault{"never-connects", "accept", "waiting for the tool to connect to the server"},
        Fault{"wrong-source", "source", "a connection from "},
        Fault{"lying-address", "source", "a connection from "},
        Fault{"lying-port", "source", "a connection from "},
        Fault{"changes-down", "hello from the server", "different from offset 38 on"},
        Fault{"changes-up", "hello from the client", "different from offset 38 on"},
        Fault{"loses-down", "hello from the server", "38 bytes, then: nothing for "},
        Fault{"loses-up", "hello from the client", "38 bytes, then: nothing for "},
        Fault{"adds-down", "", "1 byte\n00000000  21"},
        Fault{"adds-up", "", "1 byte\n00000000  21"},
        Fault{"doubles-up", "", "39 bytes\n00000000  48 65 6c 6c 6f"},
        Fault{"reorders-down", "hello from the server", "different from offset 0 on"},
        Fault{"stalls-down", "hello from the server", "0 bytes, then: nothing for "},
        Fault{"stalls-up", "hello from the client", "0 bytes, then: nothing for "},
        Fault{"crashes-in-transfer", "hello from the client",
              "faulty_tunnel was killed by signal 11"},
        Fault{"exits-in-transfer", "hello from the client", "faulty_tunnel exited with status 7"},
        Fault{"adds-at-end", "end of stream", "1 byte\n00000000  21"},
        Fault{"resets-at-end", "end of stream", "Connection reset by peer"},
        Fault{"never-ends", "end of stream", "nothing for "},
        Fault{"exits-after-transfer", "", "faulty_tunnel exited with status 5"},
        Fault{"crashes-after-transfer", "", "faulty_tunnel was killed by signal 11"},
        Fault{"leaves-child", "stop", "faulty_tunnel left 1 behind: faulty_tunnel ("},
        Fault{"alarms", "stop", "==1==ERROR: AddressSanitizer: heap-use-after-free"},
        Fault{"ignores-sigterm", "stop", "faulty_tunnel had to be killed by SIGKILL"},
        Fault{"crashes-on-sigterm", "stop", "faulty_tunnel was killed by signal 11"});
    INFO(fault.name);
    FaultyTunnel tunnel{impatient_config(), fault.name, mode_for(fault.name)};
    const auto result = result_of(tunnel);
    INFO(result.account);
    CHECK(result.outcome == Outcome::failed);
    if (!fault.step.empty()) { // else it depends on who is faster
        CHECK(result.step == fault.step);
    }
    CHECK_THAT(result.actual, ContainsSubstring(fault.actual));
    CHECK_FALSE(has_children());
}

TEST_CASE("a greeting that nobody asked for is caught", "[tunnel]") {
    FaultyTunnel tunnel{impatient_config(), "greets-early", "forward"};
    const auto result = result_of(tunnel);
    CHECK(result.outcome == Outcome::failed);
    // Seen while the tool's connection is awaited, or as what should have been the server's.
    CHECK_THAT(result.actual, ContainsSubstring("32 32 30 20"));
}

TEST_CASE("a tool that breaks in mid-transfer is told from a broken connection", "[tunnel]") {
    const auto [fault, status] = GENERATE(
        std::pair{"crashes-in-transfer", "was killed by signal 11 (Segmentation fault) by itself"},
        std::pair{"exits-in-transfer", "exited with status 7 by itself"});
    FaultyTunnel tunnel{impatient_config(), fault};
    CHECK_THAT(result_of(tunnel).account, ContainsSubstring(status));
}

TEST_CASE("an odd exit status after SIGTERM is noted", "[tunnel]") {
    FaultyTunnel tunnel{impatient_config(), "status-3-on-sigterm"};
    const auto result = tunnel.run_pair(any_pair(tunnel.config()));
    CHECK(result.passed());
    CHECK(notes_of(result) == std::vector<std::string>{"faulty_tunnel exited with status 3 after "
                                                       "SIGTERM (undeclared: "
                                                       "Traits::exit_statuses)"});
    auto config = impatient_config();
    config.level = Level::strict;
    config.only = {"stop.idle"};
    FaultyTunnel strict{config, "status-3-on-sigterm"};
    CHECK_THAT(result_of(strict).actual, ContainsSubstring("status 3 after SIGTERM (undeclared: "));
}

TEST_CASE("an exit status that is declared is not noted, another one is a failure", "[tunnel]") {
    const auto declared = [](const char* behaviour, int status) {
        return FaultyTunnel{impatient_config(), behaviour, "announce", {.exit_statuses = {status}}};
    };
    auto as_it_is = declared("status-3-on-sigterm", 3);
    CHECK(notes_of(as_it_is.run_pair(any_pair(as_it_is.config()))).empty());
    auto other = declared("status-3-on-sigterm", 4);
    const auto failed = result_of(other);
    CHECK_THAT(failed.expected, ContainsSubstring("that is declared (Traits::exit_statuses): 4"));
    CHECK_THAT(failed.actual, ContainsSubstring("exited with status 3 after SIGTERM"));
    CHECK_THAT(failed.account, ContainsSubstring("status:   exited with status 3"));
    auto better = declared("none", 3);
    const auto result = better.run_pair(any_pair(better.config()));
    CHECK(result.passed());
    CHECK(notes_of(result) ==
          std::vector<std::string>{"faulty_tunnel exited with status 0 after SIGTERM, better than "
                                   "declared (Traits::exit_statuses: 3)"});
}

TEST_CASE("a tool that listens where it was not told to is reported", "[tunnel]") {
    auto config = impatient_config();
    config.level = Level::standard;
    config.only = {"address.binding"};
    FaultyTunnel tunnel{config, "wildcard"};
    const auto pair = any_pair(tunnel.config());
    const auto result = tunnel.run_pair(pair);
    CHECK(result.passed());
    REQUIRE(notes_of(result).size() == 1);
    CHECK_THAT(notes_of(result).front(),
               ContainsSubstring("listening only where it was told to, not at 0.0.0.0") &&
                   ContainsSubstring("no (undeclared: Traits::binds_listener = false)"));
}

TEST_CASE("a stranger on the tool's port is not taken for the tool", "[tunnel]") {
    FaultyTunnel tunnel{impatient_config(), "never-listens"};
    const auto pair = any_pair(tunnel.config());
    auto stranger = bind_to(tunnel.config(), pair.proxy_listen.listen());
    stranger.listen();
    const auto result = tunnel.run_pair(pair).checks.at(0);
    CHECK(result.outcome == Outcome::failed);
    CHECK(result.step == "connect");
    CHECK_THAT(result.actual, ContainsSubstring(fmt::format("(process {}) at ", ::getpid())) &&
                                  ContainsSubstring(", which is another process"));
}

TEST_CASE("a source address that is declared as not bound is reported, not demanded", "[tunnel]") {
    class Declared : public FaultyTunnel {
    public:
        using FaultyTunnel::FaultyTunnel;
        Traits traits() const override { return {.binds_source = false}; }
    };
    SECTION("and it is not bound") {
        Declared tunnel{impatient_config(), "wrong-source"};
        const auto result = tunnel.run_pair(any_pair(tunnel.config()));
        CHECK(result.passed());
        CHECK(notes_of(result) ==
              std::vector<std::string>{"connecting from the address that it was given: no "
                                       "(declared: Traits::binds_source = false)"});
    }
    SECTION("but it is bound") {
        Declared tunnel{impatient_config(), "none"};
        const auto result = tunnel.run_pair(any_pair(tunnel.config()));
        CHECK(result.passed());
        CHECK(notes_of(result) ==
              std::vector<std::string>{"connecting from the address that it was given: yes, better "
                                       "than declared (Traits::binds_source = false)"});
    }
}

TEST_CASE("data without end can't outlast the time for the check", "[tunnel]") {
    auto config = impatient_config();
    config.timeouts.check = 500ms;
    FaultyTunnel tunnel{config, "floods"};
    const auto result = result_of(tunnel);
    CHECK(result.step == "handshake");
    CHECK_THAT(result.actual, ContainsSubstring(" for one check were over while waiting for data"));
}

TEST_CASE("a program that ends at once fails every pair, with its status", "[tunnel]") {
    const auto [program, status] = GENERATE(std::pair{"/bin/false", 1}, std::pair{"/bin/true", 0});
    AnyProgram tunnel{quiet_config(Level::hello), {program}};
    const auto text = failure_text(tunnel);
    CHECK_THAT(text, ContainsSubstring("any: 0 of 4 combinations passed"));
    CHECK_THAT(text, ContainsSubstring(fmt::format("exited with status {}, ", status)));
    CHECK_THAT(text, ContainsSubstring(fmt::format("command:  {}\n", program)));
}

TEST_CASE("a program that never listens fails at the connect deadline", "[tunnel]") {
    auto config = impatient_config();
    config.timeouts.connect = 50ms;
    SECTION("a silent one") {
        AnyProgram tunnel{config, {"sleep", "100"}};
        CHECK_THAT(failure_text(tunnel), ContainsSubstring("every connection was refused for ") &&
                                             ContainsSubstring("output:   (nothing)"));
    }
    SECTION("one that prints without end") {
        AnyProgram tunnel{config, {"yes"}};
        CHECK_THAT(failure_text(tunnel),
                   ContainsSubstring("every connection was refused for ") &&
                       ContainsSubstring(" bytes before ...]\n            y\n"));
    }
    CHECK_FALSE(has_children());
}
