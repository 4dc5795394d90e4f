// The handshakes against a real server, and what they have in common.

#include <test_tunnel/handshakes/handshake_refused.hpp>
#include <test_tunnel/handshakes/http_connect.hpp>
#include <test_tunnel/handshakes/proxy_protocol.hpp>
#include <test_tunnel/handshakes/socks4.hpp>
#include <test_tunnel/handshakes/socks5.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <test_tunnel/net/socket.hpp>
#include <test_tunnel/process/process.hpp>
#include <test_tunnel/process/server.hpp>

#include "support/scripted_peer.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
using support::MemoryStream;
using support::text_of_error;

namespace {

constexpr auto long_time = 60s;
const Address loopback = Address::parse("127.0.0.1");

Socket bound() {
    Socket result{Family::ipv4, long_time};
    result.bind({loopback, 0});
    return result;
}

/// microsocks, listening.
class Microsocks {
public:
    explicit Microsocks(const std::vector<std::string>& options = {}) {
        // A port that is free now, and in a private network stays so.
        listen_ = bound().local();
        std::vector<std::string> argv{"microsocks", "-i", "127.0.0.1", "-p",
                                      std::to_string(listen_.port)};
        argv.insert(argv.end(), options.begin(), options.end());
        try {
            process_.emplace(Process::spawn({.argv = argv}));
        } catch (const ToolMissing& error) {
            SKIP(error.what());
        }
    }

    /// A connection to it.
    Socket connect() {
        const auto deadline = Deadline::after(long_time);
        while (!deadline.passed()) {
            Socket client{Family::ipv4, long_time};
            if (client.try_connect(listen_)) {
                return client;
            }
            REQUIRE_FALSE(process_->wait(Deadline::after(1ms)).has_value());
        }
        throw TimedOut{"microsocks does not listen"};
    }

private:
    Endpoint listen_;
    std::optional<Process> process_;
};

/// That a connection which was asked for leads to `listener`.
void check_leads_to(Socket& client, Socket& listener) {
    auto server = listener.accept();
    client.write("question");
    CHECK(server.read(8) == "question");
    server.write("answer");
    CHECK(client.read(6) == "answer");
}

} // namespace

TEST_CASE("a real SOCKS5 server connects by address and by name", "[handshakes]") {
    Microsocks tool;
    auto listener = bound();
    listener.listen();
    for (const auto& options : {Socks5Options{}, Socks5Options{.name = "127.0.0.1"}}) {
        auto client = tool.connect();
        const auto reported = socks5_connect(client, listener.local(), options);
        CHECK(reported == Endpoint{}); // microsocks never tells
        check_leads_to(client, listener);
    }
}

TEST_CASE("a real SOCKS5 server lets in who has the password", "[handshakes]") {
    Microsocks tool{{"-u", "somebody", "-P", "secret"}};
    auto listener = bound();
    listener.listen();
    auto client = tool.connect();
    socks5_connect(client, listener.local(), {.user = "somebody", .password = "secret"});
    check_leads_to(client, listener);

    const auto refused = [&](const Socks5Options& options) -> std::optional<RefusedStep> {
        auto other = tool.connect();
        try {
            socks5_connect(other, listener.local(), options);
        } catch (const HandshakeRefused& error) {
            return error.step();
        }
        return std::nullopt;
    };
    CHECK(refused({}) == RefusedStep::method);
    CHECK(refused({.user = "somebody", .password = "wrong"}) == RefusedStep::authentication);
}

TEST_CASE("a real SOCKS5 server says that a port is closed", "[handshakes]") {
    Microsocks tool;
    const auto closed = bound(); // bound but not listening: the port is surely nobody's
    auto client = tool.connect();
    CHECK_THAT(text_of_error<HandshakeRefused>([&] { socks5_connect(client, closed.local()); }),
               ContainsSubstring("'connection refused by destination host' (0x05): 10 bytes\n"));
}

TEST_CASE("a handshake of the wrong protocol is neither accepted nor a refusal", "[handshakes]") {
    Microsocks tool;
    auto client = tool.connect();
    CHECK_THAT(text_of_error<Unexpected>([&] {
                   http_connect(client, {loopback, 1});
               }),
               StartsWith("expected "));
    const std::string_view socks5_refusal = "\x05\xff";
    MemoryStream stream{socks5_refusal};
    try {
        socks4_connect(stream, {loopback, 1});
        FAIL("accepted");
    } catch (const HandshakeRefused&) {
        FAIL("a refusal");
    } catch (const Unexpected& error) {
        CHECK_THAT(error.what(), ContainsSubstring("expected version 0"));
    }
}

TEST_CASE("a refusal is an unexpected reply, so that it fails a test that does not ask for it",
          "[handshakes]") {
    STATIC_CHECK(std::derived_from<HandshakeRefused, Unexpected>);
    const HandshakeRefused refused{RefusedStep::connect, 5, "a", "b"};
    CHECK(std::string_view{refused.what()} == "expected a, got b");
}

TEST_CASE("a connection that breaks in a handshake is told with what came before", "[handshakes]") {
    support::ScriptedPeer peer{[](Socket& socket, support::ScriptedPeer& self) {
        static_cast<void>(socket.read(3));
        socket.write(std::string_view{"\x05", 1});
        self.wait_until_read();
        socket.reset();
    }};
    CHECK_THAT(
        text_of_error<Unexpected>([&] {
            socks5_connect(peer.client(), {loopback, 1});
        }),
        StartsWith(
            "expected the rest of the method selection (RFC 1928 §3), got 1 byte, then: read "
            "(127.0.0.1:") &&
            ContainsSubstring("Connection reset by peer\n00000000  05 "));
}

TEST_CASE("a handshake is made over whatever reads and writes", "[handshakes]") {
    STATIC_CHECK(SocketLike<Socket>);
    STATIC_CHECK(SocketLike<MemoryStream>);
    STATIC_CHECK_FALSE(SocketLike<std::string>);
}
