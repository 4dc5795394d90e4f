#include <test_tunnel/base/text.hpp>
#include <test_tunnel/process/detail/child.hpp>
#include <test_tunnel/process/detail/orphans.hpp>
#include <test_tunnel/process/detail/watchdog.hpp>

#include <fcntl.h>
#include <signal.h> // NOLINT(modernize-deprecated-headers): sigaction is POSIX, not C
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <thread>
#include <vector>

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
using support::SignalDisposition;
using support::soon;
using support::start;
using support::told_pid;

namespace {

bool is_alive(pid_t pid) {
    return ::kill(pid, 0) == 0;
}

} // namespace

TEST_CASE("the watchdog is no child of the harness", "[supervision]") {
    REQUIRE(start({"exit", "0"}).wait(soon()));
    CHECK(is_alive(detail::Watchdog::instance().pid()));
    CHECK_FALSE(has_children());
}

TEST_CASE("the watchdog has been waited for when the time to start is over", "[supervision]") {
    { const detail::Watchdog::Start meanwhile; }
    CHECK_FALSE(has_children());
    CHECK(is_alive(detail::Watchdog::instance().pid()));
}

TEST_CASE("threads that start their first tools at once share a watchdog", "[supervision]") {
    std::array<pid_t, 4> watchdogs{};
    std::vector<std::thread> threads;
    for (auto& watchdog : watchdogs) {
        threads.emplace_back([&watchdog] { watchdog = detail::Watchdog::instance().pid(); });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    CHECK(std::count(watchdogs.begin(), watchdogs.end(), watchdogs.front()) == 4);
    CHECK(watchdogs.front() > 0);
}

TEST_CASE("the watchdog holds no descriptor of the harness", "[supervision]") {
    support::Pipe pipe;
    REQUIRE(start({"exit", "0"}).wait(soon()));
    pipe.write_end.reset();
    REQUIRE(wait_for({.fd = pipe.read_end.get(), .events = POLLIN}, Deadline::after(30s), nullptr,
                     "the end of a pipe"));
    char byte = 0;
    CHECK(::read(pipe.read_end.get(), &byte, 1) == 0);
    CHECK(is_alive(detail::Watchdog::instance().pid()));
}

TEST_CASE("a harness outlives its watchdog, and still stops its tools", "[supervision]") {
    const SignalDisposition fatal{SIGPIPE, SIG_DFL};
    const Fifo fifo;
    detail::adopt_orphans();
    auto before = start({"hold", fifo.path(), "wait"});
    REQUIRE(fifo.wait_for_holders(1));
    const pid_t watchdog = detail::Watchdog::instance().pid();
    REQUIRE(::kill(watchdog, SIGKILL) == 0);
    REQUIRE(::waitpid(watchdog, nullptr, 0) == watchdog);
    auto after = start({"hold", fifo.path(), "wait"});
    REQUIRE(fifo.wait_for_holders(1));
    CHECK(after.stop(long_time).signal() == SIGTERM);
    CHECK(before.stop(long_time).signal() == SIGTERM);
    CHECK(fifo.wait_for_end());
    CHECK_FALSE(has_children());
}

TEST_CASE("a process forked from the harness has a watchdog of its own", "[supervision]") {
    const Fifo of_harness;
    const Fifo of_forked;
    auto process = start({"hold", of_harness.path(), "wait"});
    REQUIRE(of_harness.wait_for_holders(1));
    const pid_t watchdog = detail::Watchdog::instance().pid();
    Forked forked{[&] {
        keep(start({"fork", "leave-group", "hold", of_forked.path(), "wait", "parent", "wait"}));
        return fmt::format("pid {}", detail::Watchdog::instance().pid());
    }};
    const pid_t other = told_pid(forked.text());
    CHECK(other > 0);
    CHECK(other != watchdog);
    REQUIRE(of_forked.wait_for_holders(1));
    forked.kill();
    CHECK(of_forked.wait_for_end());
    CHECK(of_harness.is_held());
    CHECK(is_alive(watchdog));
    CHECK(process.stop(long_time).signal() == SIGTERM);
}

TEST_CASE("the watchdog does without the harness's standard streams", "[supervision]") {
    const Fifo fifo;
    detail::adopt_orphans();
    Forked harness{[&] {
        for (const int fd : {0, 1, 2}) {
            ::close(fd);
        }
        keep(start({"fork", "leave-group", "hold", fifo.path(), "wait", "parent", "wait"}));
        const detail::UniqueFd null{::open("/dev/null", O_RDWR | O_CLOEXEC)};
        for (const int fd : {0, 1, 2}) {
            ::dup2(null.get(), fd);
        }
        return fmt::format("pid {}", detail::Watchdog::instance().pid());
    }};
    const pid_t watchdog = told_pid(harness.text());
    REQUIRE(watchdog > 0);
    REQUIRE(fifo.wait_for_holders(1));
    pollfd entry{.fd = -1, .events = 0, .revents = 0};
    CHECK_FALSE(detail::poll_once({&entry, 1}, 50ms)); // time in which nothing must happen
    CHECK(::waitpid(watchdog, nullptr, WNOHANG) == 0);
    CHECK(fifo.is_held());
    harness.kill();
    CHECK(fifo.wait_for_end());
    CHECK(all_have_ended());
}
