// A tool of which one process takes the place of another one, and commands that do something to it.

#include <test_tunnel/process/server.hpp>
#include <test_tunnel/process/signal_number.hpp>

#include <signal.h> // NOLINT(modernize-deprecated-headers): kill is POSIX, not C

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <string>

#include <test_tunnel/net/wait.hpp>

#include "support/child.hpp"
#include "support/workshop.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
using Catch::Matchers::StartsWith;
using support::soon;
using support::Workshop;

namespace {

/// Waits until a process of the tool has ended, whether it may or not.
bool has_ended(Server& server, std::size_t index) {
    return wait_until([&] { return server.processes().at(index).has_ended(); }, soon(),
                      server.supervisor().get(), "the end of a process");
}

} // namespace

TEST_CASE("a process that has handed over may end, whatever its status", "[server]") {
    const Workshop workshop;
    Server server{workshop.start("first", {"wait"})};
    server.hand_over_to(workshop.start("second", {"wait"}));
    REQUIRE(server.processes().size() == 2);
    CHECK(server.may_end(0));
    CHECK_FALSE(server.may_end(1));
    ::kill(server.processes()[0].pid(), SIGUSR1);
    CHECK(has_ended(server, 0));
    CHECK(server.running());
    CHECK_NOTHROW(server.supervisor()->require_running());
}

TEST_CASE("a process that has taken over must run", "[server]") {
    const Workshop workshop;
    Server server{workshop.start("first", {"wait"})};
    server.hand_over_to(workshop.start("second", {"wait"}));
    ::kill(server.processes()[1].pid(), SIGKILL);
    CHECK(server.wait_for_end(soon()));
    CHECK_THROWS_MATCHES(server.supervisor()->require_running(), ToolEnded,
                         MessageMatches(StartsWith("second was killed")));
}

TEST_CASE("a companion of a tool that has handed over must run", "[server]") {
    const Workshop workshop;
    Server server{workshop.start("companion", {"wait"})};
    server.add(workshop.start("first", {"wait"}));
    server.hand_over_to(workshop.start("second", {"wait"}));
    CHECK_FALSE(server.may_end(0));
    ::kill(server.processes()[0].pid(), SIGKILL);
    CHECK(server.wait_for_end(soon()));
    CHECK_FALSE(server.running());
}

TEST_CASE("what has handed over is ended with the tool, and leaves nothing behind", "[server]") {
    const Workshop workshop;
    pid_t first = -1;
    {
        Server server{workshop.start("first", {"wait"})};
        first = server.processes()[0].pid();
        server.hand_over_to(workshop.start("second", {"wait"}));
        SECTION("by SIGTERM") {
            server.stop(20s);
            CHECK(server.processes()[0].status()->signal() == SIGTERM);
            CHECK(server.processes()[1].status()->signal() == SIGTERM);
        }
        SECTION("when it is destroyed") {}
    }
    CHECK(::kill(first, 0) == -1);
}

TEST_CASE("a command that ends with status 0 has done its work", "[server]") {
    const Workshop workshop;
    Server server{workshop.start("tool", {"wait"})};
    CHECK_FALSE(server.is_commanded());
    server.add_command(workshop.start("command", {"sleep", "20", "exit", "0"}));
    CHECK(server.is_commanded());
    CHECK(wait_until([&] { return !server.is_commanded(); }, soon(), server.supervisor().get(),
                     "the end of the command"));
    CHECK(server.processes().size() == 1);
    CHECK(server.running());
}

TEST_CASE("a command that fails is told with what it has said", "[server]") {
    const Workshop workshop;
    Server server{workshop.start("tool", {"wait"})};
    server.add_command(
        workshop.start("command", {"err", "no such thing", "sleep", "20", "exit", "3"}));
    CHECK_THROWS_MATCHES(
        wait_until([] { return false; }, soon(), server.supervisor().get(), "nothing"), ToolEnded,
        MessageMatches(ContainsSubstring("exited with status 3") &&
                       ContainsSubstring("no such thing")));
    CHECK_THROWS_AS(server.is_commanded(), ToolEnded);
    CHECK(server.running());
}

TEST_CASE("a signal is sent to the process that was added last", "[server]") {
    const Workshop workshop;
    Server server{workshop.start("companion", {"wait"})};
    server.add(workshop.start("tool", {"wait"}));
    server.signal(SIGUSR2);
    CHECK(server.wait_for_end(soon()));
    CHECK(server.processes()[1].status()->signal() == SIGUSR2);
    CHECK_FALSE(server.processes()[0].status());
}

TEST_CASE("a signal has a name, and a number", "[signal_number]") {
    CHECK(signal_number("HUP") == SIGHUP);
    CHECK(signal_number("SIGUSR2") == SIGUSR2);
    CHECK(signal_number("1") == SIGHUP);
    CHECK(signal_number("34") == 34);
    for (const auto* const text : {"", "SIG", "HOP", "hup", "0", "-1", "65", "1x", "1 "}) {
        INFO(text);
        CHECK_THROWS_MATCHES(signal_number(text), InvalidConfig,
                             MessageMatches(ContainsSubstring("is no signal")));
    }
    CHECK_THROWS_MATCHES(signal_number("HOP"), InvalidConfig,
                         MessageMatches(ContainsSubstring("did you mean HUP?")));
    for (const auto* const text : {"TERM", "SIGKILL", "19", "15"}) {
        CHECK_THROWS_MATCHES(signal_number(text), InvalidConfig,
                             MessageMatches(ContainsSubstring("ends or stops a process")));
    }
}
