#include <test_tunnel/process/server.hpp>

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>

#include <test_tunnel/process/detail/child.hpp>
#include <test_tunnel/process/detail/output.hpp>

#include "support/child.hpp"
#include "support/durations.hpp"
#include "support/fifo.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
using Catch::Matchers::StartsWith;
using support::long_time;
using support::start;
using support::TemporaryDirectory;
using support::Words;

namespace {

/// For what must not happen.
constexpr auto short_time = 100ms;

/// The alarm in what was written like this, cut up.
std::string alarm_in(const Words& writes) {
    auto pipe = detail::make_pipe();
    detail::set_nonblocking(pipe.read_end.get());
    detail::Output output{std::move(pipe.read_end), "tool", nullptr};
    for (const auto& text : writes) {
        detail::checked(::write(pipe.write_end.get(), text.data(), text.size()), "write");
        output.drain();
    }
    pipe.write_end.reset();
    while (output.fd() != -1) {
        output.drain();
    }
    return output.alarm();
}

/// Of a child that has ended.
std::string alarm_of(const Words& commands) {
    auto process = start(commands);
    REQUIRE(process.wait(Deadline::after(long_time)));
    return process.alarm();
}

} // namespace

// --- What a tool writes

TEST_CASE("a text is awaited on both outputs", "[readiness]") {
    const std::string output = GENERATE("out", "err");
    Server server{start({output, "now serving\n", "wait"})};
    CHECK_NOTHROW(server.await_output("now serving", long_time));
}

TEST_CASE("a text that comes later and in two parts is awaited", "[readiness]") {
    const TemporaryDirectory directory;
    const auto go = directory.file("go");
    Server server{start({"out", "now ser", "await", go, "out", "ving", "wait"})};
    CHECK_NOTHROW(server.await_output("now ser", long_time));
    CHECK_THROWS_AS(server.await_output("now serving", short_time), TimedOut);
    std::ofstream{go} << "";
    CHECK_NOTHROW(server.await_output("now serving", long_time));
}

TEST_CASE("a text that the two outputs only have together is none", "[readiness]") {
    Server server{start({"out", "now ser", "err", "ving", "wait"})};
    REQUIRE_NOTHROW(server.await_output("ving", long_time));
    CHECK_THROWS_AS(server.await_output("now serving", short_time), TimedOut);
}

TEST_CASE("a text that is there already is not waited for", "[readiness]") {
    Server server{start({"ready", "exit", "0"})};
    REQUIRE(server.wait_for_end(Deadline::after(long_time)));
    CHECK_NOTHROW(server.await_output("ready", 0ms));
}

TEST_CASE("a text that does not come is given up, and named without control bytes", "[readiness]") {
    Server server{start({"out", "something else\n", "wait"})};
    CHECK_THROWS_MATCHES(server.await_output("ready\x1b[0m", 50ms), TimedOut,
                         MessageMatches(StartsWith("child did not write 'ready\\x1b[0m' for " +
                                                   text_of(scaled(50ms)))));
}

TEST_CASE("a tool that ends is not waited for until it writes", "[readiness]") {
    Server server{start({"out", "something else\n", "sleep", "30", "exit", "9"})};
    const auto begin = Clock::now();
    CHECK_THROWS_MATCHES(server.await_output("ready", long_time), ToolEnded,
                         MessageMatches(StartsWith("child exited with status 9, ")));
    CHECK(Clock::now() - begin < long_time / 2);
}

TEST_CASE("the text is awaited from the process that was added last", "[readiness]") {
    Server server{start({"ready", "wait"})};
    REQUIRE_NOTHROW(server.await_output("ready", long_time));
    server.add(start({"wait"}));
    CHECK_THROWS_AS(server.await_output("ready", short_time), TimedOut);
}

TEST_CASE("a text is awaited from a tool that never stops to write", "[readiness]") {
    Server server{start({"fork", "endless", "parent", "err", "ready", "wait"})};
    CHECK_NOTHROW(server.await_output("ready", long_time));
}

TEST_CASE("the time for one pair ends the wait for a text", "[readiness]") {
    Server server{start({"wait"})};
    server.limit(20ms);
    CHECK_THROWS_MATCHES(server.await_output("ready", long_time), TimedOut,
                         MessageMatches(ContainsSubstring("while waiting for the tool's output")));
}

// --- Alarms

TEST_CASE("the report of a sanitizer or of valgrind is an alarm", "[readiness]") {
    const std::string line =
        GENERATE("==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x602000000010",
                 "==7==ERROR: HWAddressSanitizer: tag-mismatch on address 0x0000",
                 "==7==ERROR: LeakSanitizer: detected memory leaks",
                 "WARNING: ThreadSanitizer: data race (pid=7)",
                 "==7==WARNING: MemorySanitizer: use-of-uninitialized-value",
                 "relay.c:7:3: runtime error: signed integer overflow: 2147483647 + 1",
                 "==7== ERROR SUMMARY: 3 errors from 2 contexts (suppressed: 0 from 0)",
                 "==7== ERROR SUMMARY: 1,030 errors from 20 contexts (suppressed: 0 from 0)");
    const std::string output = GENERATE("out", "err");
    CHECK(alarm_of({output, "before\n" + line + "\nafter\n"}) == line);
}

TEST_CASE("what is no such report is no alarm", "[readiness]") {
    const std::string line =
        GENERATE("==7== ERROR SUMMARY: 0 errors from 0 contexts (suppressed: 0 from 0)",
                 "==7== Memcheck, a memory error detector", "ERROR: the address is in use",
                 "WARNING: runtime of 3 s", "AddressSanitizer is on", "");
    CHECK(alarm_of({"err", line + "\n"}).empty());
}

TEST_CASE("the first of two alarms counts", "[readiness]") {
    CHECK(alarm_of({"err", "a: runtime error: one\nb: runtime error: two\n"}) ==
          "a: runtime error: one");
}

TEST_CASE("an alarm is noticed without a newline at its end", "[readiness]") {
    CHECK(alarm_of({"err", "before\na: runtime error: one"}) == "a: runtime error: one");
}

TEST_CASE("an alarm is noticed while the tool runs", "[readiness]") {
    Server server{start({"err", "a: runtime error: one\n", "wait"})};
    server.await_output("one\n", long_time);
    CHECK(server.processes()[0].alarm() == "a: runtime error: one");
}

TEST_CASE("an alarm in the middle of 8 MiB is noticed although it is not kept", "[readiness]") {
    const std::string line = "==7==ERROR: AddressSanitizer: heap-use-after-free";
    auto process = start({"flood", "4096", "err", line + "\n", "flood", "4096"});
    REQUIRE(process.wait(Deadline::after(long_time)));
    CHECK(process.alarm() == line);
    CHECK(process.err().find("AddressSanitizer") == std::string::npos);
}

TEST_CASE("an alarm has no control bytes", "[readiness]") {
    CHECK(alarm_of({"err", "\x1b[1ma: runtime error: \xff\r\n"}) ==
          "\\x1b[1ma: runtime error: \\xff\\x0d");
}

TEST_CASE("an alarm is noticed wherever it is cut in two writes", "[readiness]") {
    const std::string line = GENERATE("==7==ERROR: AddressSanitizer: heap-use-after-free",
                                      "==7== ERROR SUMMARY: 3 errors from 2 contexts");
    for (std::size_t i = 0; i <= line.size(); ++i) {
        CHECK(alarm_in({line.substr(0, i), line.substr(i) + "\n"}) == line);
    }
}

TEST_CASE("a summary without errors is no alarm wherever it is cut", "[readiness]") {
    const std::string line = "==7== ERROR SUMMARY: 0 errors from 0 contexts\n";
    for (std::size_t i = 0; i <= line.size(); ++i) {
        CHECK(alarm_in({line.substr(0, i), line.substr(i)}).empty());
    }
}

TEST_CASE("an alarm after much without a newline is noticed wherever the pieces meet",
          "[readiness]") {
    const std::string line = "==7==ERROR: AddressSanitizer: heap-use-after-free";
    const std::string clean = "==7== ERROR SUMMARY: 0 errors from 0 contexts";
    for (std::size_t before = 940; before <= 1010; ++before) {
        CHECK_THAT(alarm_in({std::string(before, '.') + line + "\n"}),
                   ContainsSubstring("ERROR: AddressSanitizer"));
        CHECK(alarm_in({std::string(before, '.') + clean + "\n"}).empty());
    }
}
