#include <test_tunnel/tls.hpp>

#include <poll.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "support/durations.hpp"
#include "support/scripted_peer.hpp"
#include "support/tls_ends.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using support::await_end;
using support::certificate;
using support::client_options;
using support::connect;
using support::here;
using support::ScriptedPeer;
using support::server_options;
using support::short_time;
using support::text_of_error;
using support::tls_peer;

TEST_CASE("TLS carries bytes both ways, and tells what was agreed upon", "[tls]") {
    const auto version = GENERATE(TlsVersion::v1_2, TlsVersion::v1_3);
    TlsSession seen;
    ScriptedPeer peer{[&](Socket& socket, ScriptedPeer&) {
        auto options = server_options();
        options.alpn = {"h2", "http/1.1"};
        options.highest = version;
        seen = tls_accept(socket, options);
        socket.write(socket.read(5) + " back");
        socket.shutdown_write();
        await_end(socket);
    }};
    auto& client = peer.client();
    auto options = client_options();
    options.name = "proxy.test";
    options.alpn = {"http/1.1"};
    const auto session = tls_connect(client, options);
    CHECK(session.version == version);
    CHECK(session.alpn == "http/1.1");
    CHECK_THAT(session.cipher, ContainsSubstring("AES") || ContainsSubstring("CHACHA20"));
    CHECK(session.name == "proxy.test");
    CHECK(client.written() > 0); // a silent client has not shaken hands
    client.write("there");
    CHECK(client.read(10) == "there back");
    client.read_end();
    CHECK(client.layer()->received() == 10);
    client.close();
    CHECK(peer.finish().empty());
    CHECK(seen.version == version);
    CHECK(seen.alpn == "http/1.1");
    CHECK(seen.name == "proxy.test");
}

TEST_CASE("a tool that chooses no protocol is told from one that does", "[tls]") {
    auto peer = tls_peer(await_end);
    auto options = client_options();
    options.alpn = {"h2"};
    const auto session = tls_connect(peer.client(), options);
    CHECK(session.alpn.empty());
    CHECK(session.name.empty());
}

TEST_CASE("a certificate is verified", "[tls]") {
    const auto refused = [](const TlsClientOptions& options, const TlsCertificate& shown) {
        auto peer = tls_peer(await_end, {.certificate = shown.certificate, .key = shown.key});
        auto text = text_of_error<Unexpected>([&] { tls_connect(peer.client(), options); });
        CHECK_THAT(text, ContainsSubstring("certificate verify failed"));
        CHECK_THAT(text, ContainsSubstring(peer.client().peer().text()));
        CHECK(peer.client().layer() == nullptr);
        // The tool is told, by an alert.
        CHECK_THAT(peer.finish(), ContainsSubstring("alert"));
        return text;
    };
    SECTION("its authority") {
        const auto other = make_certificate({.addresses = {here()}});
        CHECK_THAT(refused(client_options(), other),
                   ContainsSubstring("unable to get local issuer certificate"));
    }
    SECTION("its address") {
        const auto other =
            make_certificate({.addresses = {Address::parse("127.0.0.2"), Address::parse("::1")},
                              .names = {"a.test"}});
        CHECK_THAT(refused({.authority = other.authority}, other),
                   ContainsSubstring("IP address mismatch") &&
                       ContainsSubstring("a certificate for 127.0.0.1"));
    }
    SECTION("its name") {
        auto options = client_options();
        options.name = "other.test";
        CHECK_THAT(refused(options, certificate()),
                   ContainsSubstring("hostname mismatch") && ContainsSubstring("'other.test'"));
    }
    SECTION("its time") {
        const auto expired = make_certificate({.addresses = {here()}, .valid_for = -10s});
        CHECK_THAT(refused({.authority = expired.authority}, expired),
                   ContainsSubstring("certificate has expired"));
    }
}

TEST_CASE("an address is verified, and not asked for as a name", "[tls]") {
    const auto both = make_certificate({.addresses = {Address::parse("2001:db8::1"), here()}});
    const auto shown = [&](const std::string& name) {
        TlsSession seen;
        ScriptedPeer peer{[&](Socket& socket, ScriptedPeer&) {
            seen = tls_accept(socket, {.certificate = both.certificate, .key = both.key});
            await_end(socket);
        }};
        tls_connect(peer.client(), {.authority = both.authority, .name = name});
        peer.client().close();
        CHECK(peer.finish().empty());
        return seen.name;
    };
    CHECK(shown("127.0.0.1").empty());
    CHECK(shown("2001:db8::1").empty());
    auto peer = tls_peer(await_end, {.certificate = both.certificate, .key = both.key});
    CHECK_THAT(text_of_error<Unexpected>([&] {
                   tls_connect(peer.client(), {.authority = both.authority, .name = "127.0.0.2"});
               }),
               ContainsSubstring("IP address mismatch") && ContainsSubstring("'127.0.0.2'"));
}

TEST_CASE("a certificate is not verified where that is asked for", "[tls]") {
    auto peer = tls_peer([](Socket& socket) { socket.write("hello"); });
    tls_connect(peer.client(), {.verify = false});
    CHECK(peer.client().read(5) == "hello");
}

TEST_CASE("a self-signed certificate can be its own authority", "[tls]") {
    auto peer = tls_peer([](Socket& socket) { socket.write("hello"); });
    tls_connect(peer.client(), {.authority = certificate().certificate});
    CHECK(peer.client().read(5) == "hello");
}

TEST_CASE("options that make no sense are told before a byte is sent", "[tls]") {
    Socket client{Family::ipv4};
    Socket listener{Family::ipv4};
    listener.bind({here(), 0});
    listener.listen();
    client.connect(listener.local());
    const auto refused = [&](const TlsClientOptions& options) {
        return text_of_error<SetupError>([&] { tls_connect(client, options); });
    };
    CHECK_THAT(refused({}), ContainsSubstring("TlsClientOptions::authority"));
    CHECK_THAT(refused({.authority = "nonsense"}), ContainsSubstring("read the authority"));
    CHECK_THAT(refused({.verify = false, .alpn = {""}}), ContainsSubstring("RFC 7301"));
    CHECK_THAT(refused({.verify = false, .lowest = TlsVersion::v1_3, .highest = TlsVersion::v1_2}),
               ContainsSubstring("above the highest"));
    CHECK_THAT(text_of_error<SetupError>([&] {
                   tls_accept(client, {.certificate = certificate().certificate,
                                       .key = make_certificate({.names = {"a"}}).key});
               }),
               ContainsSubstring("use the key"));
    CHECK(client.written() == 0);
}

TEST_CASE("one layer is enough", "[tls]") {
    auto [client, server] = connect();
    CHECK_THAT(text_of_error<InvalidConfig>([&] { tls_connect(client, client_options()); }),
               ContainsSubstring("layer"));
}

TEST_CASE("what is no TLS is told as what it is", "[tls]") {
    const auto refused = [](std::string said) {
        ScriptedPeer peer{[&](Socket& socket, ScriptedPeer&) {
            socket.write(said);
            socket.shutdown_write();
            await_end(socket);
        }};
        return text_of_error<Unexpected>([&] { tls_connect(peer.client(), client_options()); });
    };
    CHECK_THAT(refused("HTTP/1.1 400 Bad Request\r\n\r\n"),
               ContainsSubstring("wrong version number") && ContainsSubstring("HTTP/1.1 400") &&
                   ContainsSubstring("a TLS handshake with 127.0.0.1:"));
    CHECK_THAT(refused(""), ContainsSubstring("end of stream (after 0 bytes)"));
    CHECK_THAT(refused(std::string{"\x15\x03\x03\0\x02\x02\x28", 7}),
               ContainsSubstring("handshake failure"));
}

TEST_CASE("a reset in the handshake is told", "[tls]") {
    ScriptedPeer peer{[&](Socket& socket, ScriptedPeer&) {
        static_cast<void>(socket.read(5));
        socket.reset();
    }};
    CHECK_THAT(text_of_error<Unexpected>([&] { tls_connect(peer.client(), client_options()); }),
               ContainsSubstring("Connection reset by peer"));
}

TEST_CASE("two that know no common version do not talk", "[tls]") {
    auto old = server_options();
    old.highest = TlsVersion::v1_2;
    auto peer = tls_peer(await_end, old);
    auto options = client_options();
    options.lowest = TlsVersion::v1_3;
    CHECK_THAT(text_of_error<Unexpected>([&] { tls_connect(peer.client(), options); }),
               ContainsSubstring("protocol version") && ContainsSubstring("(TLS 1.3,"));
    CHECK_THAT(peer.finish(), ContainsSubstring("unsupported protocol"));
}

TEST_CASE("two that know no common protocol do not talk", "[tls]") {
    auto other = server_options();
    other.alpn = {"h2"};
    auto peer = tls_peer(await_end, other);
    auto options = client_options();
    options.alpn = {"http/1.1", "http/1.0"};
    CHECK_THAT(text_of_error<Unexpected>([&] { tls_connect(peer.client(), options); }),
               ContainsSubstring("no application protocol") &&
                   ContainsSubstring("ALPN http/1.1 or http/1.0"));
    CHECK_THAT(peer.finish(), ContainsSubstring("ALPN h2"));
}

TEST_CASE("a tool that hangs in the handshake is given up", "[tls]") {
    const auto said = GENERATE(std::string{}, std::string{"\x16\x03\x03\x01", 4});
    ScriptedPeer peer{[&](Socket& socket, ScriptedPeer&) {
        socket.write(said);
        await_end(socket);
    }};
    peer.client().set_timeout(short_time);
    CHECK_THAT(text_of_error<TimedOut>([&] { tls_connect(peer.client(), client_options()); }),
               ContainsSubstring("a TLS handshake with") &&
                   ContainsSubstring(fmt::format("after {} bytes", said.size())));
}

TEST_CASE("a tool that ends in the handshake is noticed", "[tls]") {
    class Ended final : public Supervisor {
    public:
        void append_to(std::vector<pollfd>& /*fds*/) const override {}
        void handle() override {}
        void require_running() const override { throw ToolEnded{"it has ended"}; }
        void require_time(std::string_view /*awaited*/) const override {}
        [[nodiscard]] Duration longest_wait() const override { return 1ms; }
    };
    ScriptedPeer peer{[&](Socket& socket, ScriptedPeer&) { await_end(socket); }};
    const auto supervisor = std::make_shared<Ended>();
    peer.client().supervise(supervisor);
    CHECK_THROWS_AS(tls_connect(peer.client(), client_options()), ToolEnded);
    peer.client().supervise({});
}
