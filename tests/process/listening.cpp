#include <test_tunnel/base/detail/escape.hpp>
#include <test_tunnel/kernel/detail/proc_net_tcp.hpp>
#include <test_tunnel/process/server.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <test_tunnel/net/socket.hpp>
#include <test_tunnel/process/detail/listeners.hpp>

#include "support/child.hpp"
#include "support/durations.hpp"
#include "support/fifo.hpp"
#include "support/forked.hpp"
#include "support/listening.hpp"
#include "support/network.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
using Catch::Matchers::StartsWith;
using support::at;
using support::Forked;
using support::listener;
using support::long_time;
using support::start;
using support::TemporaryDirectory;
using support::Words;

namespace {

/// For what must not happen.
constexpr auto short_time = 100ms;

/// The port that a child says it has, which is bound then.
std::uint16_t told_port(Server& server) {
    server.await_output(".\n", long_time);
    const auto output = server.processes().back().out();
    return static_cast<std::uint16_t>(std::stoi(output.substr(output.find("port ") + 5)));
}

/// Connections that are under way, made or being ended, with this endpoint at either side.
std::ptrdiff_t connections_with(const Endpoint& endpoint) {
    const auto sockets = detail::tcp_sockets();
    return std::count_if(sockets.begin(), sockets.end(), [&](const TcpSocket& socket) {
        return !socket.listens && (socket.local == endpoint || socket.remote == endpoint);
    });
}

/// A process that listens and has nothing to do with the test: no child of it, of another session,
/// and started before the test's first tool.
class Stranger {
public:
    explicit Stranger(const Socket& socket) {
        const pid_t between = detail::checked(::fork(), "fork");
        if (between == 0) {
            ::setsid();
            pid_ = ::fork();
            if (pid_ == 0) {
                life_.write_end.reset();
                ::alarm(100);
                char byte = 0;
                [[maybe_unused]] const auto count = ::read(life_.read_end.get(), &byte, 1);
                ::_exit(0);
            }
            [[maybe_unused]] const auto count = ::write(told_.write_end.get(), &pid_, sizeof pid_);
            ::_exit(0);
        }
        ::waitpid(between, nullptr, 0);
        told_.write_end.reset();
        if (::read(told_.read_end.get(), &pid_, sizeof pid_) != sizeof pid_ || pid_ <= 0) {
            throw SystemError{"fork", EAGAIN};
        }
        endpoint_ = socket.local();
    }

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    [[nodiscard]] Endpoint endpoint() const { return endpoint_; }

private:
    pid_t pid_ = -1;
    Endpoint endpoint_{Address::parse("127.0.0.1"), 0};
    support::Pipe life_; // it ends when the test does
    support::Pipe told_;
};

/// A tool that has bound its socket, told the port, and listens only when it is told to.
class LateListener {
public:
    explicit LateListener(Words commands) {
        for (const auto& word : Words{"say-port", "await", go_, "listen", "wait"}) {
            commands.push_back(word);
        }
        server_ = std::make_unique<Server>(start(std::move(commands)));
        port_ = told_port(*server_);
    }

    [[nodiscard]] Server& server() { return *server_; }
    [[nodiscard]] std::uint16_t port() const { return port_; }
    void let_listen() const { std::ofstream{go_} << ""; }

private:
    TemporaryDirectory directory_;
    std::string go_ = directory_.file("go");
    std::unique_ptr<Server> server_;
    std::uint16_t port_ = 0;
};

/// That a tool which binds to `bound` is ready at `wanted` when it listens, and not before.
void check_ready(const char* bound, const char* wanted) {
    LateListener tool{{"bind", bound, "0"}};
    const auto endpoint = at(wanted, tool.port());
    CHECK_THROWS_AS(tool.server().await_listening(endpoint, short_time), TimedOut);
    tool.let_listen();
    CHECK_NOTHROW(tool.server().await_listening(endpoint, long_time));
}

/// Of a tool that listens at 127.0.0.1 and was started like this.
void check_ready(Process process) {
    Server server{std::move(process)};
    const auto endpoint = at("127.0.0.1", told_port(server));
    CHECK_NOTHROW(server.await_listening(endpoint, long_time));
}

} // namespace

// --- A tool that listens

TEST_CASE("a tool is ready when it listens at the address, not when it is bound", "[readiness]") {
    check_ready("127.0.0.1", "127.0.0.1");
}

TEST_CASE("a tool is ready when it listens at the IPv6 address", "[readiness]") {
    check_ready("::1", "::1");
}

TEST_CASE("a tool that listens at the wildcard is ready at every address", "[readiness]") {
    check_ready("0.0.0.0", "127.0.0.1");
}

TEST_CASE("a tool that listens at the IPv6 wildcard is ready at every IPv6 address",
          "[readiness]") {
    check_ready("::", "::1");
}

TEST_CASE("a tool that listens at the IPv6 wildcard is ready for IPv4 too", "[readiness]") {
    check_ready("::", "127.0.0.1");
}

TEST_CASE_METHOD(support::PrivateNetwork, "a tool that listens at another address is not ready",
                 "[readiness]") {
    Server server{start({"bind", "192.0.2.1", "0", "listen", "say-port", "wait"})};
    const auto port = told_port(server);
    REQUIRE_NOTHROW(server.await_listening(at("192.0.2.1", port), long_time));
    CHECK_THROWS_AS(server.await_listening(at("127.0.0.1", port), short_time), TimedOut);
    CHECK_THROWS_AS(server.await_listening(at("192.0.2.2", port), short_time), TimedOut);
    CHECK_THROWS_AS(server.await_listening(at("::1", port), short_time), TimedOut);
}

TEST_CASE("a tool that listens at the IPv4 wildcard is not ready for IPv6", "[readiness]") {
    Server server{start({"bind", "0.0.0.0", "0", "listen", "say-port", "wait"})};
    CHECK_THROWS_AS(server.await_listening(at("::1", told_port(server)), short_time), TimedOut);
}

TEST_CASE("a tool that listens at another port is not ready", "[readiness]") {
    Socket bound{Family::ipv4};
    bound.bind(at("127.0.0.1", 0));
    Server server{start({"bind", "127.0.0.1", "0", "listen", "say-port", "wait"})};
    REQUIRE(told_port(server) != bound.local().port);
    CHECK_THROWS_AS(server.await_listening(bound.local(), short_time), TimedOut);
}

TEST_CASE("a tool that never listens is given up, and where it did not listen is told",
          "[readiness]") {
    Socket bound{Family::ipv4};
    bound.bind(at("127.0.0.1", 0));
    Server server{start({"wait"})};
    CHECK_THROWS_MATCHES(
        server.await_listening(bound.local(), 50ms), TimedOut,
        MessageMatches(StartsWith("child did not listen at " + bound.local().text()) &&
                       ContainsSubstring(text_of(scaled(50ms)))));
}

TEST_CASE("a tool that ends is not waited for until it listens", "[readiness]") {
    Socket bound{Family::ipv4};
    bound.bind(at("127.0.0.1", 0));
    Server server{start({"sleep", "30", "exit", "9"})};
    const auto begin = Clock::now();
    CHECK_THROWS_MATCHES(server.await_listening(bound.local(), long_time), ToolEnded,
                         MessageMatches(StartsWith("child exited with status 9, ")));
    CHECK(Clock::now() - begin < long_time / 2);
}

TEST_CASE("a tool that becomes a daemon is told that it must not", "[readiness]") {
    Server server{start({"fork-twice", "leave-group", "bind", "127.0.0.1", "0", "say-port", "wait",
                         "parent", "exit", "0"})};
    Socket bound{Family::ipv4};
    bound.bind(at("127.0.0.1", 0));
    CHECK_THROWS_MATCHES(server.await_listening(bound.local(), long_time), ToolEnded,
                         MessageMatches(ContainsSubstring("and left 1 behind: child (") &&
                                        ContainsSubstring("must stay in the foreground")));
}

TEST_CASE("a companion that ends is noticed while another one should listen", "[readiness]") {
    Socket bound{Family::ipv4};
    bound.bind(at("127.0.0.1", 0));
    Server server{start({"sleep", "30", "exit", "9"})};
    server.add(start({"wait"}));
    CHECK_THROWS_AS(server.await_listening(bound.local(), long_time), ToolEnded);
}

TEST_CASE("any companion may be the one that listens", "[readiness]") {
    Server server{start({"wait"})};
    server.add(start({"bind", "127.0.0.1", "0", "listen", "say-port", "wait"}));
    const auto endpoint = at("127.0.0.1", told_port(server));
    server.add(start({"wait"}));
    CHECK_NOTHROW(server.await_listening(endpoint, long_time));
}

TEST_CASE("the time for one pair ends the wait for a tool to listen", "[readiness]") {
    Socket bound{Family::ipv4};
    bound.bind(at("127.0.0.1", 0));
    Server server{start({"wait"})};
    server.limit(20ms);
    CHECK_THROWS_MATCHES(server.await_listening(bound.local(), long_time), TimedOut,
                         MessageMatches(ContainsSubstring("while waiting for the tool to listen")));
}

TEST_CASE("no connection is made to see whether a tool listens", "[readiness]") {
    Server server{start({"bind", "127.0.0.1", "0", "listen", "say-port", "wait"})};
    const auto endpoint = at("127.0.0.1", told_port(server));
    for (int i = 0; i < 3; ++i) {
        server.await_listening(endpoint, long_time);
    }
    CHECK(connections_with(endpoint) == 0);
    Socket client{Family::ipv4};
    client.connect(endpoint);
    CHECK(connections_with(endpoint) == 2); // both ends of the first one
}

// --- Who it is that listens

TEST_CASE("a child of a wrapper shell may be the one that listens", "[readiness]") {
    const auto command = fmt::format("{} bind 127.0.0.1 0 listen say-port wait; true",
                                     detail::shell_quote(CHILD_PROGRAM));
    check_ready(Process::spawn({.argv = {"sh", "-c", command}}));
}

TEST_CASE("a child in a session of its own may be the one that listens", "[readiness]") {
    const std::string fork = GENERATE("fork", "fork-twice");
    check_ready(start({fork, "leave-group", "bind", "127.0.0.1", "0", "listen", "say-port", "wait",
                       "parent", "wait"}));
}

TEST_CASE("a child that has overwritten its environment may be the one that listens",
          "[readiness]") {
    const std::string fork = GENERATE("fork", "fork-twice");
    const std::string leave = GENERATE("own-group", "leave-group");
    check_ready(start({fork, leave, "overwrite-environment", "bind", "127.0.0.1", "0", "listen",
                       "say-port", "wait", "parent", "wait"}));
}

TEST_CASE("a user without rights sees a tool listen too", "[readiness]") {
    if (::geteuid() != 0) {
        SKIP("needs root: it becomes another user");
    }
    const Words how = GENERATE(Words{}, Words{"fork", "leave-group"});
    Forked user{[&] {
        support::become_nobody();
        auto commands = how;
        for (const auto& word :
             Words{"bind", "127.0.0.1", "0", "listen", "say-port", "wait", "parent", "wait"}) {
            commands.push_back(word);
        }
        Server server{start(commands)};
        server.await_listening(at("127.0.0.1", told_port(server)), 20s);
        return "listens";
    }};
    CHECK(user.text() == "listens");
}

TEST_CASE("a test that listens where the tool should is told from it", "[readiness]") {
    const auto own = listener("127.0.0.1");
    Server server{start({"wait"})};
    CHECK_THROWS_MATCHES(
        server.await_listening(own.local(), long_time), Unexpected,
        MessageMatches(
            StartsWith("expected the tool listens at " + own.local().text()) &&
            ContainsSubstring(fmt::format("{} (process {}) at {}", process_name(::getpid()),
                                          ::getpid(), own.local().text())) &&
            ContainsSubstring("another process")));
}

TEST_CASE("another tool that listens where the tool should is told from it", "[readiness]") {
    Server other{start({"bind", "0.0.0.0", "0", "listen", "say-port", "wait"})};
    const auto endpoint = at("127.0.0.1", told_port(other));
    Server server{start({"wait"})};
    CHECK_THROWS_MATCHES(server.await_listening(endpoint, long_time), Unexpected,
                         MessageMatches(ContainsSubstring(
                             fmt::format("child (process {}) at {}", other.processes()[0].pid(),
                                         at("0.0.0.0", endpoint.port)))));
}

TEST_CASE("a child of the test that listens where the tool should is told from it", "[readiness]") {
    auto socket = listener("127.0.0.1");
    const auto endpoint = socket.local();
    const Forked child{[] { return ""; }};
    socket.close();
    Server server{start({"wait"})};
    CHECK_THROWS_MATCHES(
        server.await_listening(endpoint, long_time), Unexpected,
        MessageMatches(ContainsSubstring(fmt::format("(process {})", child.pid()))));
}

TEST_CASE("a daemon of the system that listens where the tool should is told from it",
          "[readiness]") {
    auto socket = listener("127.0.0.1");
    const Stranger stranger{socket};
    socket.close();
    Server server{start({"wait"})};
    CHECK_THROWS_MATCHES(
        server.await_listening(stranger.endpoint(), long_time), Unexpected,
        MessageMatches(ContainsSubstring(fmt::format("(process {})", stranger.pid()))));
}

TEST_CASE("a tool that listens at its address is ready, whoever has the IPv6 wildcard",
          "[readiness]") {
    Server server{start({"bind", "127.0.0.1", "0", "listen", "say-port", "wait"})};
    const auto endpoint = at("127.0.0.1", told_port(server));
    Socket other{Family::ipv6}; // takes IPv6 only
    other.bind(at("::", endpoint.port));
    other.listen();
    CHECK_NOTHROW(server.await_listening(endpoint, long_time));
}

TEST_CASE("all places where a tool listens are found", "[readiness]") {
    Server server{start({"bind", "127.0.0.1", "0", "listen", "say-port", "bind", "::1", "0",
                         "listen", "say-port", "out", "all\n", "wait"})};
    server.await_output("all\n", long_time);
    const auto output = server.processes()[0].out();
    const auto first = static_cast<std::uint16_t>(std::stoi(output.substr(5)));
    const auto second =
        static_cast<std::uint16_t>(std::stoi(output.substr(output.rfind("port ") + 5)));
    const auto others = listener("127.0.0.1");
    const auto found = detail::find_listeners(server.processes(), at("127.0.0.1", first));
    CHECK(found.other_process.empty());
    auto own = found.own;
    std::sort(own.begin(), own.end());
    std::vector<Endpoint> expected{at("127.0.0.1", first), at("::1", second)};
    std::sort(expected.begin(), expected.end());
    CHECK(own == expected);
}

TEST_CASE("nobody is found where nobody listens", "[readiness]") {
    const Server server{start({"wait"})};
    Socket bound{Family::ipv4};
    bound.bind(at("127.0.0.1", 0));
    const auto found = detail::find_listeners(server.processes(), bound.local());
    CHECK(found.own.empty());
    CHECK(found.other_process.empty());
}
