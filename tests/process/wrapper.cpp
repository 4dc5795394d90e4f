#include <test_tunnel/base/detail/escape.hpp>
#include <test_tunnel/base/text.hpp>
#include <test_tunnel/net/wait.hpp>
#include <test_tunnel/process/detail/child.hpp>
#include <test_tunnel/process/process.hpp>

#include <signal.h> // NOLINT(modernize-deprecated-headers): sigaction is POSIX, not C

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

#include "support/child.hpp"
#include "support/durations.hpp"
#include "support/fifo.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using support::Fifo;
using support::has_children;
using support::long_time;
using support::soon;
using support::start;
using support::TemporaryDirectory;
using support::Words;

namespace fs = std::filesystem;

namespace {

/// A child that a shell has started, and waits for.
Process wrapped(const Words& commands) {
    auto script = detail::shell_quote(CHILD_PROGRAM);
    for (const auto& word : commands) {
        script += ' ' + detail::shell_quote(word);
    }
    return Process::spawn({.argv = {"sh", "-c", script + "; exit $?"}});
}

bool is_ready(Process& process) {
    return detail::pump(process, soon(),
                        [&] { return process.out().find("ready") != std::string::npos; });
}

} // namespace

TEST_CASE("a tool is told to end where its wrapper dies without telling it", "[supervision]") {
    const Fifo fifo;
    const TemporaryDirectory directory;
    auto process = wrapped(
        {"end-noting", directory.file("note"), "told", "hold", fifo.path(), "ready", "wait"});
    REQUIRE(is_ready(process));
    CHECK(process.stop(long_time, 0ms).signal() == SIGTERM);
    CHECK(process.left_behind().empty());
    CHECK_FALSE(process.had_to_be_killed());
    CHECK(fs::file_size(directory.file("note")) == 4);
    CHECK(fifo.wait_for_end());
    CHECK_FALSE(has_children());
}

TEST_CASE("a wrapper has not ended before its tool, which has all the time to", "[supervision]") {
    const TemporaryDirectory directory;
    const auto may_end = directory.file("may-end");
    auto process = wrapped({"end-when", may_end, "ready", "wait"});
    REQUIRE(is_ready(process));
    process.terminate(0ms);
    CHECK_FALSE(detail::pump(process, Deadline::after(50ms), [&] { return process.has_ended(); }));
    std::ofstream{may_end} << "";
    CHECK(process.stop(long_time, 0ms).signal() == SIGTERM);
    CHECK(process.left_behind().empty());
    CHECK_FALSE(process.had_to_be_killed());
}

TEST_CASE("a tool that ignores SIGTERM is killed behind a wrapper too", "[supervision]") {
    const Fifo fifo;
    auto process = wrapped({"ignore", "15", "hold", fifo.path(), "ready", "wait"});
    REQUIRE(is_ready(process));
    process.stop(100ms, 0ms);
    CHECK(process.had_to_be_killed());
    CHECK(fifo.wait_for_end());
    CHECK_FALSE(has_children());
}

TEST_CASE("what a tool behind a wrapper leaves behind is named", "[supervision]") {
    auto process = wrapped({"fork", "leave-group", "ready", "wait", "parent", "wait"});
    REQUIRE(is_ready(process));
    CHECK(process.stop(long_time, 0ms).signal() == SIGTERM);
    CHECK(process.left_behind().size() == 1);
    CHECK_FALSE(has_children());
}

TEST_CASE("what a wrapper leaves behind that handles SIGTERM itself is not told", "[supervision]") {
    auto process = Process::spawn({.argv = {"sh", "-c",
                                            fmt::format("trap 'exit 0' TERM; {} ready wait & wait",
                                                        detail::shell_quote(CHILD_PROGRAM))}});
    REQUIRE(is_ready(process));
    CHECK(process.stop(long_time, 0ms).code() == 0);
    CHECK(process.left_behind().size() == 1);
}

TEST_CASE("what a tool leaves behind that listens itself, and is no wrapper, is not told",
          "[supervision]") {
    auto process = start({"bind", "127.0.0.1", "0", "listen", "fork", "exec", "/bin/sh", "-c",
                          "echo ready; exec sleep 60", "parent", "wait"});
    REQUIRE(is_ready(process));
    CHECK(process.stop(long_time, 0ms).signal() == SIGTERM);
    CHECK(process.left_behind().size() == 1);
    CHECK_FALSE(has_children());
}

TEST_CASE("nobody is told to end where a wrapper is killed", "[supervision]") {
    const TemporaryDirectory directory;
    auto process = wrapped({"end-noting", directory.file("note"), "told", "ready", "wait"});
    REQUIRE(is_ready(process));
    process.signal(SIGKILL);
    REQUIRE(process.wait(soon()));
    CHECK(process.left_behind().size() == 1);
    CHECK_FALSE(fs::exists(directory.file("note")));
}
