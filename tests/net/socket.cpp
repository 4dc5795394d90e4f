#include <test_tunnel/base/detail/system.hpp>
#include <test_tunnel/discovery/bind.hpp>
#include <test_tunnel/net/socket.hpp>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <functional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/durations.hpp"
#include "support/sockets.hpp"

using namespace test_tunnel;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
using Catch::Matchers::StartsWith;
using support::any_port;
using support::bound;
using support::code_of;
using support::connect;
using support::listener;
using support::long_time;
using support::short_time;

// --- Endpoints

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

// --- Bind

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

// --- Connect

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

// --- Ownership

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
