#include <test_tunnel/process/detail/child.hpp>

#include <signal.h> // NOLINT(modernize-deprecated-headers): sigaction is POSIX, not C
#include <unistd.h>

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
using Catch::Matchers::MessageMatches;
using Catch::Matchers::StartsWith;
using support::both_ends;
using support::code_of;
using support::connect;
using support::fill;
using support::long_time;
using support::Meanwhile;
using support::short_time;

TEST_CASE("read puts together what comes in pieces, and takes no more", "[socket]") {
    auto [client, server] = connect();
    std::vector<std::string> pieces{"lo, world", "el"};
    const auto peer = std::make_shared<Meanwhile>(1ms, [&server = server, &pieces] {
        if (!pieces.empty()) {
            server.write(pieces.back());
            pieces.pop_back();
        }
    });
    client.supervise(peer);
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
    REQUIRE(wait_for(server.event(POLLIN), Deadline::after(long_time), nullptr, "data"));
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
    client.supervise(peer);
    client.write(sent);
    received += server.read(sent.size() - received.size());
    CHECK((received == sent)); // not to be printed
}

TEST_CASE("a tool is looked after in a wait where it has something to say, or must be asked",
          "[socket]") {
    struct Tool final : Supervisor {
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
    SocketEvent ours{.fd = ready.read_end.get(), .events = POLLIN};
    const auto wait = [&] {
        return wait_for(ours, Deadline::after(short_time), &tool, "anything");
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
        CHECK_THROWS_AS(wait_for(ours, Deadline::after(long_time), &tool, "data"), ToolEnded);
        CHECK(Clock::now() - started < long_time / 2);
    }
}

TEST_CASE("pending counts what can be read", "[socket]") {
    auto [client, server] = connect();
    CHECK(client.pending() == 0);
    server.write("abc");
    REQUIRE(wait_for(client.event(POLLIN), Deadline::after(long_time), nullptr, "data"));
    CHECK(client.pending() == 3);
    CHECK(client.read(2) == "ab");
    CHECK(client.pending() == 1);
}
