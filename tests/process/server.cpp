#include <test_tunnel/process/server.hpp>

#include <signal.h> // NOLINT(modernize-deprecated-headers): kill is POSIX, not C
#include <sys/resource.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <string>
#include <type_traits>
#include <vector>

#include <test_tunnel/net/socket.hpp>

#include "support/child.hpp"
#include "support/durations.hpp"
#include "support/sockets.hpp"
#include "support/workshop.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
using Catch::Matchers::StartsWith;
using support::connect;
using support::listener;
using support::long_time;
using support::soon;
using support::Words;
using support::Workshop;

namespace {

std::chrono::microseconds processor_time() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return std::chrono::seconds{usage.ru_utime.tv_sec + usage.ru_stime.tv_sec} +
           std::chrono::microseconds{usage.ru_utime.tv_usec + usage.ru_stime.tv_usec};
}

} // namespace

TEST_CASE("a server is made of a process", "[server]") {
    const Workshop workshop;
    const auto spawn_server = [&]() -> Server { return workshop.start("tool", {"wait"}); };
    auto server = spawn_server();
    REQUIRE(server.processes().size() == 1);
    CHECK(server.processes()[0].name() == "tool");
    CHECK(server.running());
}

TEST_CASE("a server is moved, not copied", "[server]") {
    STATIC_CHECK_FALSE(std::is_copy_constructible_v<Server>);
    STATIC_CHECK_FALSE(std::is_copy_assignable_v<Server>);
    STATIC_CHECK(std::is_nothrow_move_constructible_v<Server>);
    STATIC_CHECK(std::is_nothrow_move_assignable_v<Server>);
}

// --- The end of one

TEST_CASE("a server runs as long as each of its processes does", "[server]") {
    const Workshop workshop;
    const auto ending = GENERATE(0U, 1U);
    Server server{workshop.start("first", {"wait"})};
    server.add(workshop.start("second", {"wait"}));
    CHECK(server.running());
    CHECK_FALSE(server.wait_for_end(Deadline::after(20ms)));
    ::kill(server.processes()[ending].pid(), SIGKILL);
    CHECK(server.wait_for_end(soon()));
    CHECK_FALSE(server.running());
}

TEST_CASE("while a socket waits the death of any process is noticed, and which it was",
          "[server]") {
    const Workshop workshop;
    const auto ending = GENERATE(0U, 1U);
    const Words dies{"sleep", "30", "exit", "9"};
    const Words lives{"wait"};
    Server server{workshop.start("first", ending == 0 ? dies : lives)};
    server.add(workshop.start("second", ending == 1 ? dies : lives));
    auto socket = listener();
    socket.supervise(server.supervisor());
    const auto begin = Clock::now();
    CHECK_THROWS_MATCHES(socket.accept(), ToolEnded,
                         MessageMatches(StartsWith(ending == 0 ? "first exited with status 9, "
                                                               : "second exited with status 9, ") &&
                                        ContainsSubstring(" after it was started")));
    CHECK(Clock::now() - begin < long_time / 2);
}

TEST_CASE("a process that a signal kills while a socket waits is told from one that exits",
          "[server]") {
    const Workshop workshop;
    Server server{workshop.start("tool", {"sleep", "30", "kill", "9"})};
    auto socket = listener();
    socket.supervise(server.supervisor());
    CHECK_THROWS_MATCHES(socket.accept(), ToolEnded,
                         MessageMatches(StartsWith("tool was killed by signal 9 (Killed), ")));
}

TEST_CASE("every call that waits notices that the tool has ended", "[server]") {
    const Workshop workshop;
    auto [client, other_end] = connect();
    Server server{workshop.start("tool", {"sleep", "30", "exit", "1"})};
    client.supervise(server.supervisor());
    SECTION("read_some") {
        char byte = 0;
        CHECK_THROWS_AS(client.read_some(&byte, 1), ToolEnded);
    }
    SECTION("read") {
        CHECK_THROWS_AS(client.read(1), ToolEnded);
    }
    SECTION("read_end") {
        CHECK_THROWS_AS(client.read_end(), ToolEnded);
    }
    SECTION("write") {
        const std::string block(std::size_t{1024} * 1024, 'x');
        const auto write_until_it_throws = [&client = client, &block] {
            for (;;) {
                client.write(block);
            }
        };
        CHECK_THROWS_AS(write_until_it_throws(), ToolEnded);
    }
    SECTION("connect") {
        Socket full{Family::ipv4};
        full.bind({Address::parse("127.0.0.1"), 0});
        full.listen(0);
        std::vector<Socket> waiting;
        const auto connect_until_it_throws = [&] {
            for (;;) {
                auto& next = waiting.emplace_back(Family::ipv4, long_time);
                next.supervise(server.supervisor());
                next.connect(full.local());
            }
        };
        CHECK_THROWS_AS(connect_until_it_throws(), ToolEnded);
    }
}

TEST_CASE("a tool that has ended before the wait is noticed too", "[server]") {
    const Workshop workshop;
    Server server{workshop.start("tool", {"exit", "0"})};
    CHECK(server.wait_for_end(soon()));
    auto socket = listener();
    socket.supervise(server.supervisor());
    const auto begin = Clock::now();
    CHECK_THROWS_AS(socket.accept(), ToolEnded);
    CHECK(Clock::now() - begin < long_time / 2);
}

TEST_CASE("the last bytes of a dead tool are read before its death is told", "[server]") {
    const Workshop workshop;
    auto socket = listener();
    Server server{workshop.start("tool", {"send", "127.0.0.1", std::to_string(socket.local().port),
                                          "last words", "exit", "3"})};
    socket.supervise(server.supervisor());
    REQUIRE(server.wait_for_end(soon()));
    auto from_tool = socket.accept();
    CHECK(from_tool.read(10) == "last words");
    CHECK_NOTHROW(from_tool.read_end());
    const auto begin = Clock::now();
    CHECK_THROWS_MATCHES(socket.accept(), ToolEnded,
                         MessageMatches(StartsWith("tool exited with status 3, ")));
    CHECK(Clock::now() - begin < long_time / 2);
}

TEST_CASE("what is ready wins over a tool that has ended", "[server]") {
    const Workshop workshop;
    auto [client, other_end] = connect();
    Server server{workshop.start("tool", {"exit", "0"})};
    REQUIRE(server.wait_for_end(soon()));
    other_end.write("x");
    REQUIRE(wait_for(client.event(POLLIN), soon(), nullptr, "data"));
    CHECK(wait_for(client.event(POLLIN), soon(), server.supervisor().get(), "data"));
}

TEST_CASE("an accepted socket looks after the tool as the listening one does", "[server]") {
    const Workshop workshop;
    auto socket = listener();
    Server server{workshop.start("tool", {"sleep", "30"})};
    socket.supervise(server.supervisor());
    Socket client{Family::ipv4};
    client.connect(socket.local());
    auto accepted = socket.accept();
    const auto begin = Clock::now();
    CHECK_THROWS_AS(accepted.read(1), ToolEnded);
    CHECK(Clock::now() - begin < long_time / 2);
}

TEST_CASE("a watch that no longer exists is not asked", "[server]") {
    const Workshop workshop;
    auto [client, other_end] = connect(50ms);
    {
        const Server server{workshop.start("tool", {"wait"})};
        client.supervise(server.supervisor());
    }
    CHECK_THROWS_AS(client.read(1), TimedOut);
    other_end.write("x");
    CHECK(client.read(1) == "x");
}

TEST_CASE("what a tool prints is drained while a socket waits", "[server]") {
    const Workshop workshop;
    auto socket = listener();
    Server server{workshop.start("tool", {"flood", "1024", "send", "127.0.0.1",
                                          std::to_string(socket.local().port), "done", "wait"})};
    socket.supervise(server.supervisor());
    auto from_tool = socket.accept();
    CHECK(from_tool.read(4) == "done");
}

// --- The time for the whole

TEST_CASE("a limit ends a wait and says what was awaited", "[server]") {
    const Workshop workshop;
    Server server{workshop.start("tool", {"wait"})};
    auto socket = listener();
    socket.supervise(server.supervisor());
    server.limit(50ms);
    const auto begin = Clock::now();
    CHECK_THROWS_MATCHES(
        socket.accept(), TimedOut,
        MessageMatches(StartsWith("the " + text_of(scaled(50ms)) +
                                  " for one check were over while waiting for a connection") &&
                       ContainsSubstring(socket.local().text())));
    const auto waited = Clock::now() - begin;
    CHECK(waited < long_time / 2);
}

TEST_CASE("a limit ends reading from a tool that never stops to write", "[server]") {
    const Workshop workshop;
    auto [client, other_end] = connect();
    Server server{workshop.start("tool", {"wait"})};
    client.supervise(server.supervisor());
    server.limit(20ms);
    const auto read_on = [&client = client, &other_end = other_end] {
        for (const auto deadline = soon(); !deadline.passed();) {
            other_end.write("xx");
            static_cast<void>(client.read(1));
        }
    };
    CHECK_THROWS_MATCHES(read_on(), TimedOut,
                         MessageMatches(ContainsSubstring("while waiting for data")));
}

TEST_CASE("a limit ends writing to a tool that takes everything", "[server]") {
    const Workshop workshop;
    auto [client, other_end] = connect();
    Server server{workshop.start("tool", {"wait"})};
    client.supervise(server.supervisor());
    server.limit(20ms);
    const auto write_on = [&client = client, &other_end = other_end] {
        for (const auto deadline = soon(); !deadline.passed();) {
            client.write("x");
            static_cast<void>(other_end.read(1));
        }
    };
    CHECK_THROWS_MATCHES(write_on(), TimedOut,
                         MessageMatches(ContainsSubstring("while waiting for data to be taken")));
}

TEST_CASE("a limit that is over does not keep a server from being stopped in peace", "[server]") {
    const Workshop workshop;
    Server server{workshop.start_ready("tool", {"ignore", "15", "ready", "wait"})};
    server.limit(0ms);
    const auto processor_time_before = processor_time();
    CHECK_FALSE(server.wait_for_end(Deadline::after(200ms)));
    server.stop(200ms);
    CHECK(server.processes()[0].had_to_be_killed());
    CHECK(processor_time() - processor_time_before < 100ms);
}
