#include <test_tunnel/base/detail/escape.hpp>
#include <test_tunnel/base/text.hpp>
#include <test_tunnel/process/detail/orphans.hpp>
#include <test_tunnel/process/process.hpp>

#include <fcntl.h>
#include <signal.h> // NOLINT(modernize-deprecated-headers): sigaction is POSIX, not C
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <chrono>
#include <filesystem>

#include "support/child.hpp"
#include "support/durations.hpp"
#include "support/fifo.hpp"
#include "support/forked.hpp"
#include "support/supervised.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using support::all_have_ended;
using support::Fifo;
using support::Forked;
using support::has_children;
using support::keep;
using support::long_time;
using support::soon;
using support::start;
using support::Words;

namespace fs = std::filesystem;

namespace {

/// Makes this a program that cares for no signal; the tests' framework does.
void restore_signals() {
    for (const int number : {SIGTERM, SIGINT}) {
        ::signal(number, SIG_DFL);
    }
}

/// That a harness which a signal ends leaves nothing of this tool, which holds the FIFO, and that
/// its watchdog does not stay either.
void check_end_with_harness(const Words& argv, const Fifo& fifo) {
    const int signal = GENERATE(SIGKILL, SIGTERM, SIGINT);
    detail::adopt_orphans();
    Forked harness{[&] {
        restore_signals();
        keep(Process::spawn({.argv = argv}));
        return "started";
    }};
    REQUIRE(harness.text() == "started");
    REQUIRE(fifo.wait_for_holders(1));
    const int status = harness.end_by(signal);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == signal);
    CHECK(fifo.wait_for_end());
    CHECK(all_have_ended());
}

} // namespace

// --- The end of the harness

TEST_CASE("a tool ends with its harness", "[supervision]") {
    const Fifo fifo;
    check_end_with_harness({CHILD_PROGRAM, "hold", fifo.path(), "wait"}, fifo);
}

TEST_CASE("a tool behind a wrapper shell ends with its harness", "[supervision]") {
    const Fifo fifo;
    const auto command = fmt::format("{} ignore 15 ignore 1 hold {} wait; true",
                                     detail::shell_quote(CHILD_PROGRAM), fifo.path());
    check_end_with_harness({"sh", "-c", command}, fifo);
}

TEST_CASE("what a tool has started in a session of its own ends with its harness",
          "[supervision]") {
    const Fifo fifo;
    check_end_with_harness(
        {CHILD_PROGRAM, "fork", "leave-group", "hold", fifo.path(), "wait", "parent", "wait"},
        fifo);
}

TEST_CASE("a daemon that a tool has started ends with its harness", "[supervision]") {
    const Fifo fifo;
    check_end_with_harness(
        {CHILD_PROGRAM, "fork-twice", "leave-group", "hold", fifo.path(), "wait", "parent", "wait"},
        fifo);
}

TEST_CASE("a daemon whose tool has ended unnoticed ends with its harness", "[supervision]") {
    const Fifo fifo;
    check_end_with_harness({CHILD_PROGRAM, "fork-twice", "leave-group", "hold", fifo.path(), "wait",
                            "parent", "exit", "0"},
                           fifo);
}

TEST_CASE("a harness that is told to exit leaves nothing of a tool it has not stopped",
          "[supervision]") {
    const Fifo fifo;
    detail::adopt_orphans();
    const pid_t harness = detail::checked(::fork(), "fork");
    if (harness == 0) {
        ::alarm(100);
        try {
            keep(start({"fork", "leave-group", "hold", fifo.path(), "wait", "parent", "wait"}));
            ::_exit(fifo.wait_for_holders(1) ? 3 : 4);
        } catch (const std::exception&) {
            ::_exit(5);
        }
    }
    int status = 0;
    REQUIRE(::waitpid(harness, &status, 0) == harness);
    CHECK(WEXITSTATUS(status) == 3);
    CHECK(fifo.wait_for_end());
    CHECK(all_have_ended());
}

TEST_CASE("tools end with their harness although a process that it has forked lives on",
          "[supervision]") {
    const Fifo fifo;
    const Fifo survivors;
    support::Pipe life;
    detail::adopt_orphans();
    Forked harness{[&] {
        keep(start({"fork", "leave-group", "hold", fifo.path(), "wait", "parent", "wait"}));
        if (::fork() == 0) {
            ::alarm(100);
            life.write_end.reset();
            const int held = ::open(survivors.path().c_str(), O_WRONLY | O_CLOEXEC);
            char byte = '!';
            [[maybe_unused]] auto count = ::write(held, &byte, 1);
            count = ::read(life.read_end.get(), &byte, 1); // until the test closes the other end
            ::_exit(0);
        }
        return "";
    }};
    REQUIRE(fifo.wait_for_holders(1));
    REQUIRE(survivors.wait_for_holders(1));
    harness.kill();
    CHECK(fifo.wait_for_end());
    CHECK(survivors.is_held());
    life.write_end.reset();
    CHECK(all_have_ended());
}

// --- A harness that is a tool itself

TEST_CASE("a harness for the tests that start one", "[.harness]") {
    const auto environment = current_environment();
    const auto& fifo = environment.at("HARNESS_FIFO");
    auto process =
        start({"fork", "leave-group", "hold", fifo, "wait", "parent", "hold", fifo, "wait"});
    if (environment.contains("HARNESS_STOPS")) {
        process.stop(long_time, 0ms);
        return;
    }
    process.wait(soon());
}

namespace {

/// This program, as a harness that starts a tool.
SpawnOptions nested_harness(const Fifo& fifo) {
    SpawnOptions options{.argv = {fs::read_symlink("/proc/self/exe"),
                                  "a harness for the tests that start one", "--network=host"}};
    options.environment["HARNESS_FIFO"] = fifo.path();
    return options;
}

} // namespace

TEST_CASE("a harness that is killed as a tool leaves none of its own tools", "[supervision]") {
    const Fifo fifo;
    {
        const auto harness = Process::spawn(nested_harness(fifo));
        REQUIRE(fifo.wait_for_holders(2));
    }
    CHECK(fifo.wait_for_end());
    CHECK_FALSE(has_children());
}

TEST_CASE("a harness that is killed as a tool and was given an environment leaves none either",
          "[supervision]") {
    const Fifo fifo;
    {
        auto options = nested_harness(fifo);
        options.environment = {{"HARNESS_FIFO", fifo.path()}};
        const auto harness = Process::spawn(options);
        REQUIRE(fifo.wait_for_holders(2));
    }
    CHECK(fifo.wait_for_end());
    CHECK_FALSE(has_children());
}

TEST_CASE("the watchdog of a harness that has ended as a tool is nothing left behind",
          "[supervision]") {
    const Fifo fifo;
    auto options = nested_harness(fifo);
    options.environment["HARNESS_STOPS"] = "1";
    auto harness = Process::spawn(options);
    REQUIRE(harness.wait(soon()));
    CHECK(harness.status()->code() == 0);
    CHECK(harness.left_behind().empty());
    CHECK_FALSE(has_children());
}
