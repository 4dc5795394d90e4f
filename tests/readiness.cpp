#include <test_tunnel/server.hpp>

#include <fcntl.h>
#include <signal.h> // NOLINT(modernize-deprecated-headers): kill is POSIX, not C
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <test_tunnel/detail/listeners.hpp>
#include <test_tunnel/detail/output.hpp>
#include <test_tunnel/socket.hpp>

#include "support/child.hpp"
#include "support/comes_true.hpp"
#include "support/fifo.hpp"
#include "support/forked.hpp"
#include "support/network.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
using Catch::Matchers::StartsWith;
using support::Forked;
using support::start;
using support::TemporaryDirectory;
using support::Words;

namespace {

/// For what must happen, on a machine that has much else to do.
constexpr auto long_time = 60s;

/// For what must not happen.
constexpr auto short_time = 100ms;

/// The port that a child says it has, which is bound then.
std::uint16_t told_port(Server& server) {
    server.await_output(".\n", long_time);
    const auto output = server.processes().back().out();
    return static_cast<std::uint16_t>(std::stoi(output.substr(output.find("port ") + 5)));
}

Endpoint at(const char* address, std::uint16_t port) {
    return {Address::parse(address), port};
}

Socket listener(const char* address) {
    const auto any_port = at(address, 0);
    Socket result{any_port.address.family()};
    result.bind(any_port);
    result.listen();
    return result;
}

/// Connections that are under way, made or being ended, with this endpoint at either side.
std::ptrdiff_t connections_with(const Endpoint& endpoint) {
    const auto sockets = detail::tcp_sockets();
    return std::count_if(sockets.begin(), sockets.end(), [&](const detail::TcpSocket& socket) {
        return !socket.listens && (socket.local == endpoint || socket.remote == endpoint);
    });
}

std::uint64_t inode_of(const Socket& socket) {
    struct stat info {};
    detail::checked(::fstat(socket.fd(), &info), "fstat");
    return info.st_ino;
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

// --- A tool that listens
// ----------------------------------------------------------------------------

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
                       ContainsSubstring(detail::text_of(detail::scaled(50ms)))));
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
// -------------------------------------------------------------------------

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
            ContainsSubstring(fmt::format("{} (process {}) at {}", detail::name_of(::getpid()),
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
    CHECK(found.stranger.empty());
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
    CHECK(found.stranger.empty());
}

// --- The kernel's tables
// ----------------------------------------------------------------------------

TEST_CASE("an endpoint in the kernel's tables is in the machine's byte order", "[readiness]") {
    std::string address(4, '\0');
    const std::uint32_t word = 0x0100007f;
    std::memcpy(address.data(), &word, sizeof word);
    CHECK(detail::parse_table_endpoint("0100007F:18E6") ==
          Endpoint{Address::from_packed(address), 6374});
    CHECK(detail::parse_table_endpoint("00000000:0000") == at("0.0.0.0", 0));
    CHECK(detail::parse_table_endpoint("00000000000000000000000000000000:FFFF") == at("::", 65535));
}

TEST_CASE("both ends of a connection are in the tables", "[readiness]") {
    const auto* const address = GENERATE("127.0.0.1", "::1");
    auto from = listener(address);
    Socket client{from.local().address.family()};
    client.connect(from.local());
    const auto server = from.accept();
    const auto sockets = detail::tcp_sockets();
    const auto has = [&](const Socket& socket, const Endpoint& remote, bool listens) {
        return std::any_of(sockets.begin(), sockets.end(), [&](const detail::TcpSocket& entry) {
            return entry.local == socket.local() && entry.remote == remote &&
                   entry.listens == listens && entry.inode == inode_of(socket);
        });
    };
    const auto nobody = at(from.local().address.family() == Family::ipv4 ? "0.0.0.0" : "::", 0);
    CHECK(has(from, nobody, true));
    CHECK(has(client, from.local(), false));
    CHECK(has(server, client.local(), false));
}

TEST_CASE("a long table is read to its end", "[readiness]") {
    std::vector<Socket> listeners;
    for (int i = 0; i < 150; ++i) {
        listeners.push_back(listener("127.0.0.1"));
        listeners.push_back(listener("::1"));
    }
    const auto all = GENERATE(true, false) ? detail::tcp_sockets() : detail::listening_sockets();
    for (const auto& socket : listeners) {
        CHECK(std::count_if(all.begin(), all.end(), [&](const detail::TcpSocket& entry) {
                  return entry.listens && entry.local == socket.local() &&
                         entry.inode == inode_of(socket);
              }) == 1);
    }
}

TEST_CASE("the sockets of a process are known by their inodes", "[readiness]") {
    const auto socket = listener("127.0.0.1");
    const auto inodes = detail::socket_inodes(::getpid());
    REQUIRE(inodes);
    CHECK(detail::contains(*inodes, inode_of(socket)));
    CHECK(detail::holder_of(inode_of(socket)) == ::getpid());
}

TEST_CASE("a process with a TCP socket is told from one with others", "[readiness]") {
    const detail::UniqueFd local{::socket(AF_UNIX, SOCK_STREAM, 0)};
    const detail::UniqueFd datagrams{::socket(AF_INET, SOCK_DGRAM, 0)};
    const detail::UniqueFd file{::open("/dev/null", O_RDONLY)};
    REQUIRE(local);
    REQUIRE(datagrams);
    CHECK_FALSE(detail::has_tcp_socket(::getpid()));
    const auto socket = Socket{GENERATE(Family::ipv4, Family::ipv6)};
    CHECK(detail::has_tcp_socket(::getpid()));
}

TEST_CASE("who takes the connections is found by one question", "[readiness]") {
    const auto [bound, target] = GENERATE(table<const char*, const char*>(
        {{"127.0.0.1", "127.0.0.1"}, {"::1", "::1"}, {"0.0.0.0", "127.0.0.1"}, {"::", "::1"}}));
    auto server = listener(bound);
    const auto endpoint = at(target, server.local().port);
    const auto found = detail::SockDiag::listener(endpoint);
    REQUIRE(found);
    CHECK(found->inode == inode_of(server));
    auto client = Socket{endpoint.address.family()};
    client.connect(endpoint);
    const auto accepted = server.accept();
    CHECK_FALSE(detail::SockDiag::listener(client.local()));
    server = Socket{endpoint.address.family()};
    CHECK_FALSE(detail::SockDiag::listener(endpoint)); // the connection alone does not count
}

TEST_CASE("a process that waits is told from one that works", "[readiness]") {
    const auto waiting = start({"wait"});
    Server server{start({"ready", "spin"})};
    server.await_output("ready", long_time);
    const auto& working = server.processes().front();
    CHECK(support::comes_true([&] { return detail::is_at_rest(waiting.pid()); }));
    CHECK_FALSE(detail::is_at_rest(working.pid()));
}

TEST_CASE("a process of which one thread works does not sleep", "[readiness]") {
    std::atomic<bool> is_over = false;
    std::thread working{[&] {
        while (!is_over) {
        }
    }};
    const auto here = ::getpid();
    const pid_t looking = detail::checked(::fork(), "fork");
    if (looking == 0) { // while the first thread waits
        bool slept = false;
        const auto deadline = Deadline::after(100ms);
        while (!slept && !deadline.passed()) {
            slept = detail::is_at_rest(here);
        }
        ::_exit(slept ? 1 : 0);
    }
    int status = -1;
    CHECK(::waitpid(looking, &status, 0) == looking);
    CHECK(status == 0);
    is_over = true;
    working.join();
}

TEST_CASE("timers are prompt as long as it is asked for", "[readiness]") {
    const int before = ::prctl(PR_GET_TIMERSLACK);
    {
        const detail::PromptTimers prompt;
        CHECK(::prctl(PR_GET_TIMERSLACK) == 1);
    }
    CHECK(::prctl(PR_GET_TIMERSLACK) == before);
}

TEST_CASE("a process that is not there has neither sockets nor a name", "[readiness]") {
    const pid_t pid = detail::checked(::fork(), "fork");
    if (pid == 0) {
        ::_exit(0);
    }
    REQUIRE(::waitpid(pid, nullptr, 0) == pid);
    CHECK_FALSE(detail::socket_inodes(pid));
    CHECK_FALSE(detail::has_tcp_socket(pid));
    CHECK_FALSE(detail::is_at_rest(pid));
    CHECK(detail::name_of(pid).empty());
    CHECK_FALSE(detail::read_proc(fmt::format("/proc/{}/stat", pid)));
}

// --- What a tool writes
// -----------------------------------------------------------------------------

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
                                                   detail::text_of(detail::scaled(50ms)))));
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
// -----------------------------------------------------------------------------------------

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
