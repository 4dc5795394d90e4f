#include <test_tunnel/base/detail/file_io.hpp>
#include <test_tunnel/net/wait.hpp>
#include <test_tunnel/process/server.hpp>

#include <signal.h> // NOLINT(modernize-deprecated-headers): kill is POSIX, not C
#include <sys/wait.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <string>

#include "support/child.hpp"
#include "support/durations.hpp"
#include "support/workshop.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::StartsWith;
using support::has_children;
using support::long_time;
using support::Workshop;

TEST_CASE("companions are stopped in the reverse of their order", "[server]") {
    const Workshop workshop;
    const auto notes = workshop.file("notes");
    const auto start = [&](const std::string& name) {
        return workshop.start_ready(name, {"end-noting", notes, name + " ", "ready", "wait"});
    };
    Server server{start("first")};
    server.add(start("second"));
    server.add(start("third"));
    server.stop(long_time);
    CHECK(workshop.content("notes") == "third second first ");
    for (const auto& process : server.processes()) {
        CHECK(process.status()->code() == 0);
        CHECK(process.was_told_to_end());
        CHECK_FALSE(process.had_to_be_killed());
    }
}

TEST_CASE("each companion is given its time to end", "[server]") {
    const Workshop workshop;
    Server server{workshop.start_ready("first", {"end-slowly", "0", "ready", "wait"})};
    server.add(workshop.start_ready("second", {"ignore", "15", "ready", "wait"}));
    server.add(workshop.start_ready("third", {"end-slowly", "0", "ready", "wait"}));
    server.stop(500ms);
    const auto& processes = server.processes();
    CHECK(processes[0].status()->code() == 0);
    CHECK(processes[1].status()->signal() == SIGKILL);
    CHECK(processes[1].had_to_be_killed());
    CHECK(processes[2].status()->code() == 0);
}

TEST_CASE("a companion that had ended before was not told to", "[server]") {
    const Workshop workshop;
    Server server{workshop.start("first", {"exit", "4"})};
    server.add(workshop.start("second", {"wait"}));
    siginfo_t info{};
    const auto pid = static_cast<id_t>(server.processes()[0].pid());
    REQUIRE(::waitid(P_PID, pid, &info, WEXITED | WNOWAIT) == 0);
    server.stop(long_time);
    CHECK(server.processes()[0].status()->code() == 4);
    CHECK_FALSE(server.processes()[0].was_told_to_end());
    CHECK(server.processes()[1].was_told_to_end());
}

TEST_CASE("what one companion prints is drained while another is being stopped", "[server]") {
    const Workshop workshop;
    const auto printed = workshop.file("printed");
    // The second ends only when the first has got rid of more than a pipe takes.
    Server server{workshop.start("first", {"flood", "1024", "create", printed, "wait"})};
    server.add(workshop.start_ready("second", {"end-when", printed, "ready", "wait"}));
    server.stop(long_time);
    CHECK(server.processes()[1].status()->code() == 0);
    CHECK_FALSE(server.processes()[1].had_to_be_killed());
    CHECK_THAT(server.processes()[0].out(), StartsWith("first out\n"));
}

TEST_CASE("stopping a server twice does no harm", "[server]") {
    const Workshop workshop;
    Server server{workshop.start("tool", {"wait"})};
    server.stop(long_time);
    server.stop(long_time);
    CHECK(server.processes()[0].status()->signal() == SIGTERM);
}

TEST_CASE("one process of a server is started again as it was, while the others run on",
          "[server]") {
    const Workshop workshop;
    const auto notes = workshop.file("notes");
    Server server{workshop.start_ready("first", {"end-noting", notes, "ended ", "ready", "wait"})};
    server.add(workshop.start_ready("second", {"ready", "wait"}));
    const auto first = server.processes()[0].pid();
    const auto second = server.processes()[1].pid();
    const auto command = server.processes()[0].command_line();
    server.restart(0);
    CHECK(server.processes()[0].pid() != first);
    CHECK(server.processes()[0].command_line() == command);
    CHECK(server.processes()[1].pid() == second);
    CHECK(server.running());
    CHECK(::kill(first, 0) == -1); // and has been reaped
    const auto& again = server.processes()[0];
    CHECK(wait_until([&] { return !again.out().empty(); }, Deadline::after(long_time),
                     server.supervisor().get(), "the output of the one that was started again"));
    CHECK(workshop.content("notes").empty()); // it was killed, and not told to end
    server.stop(long_time);
    CHECK(workshop.content("notes") == "ended ");
}

TEST_CASE("one that has ended is started again, too", "[server]") {
    const Workshop workshop;
    Server server{workshop.start("first", {"exit", "4"})};
    REQUIRE(server.wait_for_end(Deadline::after(long_time)));
    server.restart(0);
    CHECK_FALSE(server.processes()[0].status());
    REQUIRE(server.wait_for_end(Deadline::after(long_time)));
    CHECK(server.processes()[0].status()->code() == 4);
    CHECK_THROWS(server.restart(1)); // there is none
}

TEST_CASE("a process does nothing while it is suspended, and can be stopped then", "[server]") {
    const Workshop workshop;
    Server server{workshop.start_ready("first", {"end-slowly", "0", "ready", "wait"})};
    const auto state = [&] {
        const auto text =
            detail::read_file(fmt::format("/proc/{}/stat", server.processes()[0].pid()));
        return text.value_or("").substr(text.value_or("").rfind(')') + 2, 1);
    };
    const auto becomes = [&](bool is_stopped) {
        return wait_until([&] { return (state() == "T") == is_stopped; },
                          Deadline::after(long_time), nullptr, "the state of a process");
    };
    server.suspend(0);
    CHECK(becomes(true));
    CHECK(server.running());
    server.resume(0);
    CHECK(becomes(false));
    server.suspend(0);
    server.stop(long_time);
    CHECK(server.processes()[0].status()->code() == 0);
}

TEST_CASE("the destructor of a server kills all of its processes", "[server]") {
    const Workshop workshop;
    {
        Server server{workshop.start_ready("first", {"ignore", "15", "ready", "wait"})};
        server.add(workshop.start_ready("second", {"ignore", "15", "ready", "wait"}));
        auto moved = std::move(server);
    }
    CHECK_FALSE(has_children());
}
