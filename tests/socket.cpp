#include <test_tunnel/detail/spawn.hpp>
#include <test_tunnel/socket.hpp>

#include <fcntl.h>
#include <signal.h> // NOLINT(modernize-deprecated-headers): sigaction is POSIX, not C
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Catch::Matchers::Message;
using Catch::Matchers::MessageMatches;
using Catch::Matchers::StartsWith;

namespace {

/// For what must happen, on a machine that has much else to do.
constexpr auto long_time = 60s;
/// For what must not happen.
constexpr auto short_time = 50ms;

Endpoint any_port(const char* address = "127.0.0.1") {
    return {Address::parse(address), 0};
}

Socket bound(Duration timeout = long_time, const Endpoint& endpoint = any_port()) {
    Config config;
    config.timeouts.io = timeout;
    return bind_to(config, endpoint);
}

Socket listener(Duration timeout = long_time, const Endpoint& endpoint = any_port()) {
    auto result = bound(timeout, endpoint);
    result.listen();
    return result;
}

struct Connection {
    Socket client;
    Socket server;
};

/// Both ends in this process.
Connection connect(Duration timeout = long_time, const Endpoint& endpoint = any_port()) {
    auto from = listener(timeout, endpoint);
    Socket client{endpoint.address.family(), timeout};
    client.connect(from.local());
    return {std::move(client), from.accept()};
}

std::string timed_out_text(const std::string& awaited) {
    return fmt::format("nothing for {} while waiting for {}",
                       detail::text_of(detail::scaled(short_time)), awaited);
}

std::string both_ends(const Socket& socket) {
    return fmt::format("({} → {})", socket.local(), socket.peer());
}

int code_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const SystemError& error) {
        return error.code();
    }
    return 0;
}

/// Writes until nothing more is taken.
void fill(Socket& socket) {
    const std::string block(std::size_t{1024} * 1024, 'x');
    for (const auto deadline = Deadline::after(long_time); !deadline.passed();) {
        socket.write(block);
    }
}

/// Does something whenever a wait looks up, which is every few milliseconds: so one thread is
/// enough for both ends of a connection.
class Meanwhile final : public Watch {
public:
    Meanwhile(Duration interval, std::function<void()> action)
        : interval_{interval}, action_{std::move(action)} {}

    void append_to(std::vector<pollfd>&) const override {}
    void handle() override { action_(); }
    void require_running() const override {}
    void require_time(std::string_view) const override {}
    [[nodiscard]] Duration longest_wait() const override { return interval_; }

private:
    Duration interval_;
    std::function<void()> action_;
};

/// A signal every 2 ms, caught by a handler that does not ask for calls to be restarted.
class Interruptions {
public:
    Interruptions() {
        struct sigaction action {};
        action.sa_handler = [](int) { seen = seen + 1; };
        ::sigaction(SIGALRM, &action, &before_);
        seen = 0;
        const itimerval often{.it_interval = {0, 2000}, .it_value = {0, 2000}};
        ::setitimer(ITIMER_REAL, &often, nullptr);
    }
    Interruptions(const Interruptions&) = delete;
    Interruptions& operator=(const Interruptions&) = delete;
    ~Interruptions() {
        const itimerval never{};
        ::setitimer(ITIMER_REAL, &never, nullptr);
        ::sigaction(SIGALRM, &before_, nullptr);
    }

    [[nodiscard]] static int count() { return seen; }

private:
    static inline volatile sig_atomic_t seen = 0;
    struct sigaction before_ {};
};

} // namespace

// --- Endpoints
// --------------------------------------------------------------------------------------

TEST_CASE("both ends of a connection agree on who they are", "[socket]") {
    const auto* const address = GENERATE("127.0.0.1", "::1");
    const auto [client, server] = connect(long_time, any_port(address));
    CHECK(client.local().address == Address::parse(address));
    CHECK(client.local().port != 0);
    CHECK(client.peer() == server.local());
    CHECK(server.peer() == client.local());
}

TEST_CASE("a connection comes from the endpoint that its socket is bound to", "[socket]") {
    auto from = listener();
    auto client = bound();
    const auto source = client.local();
    client.connect(from.local());
    CHECK(from.accept().peer() == source);
}

TEST_CASE("a peer is still known when it has gone", "[socket]") {
    auto [client, server] = connect();
    const auto peer = server.peer();
    client.reset();
    CHECK_THROWS_AS(server.read(1), SystemError);
    CHECK(server.peer() == peer);
}

TEST_CASE("a connection that was reset is told from one that has ended", "[socket]") {
    auto [client, server] = connect();
    CHECK_FALSE(server.is_reset());
    client.shutdown_write();
    server.read_end();
    CHECK_FALSE(server.is_reset());
    client.reset();
    const auto deadline = Deadline::after(long_time);
    while (!server.is_reset() && !deadline.passed()) {
        std::this_thread::yield();
    }
    CHECK(server.is_reset());
}

TEST_CASE("an IPv6 socket takes no IPv4", "[socket]") {
    const auto ipv6 = listener(long_time, any_port("::"));
    // A socket that took both would be in the way.
    const auto ipv4 = listener(long_time, {Address::parse("0.0.0.0"), ipv6.local().port});
    CHECK(ipv4.local().port == ipv6.local().port);
}

TEST_CASE("a socket is not inherited by other programs and never blocks", "[socket]") {
    const auto [client, server] = connect();
    for (const auto* const socket : {&client, &server}) {
        CHECK((::fcntl(socket->fd(), F_GETFD) & FD_CLOEXEC) != 0);
        CHECK((::fcntl(socket->fd(), F_GETFL) & O_NONBLOCK) != 0);
    }
}

// --- bind
// -------------------------------------------------------------------------------------------

TEST_CASE("a port that is taken can't be bound", "[socket]") {
    const auto other = listener();
    CHECK(code_of([&] { bound(long_time, other.local()); }) == EADDRINUSE);
    CHECK_THROWS_MATCHES(bound(long_time, other.local()), SystemError,
                         MessageMatches(StartsWith(fmt::format("bind to {}: ", other.local()))));
}

TEST_CASE("a port can be bound again right after its connection has ended", "[socket]") {
    Endpoint endpoint;
    {
        auto from = listener();
        endpoint = from.local();
        Socket client{Family::ipv4};
        client.connect(endpoint);
        auto server = from.accept();
        server.close(); // first: this end is left in TIME_WAIT
        client.read_end();
    }
    CHECK_NOTHROW(listener(long_time, endpoint));
}

TEST_CASE("an address of another machine can't be bound", "[socket]") {
    const auto elsewhere = any_port("203.0.113.1");
    CHECK(code_of([&] { bound(long_time, elsewhere); }) == EADDRNOTAVAIL);
    CHECK_THROWS_MATCHES(bound(long_time, elsewhere), SystemError,
                         MessageMatches(StartsWith("bind to 203.0.113.1:0: ")));
}

TEST_CASE("a privileged port is denied to a user without privileges", "[socket]") {
    if (::geteuid() != 0) {
        SKIP("only root can become another user");
    }
    const pid_t pid = detail::checked(::fork(), "fork");
    if (pid == 0) {
        int result = 1;
        if (::setgid(65534) == 0 && ::setuid(65534) == 0) {
            try {
                bound(long_time, {Address::parse("127.0.0.1"), 80});
                result = 2;
            } catch (const PermissionDenied& error) {
                const std::string_view text{error.what()};
                result = text.starts_with("bind to 127.0.0.1:80: ") &&
                                 text.ends_with(": this user may not have that port")
                             ? 0
                             : 3;
            } catch (const std::exception&) {
                result = 4;
            }
        }
        ::_exit(result);
    }
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    REQUIRE(WIFEXITED(status));
    if (WEXITSTATUS(status) == 1) {
        SKIP("this system lets nobody become another user here");
    }
    CHECK(WEXITSTATUS(status) == 0);
}

// --- connect
// ----------------------------------------------------------------------------------------

TEST_CASE("being refused is false from try_connect", "[socket]") {
    const auto nobody = bound(); // bound but not listening: the port is surely nobody's
    Socket socket{Family::ipv4, long_time};
    CHECK_FALSE(socket.try_connect(nobody.local()));
}

TEST_CASE("being refused is an error from connect", "[socket]") {
    const auto nobody = bound();
    CHECK(code_of([&] {
              Socket{Family::ipv4, long_time}.connect(nobody.local());
          }) == ECONNREFUSED);
    CHECK_THROWS_MATCHES(Socket(Family::ipv4, long_time).connect(nobody.local()), SystemError,
                         MessageMatches(StartsWith("connect ") &&
                                        ContainsSubstring(fmt::format(" → {}: ", nobody.local()))));
}

TEST_CASE("a connection that can't even be tried is an error from try_connect too", "[socket]") {
    const auto from = listener(long_time, any_port("::1"));
    Socket socket{Family::ipv4, long_time};
    CHECK(code_of([&] { static_cast<void>(socket.try_connect(from.local())); }) == EAFNOSUPPORT);
}

TEST_CASE("a listening socket takes connections before accept is called", "[socket]") {
    auto from = listener();
    Socket client{Family::ipv4, long_time};
    REQUIRE(client.try_connect(from.local()));
    client.write("early");
    CHECK(from.accept().read(5) == "early");
}

// --- No progress
// ------------------------------------------------------------------------------------

TEST_CASE("accept times out and says on which socket", "[socket]") {
    auto socket = listener(short_time);
    CHECK_THROWS_MATCHES(socket.accept(), TimedOut,
                         MessageMatches(StartsWith(timed_out_text("a connection")) &&
                                        ContainsSubstring(socket.local().text())));
}

TEST_CASE("connect times out where the other side does not answer", "[socket]") {
    auto full = bound();
    full.listen(0);
    std::vector<Socket> waiting;
    const auto connect_until_it_throws = [&] {
        for (int i = 0; i < 100; ++i) {
            waiting.emplace_back(Family::ipv4, short_time).connect(full.local());
        }
    };
    CHECK_THROWS_MATCHES(connect_until_it_throws(), TimedOut,
                         MessageMatches(StartsWith(timed_out_text("the connection to be made")) &&
                                        EndsWith(fmt::format(" → {})", full.local()))));
}

TEST_CASE("every way to read times out and says between whom", "[socket]") {
    auto [client, server] = connect(short_time);
    char byte = 0;
    const auto expected = fmt::format("{} {}", timed_out_text("data"), both_ends(client));
    CHECK_THROWS_MATCHES(client.read_some(&byte, 1), TimedOut, Message(expected));
    CHECK_THROWS_MATCHES(client.read(1), TimedOut, Message(expected));
    CHECK_THROWS_MATCHES(client.read_end(), TimedOut, Message(expected));
}

TEST_CASE("write times out where the peer does not read", "[socket]") {
    auto [client, server] = connect(short_time);
    CHECK_THROWS_MATCHES(fill(client), TimedOut,
                         MessageMatches(StartsWith(timed_out_text("data to be taken")) &&
                                        EndsWith(both_ends(client))));
}

TEST_CASE("a wait lasts as long as its timeout", "[socket]") {
    auto [client, server] = connect();
    client.set_timeout(short_time);
    const auto begin = Clock::now();
    CHECK_THROWS_AS(client.read(1), TimedOut);
    CHECK(Clock::now() - begin >= short_time);
}

TEST_CASE("an accepted socket has the timeout of the listening one", "[socket]") {
    auto from = listener(short_time);
    Socket client{Family::ipv4, long_time};
    client.connect(from.local());
    CHECK_THROWS_MATCHES(from.accept().read(1), TimedOut,
                         MessageMatches(StartsWith(timed_out_text("data"))));
}

TEST_CASE("a timeout that has passed leaves the connection as it was", "[socket]") {
    auto [client, server] = connect(short_time);
    CHECK_THROWS_AS(client.read(1), TimedOut);
    server.write("late");
    CHECK(client.read(4) == "late");
}

TEST_CASE("a peer that sends a byte now and then is waited for as long as it does", "[socket]") {
    constexpr auto timeout = 400ms;
    auto [client, server] = connect(timeout);
    const auto begin = Clock::now();
    auto last = begin;
    const auto slow_peer = std::make_shared<Meanwhile>(5ms, [&server = server, &last] {
        if (Clock::now() - last >= 100ms) {
            server.write("x");
            last = Clock::now();
        }
    });
    client.watch(slow_peer);
    CHECK(client.read(6) == "xxxxxx");
    CHECK(Clock::now() - begin > timeout);
}

TEST_CASE("a signal that interrupts a wait neither ends nor prolongs it", "[socket]") {
    auto [client, server] = connect(short_time);
    const Interruptions interruptions;
    CHECK_THROWS_AS(client.read(1), TimedOut);
    CHECK(Interruptions::count() > 0);
}

TEST_CASE("a signal that interrupts a wait loses no data", "[socket]") {
    auto [client, server] = connect();
    const Interruptions interruptions;
    const auto peer = std::make_shared<Meanwhile>(5ms, [&server = server, &client = client] {
        if (Interruptions::count() >= 3 && client.pending() == 0) {
            server.write("x");
        }
    });
    client.watch(peer);
    CHECK(client.read(3) == "xxx");
}

// --- Streams
// ----------------------------------------------------------------------------------------

TEST_CASE("read puts together what comes in pieces, and takes no more", "[socket]") {
    auto [client, server] = connect();
    std::vector<std::string> pieces{"lo, world", "el"};
    const auto peer = std::make_shared<Meanwhile>(1ms, [&server = server, &pieces] {
        if (!pieces.empty()) {
            server.write(pieces.back());
            pieces.pop_back();
        }
    });
    client.watch(peer);
    server.write("h");
    CHECK(client.read(5) == "hello");
    CHECK(client.read(7) == ", world");
}

TEST_CASE("read_some gives what is there", "[socket]") {
    auto [client, server] = connect();
    server.write("abc");
    std::string buffer(10, '\0');
    buffer.resize(client.read_some(buffer.data(), buffer.size()));
    CHECK(buffer == "abc");
    server.close();
    CHECK(client.read_some(buffer.data(), buffer.size()) == 0);
}

TEST_CASE("nothing can be read without waiting for it", "[socket]") {
    auto [client, server] = connect(short_time);
    CHECK(client.read(0).empty());
}

TEST_CASE("a stream that ends too early is quoted", "[socket]") {
    auto [client, server] = connect();
    server.write("\x05\x01");
    server.close();
    CHECK_THROWS_MATCHES(
        client.read(10), Unexpected,
        MessageMatches(StartsWith("expected 10 bytes " + both_ends(client) + ", got ") &&
                       ContainsSubstring("2 bytes") && ContainsSubstring("05 01") &&
                       ContainsSubstring("end of stream")));
}

TEST_CASE("read_end is content with the end of the stream", "[socket]") {
    auto [client, server] = connect();
    server.close();
    CHECK_NOTHROW(client.read_end());
}

TEST_CASE("read_end refuses data and quotes it", "[socket]") {
    auto [client, server] = connect();
    server.write("more");
    server.close();
    CHECK_THROWS_MATCHES(client.read_end(), Unexpected,
                         MessageMatches(StartsWith("expected end of stream " + both_ends(client) +
                                                   ", got 4 bytes") &&
                                        ContainsSubstring("|more|")));
}

TEST_CASE("read_end refuses a reset", "[socket]") {
    auto [client, server] = connect();
    server.reset();
    const auto expected = "expected end of stream " + both_ends(client) + ", got ";
    CHECK_THROWS_MATCHES(
        client.read_end(), Unexpected,
        MessageMatches(StartsWith(expected) &&
                       EndsWith(fmt::format(": {}", std::generic_category().message(ECONNRESET)))));
}

TEST_CASE("a reset is seen as such by the peer", "[socket]") {
    auto [client, server] = connect();
    server.reset();
    CHECK(server.fd() == -1);
    CHECK(code_of([&client = client] { static_cast<void>(client.read(1)); }) == ECONNRESET);
}

TEST_CASE("closing with unread data is a reset", "[socket]") {
    auto [client, server] = connect();
    client.write("unread");
    pollfd arrived{.fd = server.fd(), .events = POLLIN, .revents = 0};
    REQUIRE(detail::wait_for({&arrived, 1}, Deadline::after(long_time), nullptr, "data"));
    server.close();
    CHECK(code_of([&client = client] { static_cast<void>(client.read(1)); }) == ECONNRESET);
}

TEST_CASE("shutdown_write ends one direction and leaves the other", "[socket]") {
    auto [client, server] = connect();
    client.write("question");
    client.shutdown_write();
    CHECK(server.read(8) == "question");
    CHECK_NOTHROW(server.read_end());
    server.write("answer");
    CHECK(client.read(6) == "answer");
    CHECK(code_of([&client = client] { client.write("x"); }) == EPIPE);
}

TEST_CASE("writing to a peer that has gone is an error, not a SIGPIPE", "[socket]") {
    struct sigaction action {};
    ::sigaction(SIGPIPE, nullptr, &action);
    REQUIRE(action.sa_handler == SIG_DFL); // it would end this process
    auto [client, server] = connect();
    server.close();
    const int code = code_of([&client = client] { fill(client); });
    const bool expected = code == EPIPE || code == ECONNRESET;
    CHECK(expected);
    CHECK(code_of([&client = client] { client.write("x"); }) == EPIPE);
}

TEST_CASE("8 MiB arrive as they were sent", "[socket]") {
    auto [client, server] = connect();
    std::string sent(std::size_t{8} * 1024 * 1024, '\0');
    for (std::size_t i = 0; i < sent.size(); ++i) {
        sent[i] = static_cast<char>(i * 2654435761U >> 13U);
    }
    std::string received;
    std::string buffer(std::size_t{256} * 1024, '\0');
    const auto peer = std::make_shared<Meanwhile>(1ms, [&server = server, &received, &buffer] {
        if (server.pending() > 0) {
            received.append(buffer, 0, server.read_some(buffer.data(), buffer.size()));
        }
    });
    client.watch(peer);
    client.write(sent);
    received += server.read(sent.size() - received.size());
    CHECK((received == sent)); // not to be printed
}

TEST_CASE("a tool is looked after in a wait where it has something to say, or must be asked",
          "[socket]") {
    struct Tool final : Watch {
        void append_to(std::vector<pollfd>& fds) const override {
            fds.push_back({.fd = fd, .events = POLLIN, .revents = 0});
        }
        void handle() override { ++looks; }
        void require_running() const override {
            if (has_ended) {
                throw ToolEnded{"it has ended"};
            }
        }
        void require_time(std::string_view /*awaited*/) const override {}
        [[nodiscard]] Duration longest_wait() const override { return interval; }

        int fd = -1;
        Duration interval = Duration::max();
        bool has_ended = false;
        int looks = 0;
    };
    auto quiet = detail::make_pipe();
    auto ready = detail::make_pipe();
    REQUIRE(::write(ready.write_end.get(), "x", 1) == 1);
    Tool tool;
    tool.fd = quiet.read_end.get();
    pollfd ours{.fd = ready.read_end.get(), .events = POLLIN, .revents = 0};
    const auto wait = [&] {
        return detail::wait_for({&ours, 1}, Deadline::after(short_time), &tool, "anything");
    };

    SECTION("it has nothing to say") {
        CHECK(wait());
        CHECK(tool.looks == 0);
    }
    SECTION("it has something to say") {
        tool.fd = ready.read_end.get();
        CHECK(wait());
        CHECK(tool.looks == 1);
    }
    SECTION("it must be asked") {
        tool.interval = 1ms;
        CHECK(wait());
        CHECK(tool.looks == 1);
    }
    SECTION("it has ended, and its last bytes are there") {
        tool.has_ended = true;
        CHECK(wait());
    }
    SECTION("it has ended, and nothing is there") {
        tool.has_ended = true;
        ours.fd = quiet.read_end.get();
        const auto started = Clock::now();
        CHECK_THROWS_AS(detail::wait_for({&ours, 1}, Deadline::after(long_time), &tool, "data"),
                        ToolEnded);
        CHECK(Clock::now() - started < long_time / 2);
    }
}

TEST_CASE("pending counts what can be read", "[socket]") {
    auto [client, server] = connect();
    CHECK(client.pending() == 0);
    server.write("abc");
    pollfd arrived{.fd = client.fd(), .events = POLLIN, .revents = 0};
    REQUIRE(detail::wait_for({&arrived, 1}, Deadline::after(long_time), nullptr, "data"));
    CHECK(client.pending() == 3);
    CHECK(client.read(2) == "ab");
    CHECK(client.pending() == 1);
}

// --- Ownership
// --------------------------------------------------------------------------------------

TEST_CASE("a socket is moved, not copied, and closed once", "[socket]") {
    STATIC_CHECK_FALSE(std::is_copy_constructible_v<Socket>);
    STATIC_CHECK_FALSE(std::is_copy_assignable_v<Socket>);
    STATIC_CHECK(std::is_nothrow_move_constructible_v<Socket>);
    auto [client, server] = connect();
    int reused = -1;
    {
        const int fd = client.fd();
        Socket moved{std::move(client)};
        CHECK(moved.fd() == fd);
        CHECK(client.fd() == -1); // NOLINT(bugprone-use-after-move): what is tested
        moved.write("x");
        CHECK(server.read(1) == "x");
        moved.close();
        reused = ::fcntl(2, F_DUPFD_CLOEXEC, fd);
        CHECK(reused == fd);
        client.close();
        moved.close();
    }
    CHECK(::fcntl(reused, F_GETFD) != -1);
    ::close(reused);
}

TEST_CASE("another socket in its place closes the one before", "[socket]") {
    auto [client, server] = connect();
    client = Socket{Family::ipv4};
    CHECK_NOTHROW(server.read_end());
}

TEST_CASE("a closed socket refuses every call", "[socket]") {
    auto [client, server] = connect(short_time);
    auto& socket = client;
    const auto endpoint = server.local();
    socket.close();
    CHECK(socket.fd() == -1);
    const std::vector<std::function<void()>> calls{
        [&] { static_cast<void>(socket.read(1)); },
        [&] { socket.write("x"); },
        [&] { socket.shutdown_write(); },
        [&] { static_cast<void>(socket.pending()); },
        [&] { static_cast<void>(socket.accept()); },
        [&] { socket.listen(); },
        [&] { socket.bind(endpoint); },
        [&] { socket.connect(endpoint); },
        [&] { static_cast<void>(socket.local()); },
    };
    for (const auto& call : calls) {
        CHECK(code_of(call) == EBADF);
    }
    CHECK_THROWS_AS(socket.read_end(), Unexpected);
}
