#include <test_tunnel/server.hpp>

#include <fcntl.h>
#include <signal.h> // NOLINT(modernize-deprecated-headers): kill is POSIX, not C
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <type_traits>
#include <vector>

#include <test_tunnel/socket.hpp>

#include "support/child.hpp"
#include "support/fifo.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
using Catch::Matchers::StartsWith;

using support::has_children;
using support::soon;
using support::Words;

namespace fs = std::filesystem;

namespace {

/// Much longer than the test may take: what is noticed earlier is noticed at once.
constexpr auto long_time = 60s;

/// Processes of their own names, and a place for their files.
class Workshop : public support::TemporaryDirectory {
public:
    [[nodiscard]] std::string content(const std::string& name) const {
        std::ifstream stream{file(name)};
        return {std::istreambuf_iterator<char>{stream}, {}};
    }

    /// A child that does `commands`.
    [[nodiscard]] Process start(const std::string& name, Words commands) const {
        if (!fs::exists(file(name))) {
            fs::create_symlink(CHILD_PROGRAM, file(name));
        }
        commands.insert(commands.begin(), file(name));
        return Process::spawn({.argv = std::move(commands)});
    }

    /// The same, when it has said that it is ready; nothing but its own output is drained
    /// meanwhile.
    [[nodiscard]] Process start_ready(const std::string& name, const Words& commands) const {
        auto process = start(name, commands);
        REQUIRE(detail::pump(process, soon(), [&] { return process.out() == "ready\n"; }));
        return process;
    }
};

Socket listener(Duration timeout = long_time) {
    Socket result{Family::ipv4, timeout};
    result.bind({Address::parse("127.0.0.1"), 0});
    result.listen();
    return result;
}

struct Connection {
    Socket client;
    Socket server;
};

Connection connect(Duration timeout = long_time) {
    auto from = listener(timeout);
    Socket client{Family::ipv4, timeout};
    client.connect(from.local());
    return {std::move(client), from.accept()};
}

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
// ---------------------------------------------------------------------------------

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
    socket.watch(server.watch());
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
    socket.watch(server.watch());
    CHECK_THROWS_MATCHES(socket.accept(), ToolEnded,
                         MessageMatches(StartsWith("tool was killed by signal 9 (Killed), ")));
}

TEST_CASE("every call that waits notices that the tool has ended", "[server]") {
    const Workshop workshop;
    auto [client, other_end] = connect();
    Server server{workshop.start("tool", {"sleep", "30", "exit", "1"})};
    client.watch(server.watch());
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
                next.watch(server.watch());
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
    socket.watch(server.watch());
    const auto begin = Clock::now();
    CHECK_THROWS_AS(socket.accept(), ToolEnded);
    CHECK(Clock::now() - begin < long_time / 2);
}

TEST_CASE("the last bytes of a dead tool are read before its death is told", "[server]") {
    const Workshop workshop;
    auto socket = listener();
    Server server{workshop.start("tool", {"send", "127.0.0.1", std::to_string(socket.local().port),
                                          "last words", "exit", "3"})};
    socket.watch(server.watch());
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
    pollfd entry{.fd = client.fd(), .events = POLLIN, .revents = 0};
    REQUIRE(detail::wait_for({&entry, 1}, soon(), nullptr, "data"));
    CHECK(detail::wait_for({&entry, 1}, soon(), server.watch().lock().get(), "data"));
}

TEST_CASE("an accepted socket looks after the tool as the listening one does", "[server]") {
    const Workshop workshop;
    auto socket = listener();
    Server server{workshop.start("tool", {"sleep", "30"})};
    socket.watch(server.watch());
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
        client.watch(server.watch());
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
    socket.watch(server.watch());
    auto from_tool = socket.accept();
    CHECK(from_tool.read(4) == "done");
}

// --- The time for the whole
// -------------------------------------------------------------------------

TEST_CASE("a limit ends a wait and says what was awaited", "[server]") {
    const Workshop workshop;
    Server server{workshop.start("tool", {"wait"})};
    auto socket = listener();
    socket.watch(server.watch());
    server.limit(50ms);
    const auto begin = Clock::now();
    CHECK_THROWS_MATCHES(
        socket.accept(), TimedOut,
        MessageMatches(StartsWith("the " + detail::text_of(detail::scaled(50ms)) +
                                  " for one check were over while waiting for a connection") &&
                       ContainsSubstring(socket.local().text())));
    const auto waited = Clock::now() - begin;
    CHECK(waited < long_time / 2);
}

TEST_CASE("a limit ends reading from a tool that never stops to write", "[server]") {
    const Workshop workshop;
    auto [client, other_end] = connect();
    Server server{workshop.start("tool", {"wait"})};
    client.watch(server.watch());
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
    client.watch(server.watch());
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

// --- The end of all
// ---------------------------------------------------------------------------------

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

TEST_CASE("the destructor of a server kills all of its processes", "[server]") {
    const Workshop workshop;
    {
        Server server{workshop.start_ready("first", {"ignore", "15", "ready", "wait"})};
        server.add(workshop.start_ready("second", {"ignore", "15", "ready", "wait"}));
        auto moved = std::move(server);
    }
    CHECK_FALSE(has_children());
}
