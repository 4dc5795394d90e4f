#include <test_tunnel/base/deadline.hpp>
#include <test_tunnel/net/wait.hpp>
#include <test_tunnel/process/process.hpp>
#include <test_tunnel/process/server.hpp>

#include <signal.h> // NOLINT(modernize-deprecated-headers): sigaction is POSIX, not C
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/child.hpp"
#include "support/descriptors.hpp"
#include "support/fifo.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;
using support::Fifo;
using support::has_children;
using support::open_descriptors;
using support::SignalDisposition;
using support::soon;
using support::start;
using support::TemporaryDirectory;
using support::Words;

namespace fs = std::filesystem;

namespace {

void wait_for_output(Process& process, const std::string& text) {
    REQUIRE(detail::pump(process, soon(),
                         [&] { return process.out().find(text) != std::string::npos; }));
}

#if defined(__SANITIZE_ADDRESS__)
constexpr int many_processes = 50;
#else
constexpr int many_processes = 1000;
#endif

} // namespace

// --- How it ended

TEST_CASE("a status and a signal of the same number are told apart", "[process]") {
    struct Case {
        Words commands;
        std::optional<int> code;
        std::optional<int> signal;
        std::string text;
    };
    const std::vector<Case> cases{
        {{"exit", "0"}, 0, {}, "exited with status 0"},
        {{"exit", "1"}, 1, {}, "exited with status 1"},
        {{"exit", "9"}, 9, {}, "exited with status 9"},
        {{"exit", "143"}, 143, {}, "exited with status 143"},
        {{"kill", "9"}, {}, 9, "was killed by signal 9 (Killed)"},
        {{"kill", "15"}, {}, 15, "was killed by signal 15 (Terminated)"},
        {{"kill", "11"}, {}, 11, "was killed by signal 11 (Segmentation fault)"},
    };
    for (const auto& [commands, code, signal, text] : cases) {
        auto process = start(commands);
        const auto status = process.wait(soon());
        REQUIRE(status);
        CHECK(status->code() == code);
        CHECK(status->signal() == signal);
        CHECK(status->text() == text);
        CHECK_FALSE(process.had_to_be_killed());
        CHECK_FALSE(process.was_told_to_end());
    }
}

TEST_CASE("a process that runs has no status, and waiting for it ends in time", "[process]") {
    auto process = start({"wait"});
    CHECK_FALSE(process.wait(Deadline::after(20ms)));
    CHECK_FALSE(process.status());
}

TEST_CASE("what a program writes is had by waiting for its end", "[process]") {
    CHECK(start({"out", "a key", "err", "a warning"}).finish(60s) == "a key");
}

TEST_CASE("a program that fails says why to whom needs what it makes", "[process]") {
    CHECK_THROWS_WITH(start({"err", "no entropy\n", "exit", "3"}).finish(60s),
                      ContainsSubstring("child err") &&
                          EndsWith("exit 3: it exited with status 3: no entropy\n"));
    CHECK_THROWS_WITH(start({"kill", "9"}).finish(60s), EndsWith("signal 9 (Killed)"));
    CHECK_THROWS_AS(start({"exit", "1"}).finish(60s), SetupError);
    CHECK_THROWS_WITH(start({"wait"}).finish(20ms),
                      EndsWith("it has not ended within " + text_of(scaled(20ms))));
}

TEST_CASE("the time that a process ran stands still when it has ended", "[process]") {
    auto process = start({"sleep", "20"});
    REQUIRE(process.wait(soon()));
    const auto ran = process.run_time();
    CHECK(ran >= 20ms);
    CHECK(process.run_time() == ran);
}

TEST_CASE("a process is named by its file and its command line can be pasted", "[process]") {
    const auto process = start({"args", "two words", "it's"});
    CHECK(process.name() == fs::path{CHILD_PROGRAM}.filename());
    CHECK_THAT(process.command_line(), EndsWith("child args 'two words' 'it'\\''s'"));
}

// --- The end

TEST_CASE("a process that honours SIGTERM is stopped by it", "[process]") {
    auto process = start({"wait"});
    const auto status = process.stop(60s);
    CHECK(status.signal() == SIGTERM);
    CHECK(process.was_told_to_end());
    CHECK_FALSE(process.had_to_be_killed());
}

TEST_CASE("what a process has used is known when it has been stopped", "[process]") {
    auto process = start({"ready", "wait"});
    wait_for_output(process, "ready");
    CHECK(process.use().cpu == Duration::zero());
    process.stop(60s);
    CHECK(process.use().cpu > Duration::zero());
#if TEST_TUNNEL_LINUX
    constexpr std::uint64_t a_page = 4096;
    CHECK(process.use().peak_memory > a_page);
#endif
}

TEST_CASE("a process that takes its time after SIGTERM is waited for", "[process]") {
    auto process = start({"end-slowly", "100", "ready", "wait"});
    wait_for_output(process, "ready");
    CHECK(process.stop(60s).code() == 0);
    CHECK(process.was_told_to_end());
    CHECK_FALSE(process.had_to_be_killed());
}

TEST_CASE("stop escalates to SIGKILL when SIGTERM is ignored", "[process]") {
    auto process = start({"ignore", "15", "ready", "wait"});
    wait_for_output(process, "ready");
    const auto begin = Clock::now();
    CHECK(process.stop(50ms).signal() == SIGKILL);
    CHECK(Clock::now() - begin >= 50ms);
    CHECK(process.was_told_to_end());
    CHECK(process.had_to_be_killed());
}

TEST_CASE("SIGTERM comes once, whoever is told to end and how often", "[process]") {
    auto child = start({"end-the-second-time", "ready", "wait"});
    wait_for_output(child, "ready");
    Server server{std::move(child)};
    server.terminate(1s);
    server.stop(50ms);
    const auto& process = server.processes().front();
    REQUIRE(process.status());
    CHECK(process.status()->signal() == SIGKILL);
    CHECK(process.had_to_be_killed());
}

TEST_CASE("a process that is stopped by SIGSTOP takes the SIGTERM nevertheless", "[process]") {
    auto process = start({"stop"});
    siginfo_t info{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(process.pid()), &info, WSTOPPED | WNOWAIT) == 0);
    CHECK_FALSE(process.wait(Deadline::after(20ms)));
    CHECK(process.stop(10s).signal() == SIGTERM);
    CHECK_FALSE(process.had_to_be_killed());
}

TEST_CASE("stopping a process that has ended leaves its status as it is", "[process]") {
    auto process = start({"exit", "3"});
    REQUIRE(process.wait(soon()));
    CHECK(process.stop(60s).code() == 3);
    CHECK_FALSE(process.was_told_to_end());
}

TEST_CASE("a process whose end was not seen yet has not been told to end", "[process]") {
    auto process = start({"exit", "3"});
    siginfo_t info{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(process.pid()), &info, WEXITED | WNOWAIT) == 0);
    CHECK(process.stop(60s).code() == 3);
    CHECK_FALSE(process.was_told_to_end());
}

TEST_CASE("of all signals only SIGTERM tells a process to end", "[process]") {
    auto process = start({"ignore", "10", "ready", "wait"});
    wait_for_output(process, "ready");
    process.signal(SIGUSR1);
    CHECK_FALSE(process.was_told_to_end());
    process.signal(SIGTERM);
    CHECK(process.was_told_to_end());
    CHECK(process.wait(soon())->signal() == SIGTERM);
}

TEST_CASE("a signal that interrupts a wait is harmless", "[process]") {
    static volatile sig_atomic_t count = 0;
    const SignalDisposition handler{SIGALRM, [](int) { count = count + 1; }};
    const itimerval often{.it_interval = {0, 2000}, .it_value = {0, 2000}};
    const itimerval never{};
    ::setitimer(ITIMER_REAL, &often, nullptr);
    auto process = start({"sleep", "50", "exit", "4"});
    const auto status = process.wait(soon());
    ::setitimer(ITIMER_REAL, &never, nullptr);
    REQUIRE(status);
    CHECK(status->code() == 4);
    CHECK(count > 0);
}

TEST_CASE("the destructor kills a process and reaps it", "[process]") {
    const Fifo fifo;
    {
        auto process = start({"ignore", "15", "hold", fifo.path(), "wait"});
        REQUIRE(fifo.wait_for_holders(1));
    }
    CHECK_FALSE(has_children());
    CHECK(fifo.wait_for_end());
}

TEST_CASE("a process is moved, not copied, and another one in its place is killed", "[process]") {
    STATIC_CHECK_FALSE(std::is_copy_constructible_v<Process>);
    STATIC_CHECK_FALSE(std::is_copy_assignable_v<Process>);
    STATIC_CHECK(std::is_nothrow_move_constructible_v<Process>);
    const Fifo fifo;
    auto process = start({"hold", fifo.path(), "wait"});
    REQUIRE(fifo.wait_for_holders(1));
    process = start({"exit", "5"});
    CHECK(fifo.wait_for_end());
    auto moved = std::move(process);
    CHECK(moved.wait(soon())->code() == 5);
    CHECK_FALSE(has_children());
}

TEST_CASE("what a process has started in its group is gone when it has been stopped", "[process]") {
    const Fifo fifo;
    auto process = start({"fork", "hold", fifo.path(), "wait", "parent", "wait"});
    REQUIRE(fifo.wait_for_holders(1));
    CHECK(process.stop(60s).signal() == SIGTERM);
    CHECK(fifo.wait_for_end());
}

TEST_CASE("what a process has started in its group is gone when it has ended by itself",
          "[process]") {
    const Fifo fifo;
    const TemporaryDirectory directory;
    auto process =
        start({"fork", "ignore", "15", "hold", fifo.path(), "create", directory.file("held"),
               "wait", "parent", "await", directory.file("held"), "exit", "6"});
    REQUIRE(process.wait(soon()));
    CHECK(process.status()->code() == 6);
    CHECK(fifo.wait_for_end());
}

TEST_CASE("what has left the group and holds the pipe hardly delays the end", "[process]") {
    const Fifo fifo;
    auto process =
        start({"fork", "leave-group", "say-pid", "hold", fifo.path(), "wait", "parent", "wait"});
    REQUIRE(fifo.wait_for_holders(1));
    const auto begin = Clock::now();
    CHECK(process.stop(60s, 100ms).signal() == SIGTERM);
    CHECK(Clock::now() - begin < 5s); // 100 ms on an idle machine
    const auto output = process.out();
    REQUIRE_THAT(output, StartsWith("pid "));
    const int pid = std::stoi(output.substr(4));
#ifdef TEST_TUNNEL_POSIX_ONLY
    CHECK(::kill(pid, SIGKILL) == 0); // out of reach without Linux's means
#else
    CHECK(process.left_behind() == std::vector<std::string>{fmt::format("child ({})", pid)});
#endif
    CHECK(fifo.wait_for_end());
}

TEST_CASE("what has left the group and fills the pipe hardly delays the end", "[process]") {
    const Fifo fifo;
    {
        auto process =
            start({"fork", "leave-group", "hold", fifo.path(), "endless", "parent", "wait"});
        REQUIRE(fifo.wait_for_holders(1));
        const auto begin = Clock::now();
        CHECK(process.stop(60s, 100ms).signal() == SIGTERM);
        CHECK(Clock::now() - begin < 5s);
    }
    CHECK(fifo.wait_for_end()); // by SIGPIPE: nobody has the other end any more
}

TEST_CASE("no process leaves a zombie, however it ends", "[process]") {
    start({"exit", "0"});
    start({"wait"});
    start({"exit", "0"}).wait(soon());
    start({"ignore", "15", "wait"}).stop(1ms);
    CHECK_FALSE(has_children());
}

TEST_CASE("many processes use up neither descriptors nor processes", "[process]") {
    start({"exit", "0"}).wait(soon());
    const auto before = open_descriptors();
    for (int i = 0; i < many_processes; ++i) {
        auto process = start({"exit", "7"});
        REQUIRE(process.wait(soon())->code() == 7);
    }
    CHECK(open_descriptors() == before);
    CHECK_FALSE(has_children());
}

#if TEST_TUNNEL_LINUX
TEST_CASE("a process dies with a harness that is killed", "[process]") {
    const Fifo fifo;
    const pid_t harness = detail::checked(::fork(), "fork");
    if (harness == 0) {
        ::alarm(100);
        try {
            const auto process = start({"hold", fifo.path(), "wait"});
            for (;;) {
                ::pause();
            }
        } catch (const std::exception&) {
            ::_exit(1);
        }
    }
    CHECK(fifo.wait_for_holders(1));
    CHECK(::kill(harness, SIGKILL) == 0);
    CHECK(::waitpid(harness, nullptr, 0) == harness);
    CHECK(fifo.wait_for_end());
}
#endif
