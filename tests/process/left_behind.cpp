#include <test_tunnel/base/detail/escape.hpp>
#include <test_tunnel/base/text.hpp>
#include <test_tunnel/process/detail/child.hpp>
#include <test_tunnel/process/detail/orphans.hpp>
#include <test_tunnel/process/process.hpp>

#include <signal.h> // NOLINT(modernize-deprecated-headers): sigaction is POSIX, not C
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <chrono>
#include <fstream>
#include <string>

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
using support::long_time;
using support::soon;
using support::start;
using support::Straggling;
using support::TemporaryDirectory;
using support::told_pid;
using support::Words;

namespace {

/// That an orphan which was started like this is ended and named when the tool exits by itself,
/// and when it is stopped.
void check_straggler(const Words& how) {
    const Straggling straggling;
    const bool exits = GENERATE(true, false);
    auto process = start(straggling.words(how), straggling.await(),
                         exits ? Words{"exit", "6"} : Words{"ready", "wait"});
    if (exits) {
        REQUIRE(process.wait(soon()));
        CHECK(process.status()->code() == 6);
    } else {
        REQUIRE(detail::pump(process, soon(),
                             [&] { return process.out().find("ready") != std::string::npos; }));
        CHECK(process.stop(long_time, 10ms).signal() == SIGTERM);
    }
    CHECK(process.left_behind() == Words{fmt::format("child ({})", told_pid(process.out()))});
    CHECK_FALSE(process.had_to_be_killed());
    CHECK(straggling.fifo().wait_for_end());
    CHECK_FALSE(has_children());
}

} // namespace

// --- What a tool leaves behind

TEST_CASE("an orphan that signals its parent does not end the harness", "[left_behind]") {
    // The shell in the middle ends, and leaves the inner one to the harness.
    const auto* const inner =
        "parent() { cut -d ' ' -f 4 /proc/$$/stat; }; "
        "while [ $(parent) = $0 ]; do :; done; "
        "kill -USR1 $(parent) && kill -USR2 $(parent) && echo told";
    const auto* const middle = "sh -c \"$INNER\" $$ & exit 0";
    auto process = Process::spawn(
        {.argv = {"sh", "-c", "sh -c \"$MIDDLE\"; exec sleep 60"},
         .environment = {{"INNER", inner}, {"MIDDLE", middle}, {"PATH", "/usr/bin:/bin"}}});
    CHECK(detail::pump(process, soon(),
                       [&] { return process.out().find("told") != std::string::npos; }));
}

TEST_CASE("a child in the tool's group is ended with it, and named", "[supervision]") {
    check_straggler({"fork"});
}

TEST_CASE("a child in a group of its own is ended with the tool, and named", "[supervision]") {
    check_straggler({"fork", "own-group"});
}

TEST_CASE("a child in a session of its own is ended with the tool, and named", "[supervision]") {
    check_straggler({"fork", "leave-group"});
}

TEST_CASE("a child that ignores SIGTERM is ended with the tool, and named", "[supervision]") {
    check_straggler({"fork", "ignore", "15", "leave-group"});
}

TEST_CASE("a daemon is ended with the tool, and named", "[supervision]") {
    check_straggler({"fork-twice", "leave-group"});
}

TEST_CASE("an orphan in the tool's session is ended with the tool, and named", "[supervision]") {
    check_straggler({"fork-twice", "own-group"});
}

TEST_CASE("a child that has overwritten its environment is found by its session", "[supervision]") {
    check_straggler({"fork", "leave-group", "overwrite-environment"});
}

TEST_CASE("a child that has overwritten its environment is found in the tool's session",
          "[supervision]") {
    check_straggler({"fork", "own-group", "overwrite-environment"});
}

TEST_CASE("a child with another environment in a session of its own is ended", "[supervision]") {
    const Fifo fifo;
    const TemporaryDirectory directory;
    const auto child = detail::shell_quote(CHILD_PROGRAM);
    const auto there = directory.file("there");
    const auto command = fmt::format("env -i setsid {} hold {} create {} wait & exec {} await {}",
                                     child, fifo.path(), there, child, there);
    auto process = Process::spawn({.argv = {"sh", "-c", command}});
    REQUIRE(process.wait(soon()));
    CHECK(process.left_behind().size() == 1);
    CHECK(fifo.wait_for_end());
    CHECK_FALSE(has_children());
}

TEST_CASE("a child of a child is ended with the tool", "[supervision]") {
    const Straggling inner;
    auto commands = Words{"fork", "say-pid"};
    for (const auto& word : inner.words({"fork", "leave-group"})) {
        commands.push_back(word);
    }
    auto process = start(commands, Words{"wait", "parent"}, inner.await(), Words{"exit", "0"});
    REQUIRE(process.wait(soon()));
    REQUIRE_FALSE(process.left_behind().empty());
    CHECK(process.left_behind().front() == fmt::format("child ({})", told_pid(process.out())));
    CHECK(inner.fifo().wait_for_end());
    CHECK_FALSE(has_children());
}

TEST_CASE("what leaves orphans without end is ended with the tool", "[supervision]") {
    auto process =
        Process::spawn({.argv = {"/bin/sh", "-c", "while :; do (true &); done & exit 0"}});
    REQUIRE(process.wait(soon()));
    CHECK_FALSE(process.left_behind().empty());
    CHECK(all_have_ended());
}

TEST_CASE("a child that is stopped by SIGSTOP is ended with the tool", "[supervision]") {
    const Straggling straggling;
    auto process = start(straggling.words({"fork", "leave-group"}, {"stop"}), straggling.await());
    REQUIRE(process.wait(soon()));
    CHECK(process.left_behind().size() == 1);
    CHECK(straggling.fifo().wait_for_end());
}

TEST_CASE("many that a tool leaves behind are all ended and named", "[supervision]") {
    const Fifo fifo;
    constexpr int count = 30;
    Words commands;
    for (int i = 0; i < count; ++i) {
        for (const auto& word :
             Words{"fork-twice", "leave-group", "hold", fifo.path(), "wait", "parent"}) {
            commands.push_back(word);
        }
    }
    auto process = start(commands, Words{"wait"});
    REQUIRE(fifo.wait_for_holders(count));
    process.stop(long_time, 0ms);
    CHECK(process.left_behind().size() == count);
    CHECK(fifo.wait_for_end());
    CHECK_FALSE(has_children());
}

TEST_CASE("an orphan that had ended before the tool leaves no zombie", "[supervision]") {
    const Fifo fifo;
    const TemporaryDirectory directory;
    const auto over = directory.file("over");
    auto process = start({"fork-twice", "own-group", "hold", fifo.path(), "exit", "0", "parent",
                          "await", over, "exit", "0"});
    REQUIRE(fifo.wait_for_holders(1));
    REQUIRE(fifo.wait_for_end());
    std::ofstream{over} << "";
    REQUIRE(process.wait(soon()));
    CHECK_FALSE(has_children());
}

TEST_CASE("a tool that ends all it has started leaves nothing behind", "[supervision]") {
    auto process = start({"fork-twice", "leave-group", "exit", "0", "parent", "wait"});
    CHECK(process.stop(long_time).signal() == SIGTERM);
    CHECK(process.left_behind().empty());
    CHECK_FALSE(has_children());
}

// --- How long it may take

TEST_CASE("what ends within the time that a tool may linger is not left behind", "[supervision]") {
    const TemporaryDirectory directory;
    const auto done = directory.file("done");
    const Straggling straggling;
    auto process = start(straggling.words({"fork", "leave-group"}, {"await", done, "exit", "0"}),
                         Words{"wait"});
    REQUIRE(straggling.fifo().wait_for_holders(1));
    process.terminate(long_time);
    REQUIRE(detail::pump(process, soon(), [&] { return process.has_ended(); }));
    CHECK_FALSE(process.wait(Deadline::after(20ms))); // not before the child
    CHECK(straggling.fifo().is_held());
    std::ofstream{done} << "";
    const auto status = process.wait(soon());
    REQUIRE(status);
    CHECK(status->signal() == SIGTERM);
    CHECK(process.left_behind().empty());
    CHECK_FALSE(process.had_to_be_killed());
    CHECK(straggling.fifo().wait_for_end());
    CHECK_FALSE(has_children());
}

TEST_CASE("stop waits for what ends by itself as long as it may linger", "[supervision]") {
    const Straggling straggling;
    auto process = start(straggling.words({"fork", "leave-group", "end-slowly", "100"},
                                          {"await", "/proc/self/no-such-file"}),
                         Words{"wait"});
    REQUIRE(straggling.fifo().wait_for_holders(1));
    const pid_t child = told_pid(process);
    REQUIRE(child > 0);
    REQUIRE(::kill(child, SIGTERM) == 0);
    CHECK(process.stop(long_time, long_time).signal() == SIGTERM);
    CHECK(process.left_behind().empty());
    CHECK(straggling.fifo().wait_for_end());
}

TEST_CASE("what does not end is killed when the time to linger is over, not later",
          "[supervision]") {
    const Straggling straggling;
    auto process = start(straggling.words({"fork", "leave-group"}), Words{"wait"});
    REQUIRE(straggling.fifo().wait_for_holders(1));
    const auto begin = Clock::now();
    CHECK(process.stop(long_time, 100ms).signal() == SIGTERM);
    const auto taken = Clock::now() - begin;
    CHECK(taken >= 100ms);
    CHECK(taken < long_time / 2);
    CHECK(process.left_behind().size() == 1);
}

TEST_CASE("a tool that has lingered ran no longer for that", "[supervision]") {
    const Straggling straggling;
    auto process = start(straggling.words({"fork", "leave-group"}), Words{"wait"});
    REQUIRE(straggling.fifo().wait_for_holders(1));
    process.terminate(300ms);
    REQUIRE(detail::pump(process, soon(), [&] { return process.has_ended(); }));
    const auto ran = process.run_time();
    REQUIRE(process.wait(soon()));
    CHECK(process.run_time() == ran);
}

TEST_CASE("the destructor does not wait for what lingers", "[supervision]") {
    const Straggling straggling;
    const auto begin = Clock::now();
    {
        auto process = start(straggling.words({"fork", "leave-group"}), Words{"wait"});
        REQUIRE(straggling.fifo().wait_for_holders(1));
        process.terminate(long_time);
        REQUIRE(detail::pump(process, soon(), [&] { return process.has_ended(); }));
    }
    CHECK(Clock::now() - begin < long_time / 2);
    CHECK(straggling.fifo().wait_for_end());
    CHECK_FALSE(has_children());
}

// --- What is none of a tool's

TEST_CASE("the end of a tool touches no child that the test has started", "[supervision]") {
    const Forked own{[] { return ""; }};
    auto process = start({"exit", "0"});
    REQUIRE(process.wait(soon()));
    CHECK(process.left_behind().empty());
    CHECK(::waitpid(own.pid(), nullptr, WNOHANG) == 0);
}

TEST_CASE("the end of a tool touches no child in a group that the test has made", "[supervision]") {
    Forked own{[] { return fmt::format("{}", ::setpgid(0, 0)); }};
    REQUIRE(own.text() == "0");
    auto process = start({"exit", "0"});
    REQUIRE(process.wait(soon()));
    CHECK(process.left_behind().empty());
    CHECK(::waitpid(own.pid(), nullptr, WNOHANG) == 0);
}

TEST_CASE("the end of a tool touches no other tool and nothing that this has started",
          "[supervision]") {
    const Words how = GENERATE(Words{"fork", "leave-group"}, Words{"fork-twice", "leave-group"},
                               Words{"fork-twice", "own-group"},
                               Words{"fork-twice", "own-group", "overwrite-environment"});
    const Straggling straggling;
    auto other = start(straggling.words(how), Words{"wait"});
    REQUIRE(straggling.fifo().wait_for_holders(1));
    auto process = start({"exit", "0"});
    REQUIRE(process.wait(soon()));
    CHECK(process.left_behind().empty());
    CHECK(straggling.fifo().is_held());
    CHECK_FALSE(other.wait(Deadline::after(10ms)));
    CHECK(other.stop(long_time, 0ms).signal() == SIGTERM);
    CHECK(other.left_behind().size() == 1);
    CHECK(straggling.fifo().wait_for_end());
}

TEST_CASE("the end of a tool leaves the test its own zombies", "[supervision]") {
    const pid_t own = detail::checked(::fork(), "fork");
    if (own == 0) {
        ::_exit(7);
    }
    siginfo_t info{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(own), &info, WEXITED | WNOWAIT) == 0);
    auto process = start({"exit", "0"});
    REQUIRE(process.wait(soon()));
    CHECK(process.left_behind().empty());
    int status = 0;
    REQUIRE(::waitpid(own, &status, WNOHANG) == own);
    CHECK(WEXITSTATUS(status) == 7);
}
