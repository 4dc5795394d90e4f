#include <test_tunnel/net/socket.hpp>

#include <signal.h> // NOLINT(modernize-deprecated-headers): sigaction is POSIX, not C
#include <sys/time.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "support/durations.hpp"
#include "support/sockets.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Catch::Matchers::Message;
using Catch::Matchers::MessageMatches;
using Catch::Matchers::StartsWith;
using support::both_ends;
using support::bound;
using support::connect;
using support::fill;
using support::listener;
using support::long_time;
using support::Meanwhile;
using support::short_time;

namespace {

std::string timed_out_text(const std::string& awaited) {
    return fmt::format("nothing for {} while waiting for {}", text_of(scaled(short_time)), awaited);
}

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
    client.supervise(slow_peer);
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
    client.supervise(peer);
    CHECK(client.read(3) == "xxx");
}
