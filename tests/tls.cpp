#include <test_tunnel/detail/find_program.hpp>
#include <test_tunnel/temp_dir.hpp>
#include <test_tunnel/tls.hpp>
#include <test_tunnel/tunnel.hpp>

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <catch2/matchers/catch_matchers_vector.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/scripted_peer.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::VectorContains;
using support::ScriptedPeer;
using support::text_of_error;

namespace {

/// For what must not happen.
constexpr auto short_time = 50ms;

Address here() {
    return Address::parse("127.0.0.1");
}

/// Of the address at which these tests listen.
const TlsCertificate& certificate() {
    static const auto made = make_certificate({.addresses = {here()}, .names = {"proxy.test"}});
    return made;
}

TlsClientOptions client_options() {
    return {.authority = certificate().authority};
}

TlsServerOptions server_options() {
    return {.certificate = certificate().certificate, .key = certificate().key};
}

/// A peer that is a TLS server, and does `script` after the handshake.
ScriptedPeer tls_peer(std::function<void(Socket&)> script,
                      TlsServerOptions options = server_options()) {
    return ScriptedPeer{[script = std::move(script), options = std::move(options)](
                            Socket& socket, ScriptedPeer& /*self*/) {
        tls_accept(socket, options);
        script(socket);
    }};
}

/// Reads until the client ends the connection.
void await_end(Socket& socket) {
    std::array<char, 4096> buffer{};
    while (socket.read_some(buffer.data(), buffer.size()) > 0) {
    }
}

struct Ends {
    Socket client;
    Socket server;
};

/// Both ends of a TLS connection, for one thread.
Ends connect(TlsVersion version = TlsVersion::v1_3, Duration timeout = 60s) {
    Socket listener{Family::ipv4, timeout};
    listener.bind({here(), 0});
    listener.listen();
    Socket client{Family::ipv4, timeout};
    client.connect(listener.local());
    auto server = listener.accept();
    std::string error;
    std::thread other{[&] {
        try {
            tls_accept(server, server_options());
        } catch (const std::exception& thrown) {
            error = thrown.what();
        }
    }};
    auto options = client_options();
    options.highest = version;
    try {
        tls_connect(client, options);
    } catch (const std::exception& thrown) {
        error += thrown.what();
    }
    other.join();
    REQUIRE(error.empty());
    return {std::move(client), std::move(server)};
}

/// Whether poll(2) says that there is something to be read.
bool is_readable_for_poll(const Socket& socket) {
    pollfd entry{.fd = socket.fd(), .events = POLLIN, .revents = 0};
    return detail::poll_once({&entry, 1}, Duration::zero());
}

bool is_readable(const Socket& socket, Duration patience = Duration::zero()) {
    return detail::wait_for_socket(socket.event(POLLIN), Deadline::after(patience), nullptr,
                                   "something to be read");
}

bool awaits_bytes(const Socket& socket, std::size_t count) {
    int there = 0;
    const auto deadline = Deadline::after(60s);
    while (there < static_cast<int>(count) && !deadline.passed()) {
        ::ioctl(socket.fd(), FIONREAD, &there);
        detail::poll_once({}, 1ms);
    }
    return there >= static_cast<int>(count);
}

} // namespace

// --- The handshake

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
    class Ended final : public Watch {
    public:
        void append_to(std::vector<pollfd>& /*fds*/) const override {}
        void handle() override {}
        void require_running() const override { throw ToolEnded{"it has ended"}; }
        void require_time(std::string_view /*awaited*/) const override {}
        [[nodiscard]] Duration longest_wait() const override { return 1ms; }
    };
    ScriptedPeer peer{[&](Socket& socket, ScriptedPeer&) { await_end(socket); }};
    const auto watch = std::make_shared<Ended>();
    peer.client().watch(watch);
    CHECK_THROWS_AS(tls_connect(peer.client(), client_options()), ToolEnded);
    peer.client().watch({});
}

// --- The end of the stream

TEST_CASE("TCP's end without close_notify is no end of the stream", "[tls]") {
    const bool knows = GENERATE(false, true);
    auto peer = tls_peer([](Socket& socket) {
        socket.write("all");
        ::shutdown(socket.fd(), SHUT_WR); // behind the layer's back
        await_end(socket);
    });
    auto options = client_options();
    options.may_omit_close_notify = knows;
    auto& client = peer.client();
    tls_connect(client, options);
    CHECK(client.read(3) == "all");
    if (knows) {
        client.read_end();
        return;
    }
    CHECK_THAT(text_of_error<Unexpected>([&] { client.read_end(); }),
               ContainsSubstring("without close_notify (RFC 8446 §6.1)") &&
                   ContainsSubstring("end of stream"));
    char byte = 0;
    CHECK_THROWS_AS(client.read_some(&byte, 1), Truncated); // and again
    CHECK(client.event(POLLIN).layer->readable());
}

TEST_CASE("a stream that is cut short breaks where it may, as by a reset", "[tls]") {
    auto [client, server] = connect();
    Stream down{.from = server,
                .to = client,
                .name = "down",
                .pattern = Pattern{1},
                .size = 1000,
                .may_break = true};
    ::shutdown(server.fd(), SHUT_WR);
    CHECK(transfer({&down, 1}, {}));
    CHECK_THAT(down.broken, ContainsSubstring("Broken pipe"));
    CHECK(down.ended);
}

TEST_CASE("half-close is close_notify, and TCP stays open", "[tls]") {
    auto [client, server] = connect();
    client.write("request");
    client.shutdown_write();
    CHECK(server.read(7) == "request");
    server.read_end();
    CHECK_FALSE(is_readable_for_poll(server)); // no end of TCP
    Stream answer{.from = server,
                  .to = client,
                  .name = "answer",
                  .pattern = Pattern{1},
                  .size = 1U << 20U,
                  .pieces = odd_pieces,
                  .ends = true};
    CHECK(transfer({&answer, 1}, {}));
    CHECK(answer.ended);
}

TEST_CASE("a reset shows as a reset", "[tls]") {
    auto [client, server] = connect();
    client.reset();
    char byte = 0;
    try {
        static_cast<void>(server.read_some(&byte, 1));
        FAIL("nothing was thrown");
    } catch (const SystemError& error) {
        CHECK(error.code() == ECONNRESET);
        CHECK_THAT(error.what(), ContainsSubstring("Connection reset by peer"));
    }
    CHECK_THAT(text_of_error<SystemError>([&] { server.write("lost"); }),
               ContainsSubstring("Broken pipe"));
}

/// A server of OpenSSL's alone, of whose bytes at most `limit` get through, one of them changed
/// where that is asked for: it says "hello", and ends the stream.
class MeddledServer {
public:
    static constexpr std::size_t nowhere = std::string::npos;

    MeddledServer(std::size_t limit, std::size_t changed, TlsVersion version)
        : limit_{limit},
          changed_{changed},
          peer_{[this, version](Socket& socket, ScriptedPeer&) { serve(socket, version); }} {}

    Socket& client() { return peer_.client(); }

    /// Whether all of its bytes got through; waits for it.
    bool is_complete() {
        peer_.finish();
        return is_done_ && sent_ == total_;
    }

    /// Whether it was cut between two records.
    bool is_cut_between_records() const { return boundaries_ == 0; }

private:
    void serve(Socket& socket, TlsVersion version) {
        const auto context = detail::make_context(TLS_server_method(), TlsVersion::v1_2, version);
        detail::use_certificate(context.get(), certificate().certificate, certificate().key);
        const auto ssl = detail::make_connection(context.get());
        SSL_set_accept_state(ssl.get());
        std::string bytes(4096, '\0');
        while (sent_ < limit_) {
            const int result = SSL_do_handshake(ssl.get());
            pass_on(socket, ssl.get());
            if (result == 1 || sent_ == limit_) {
                break;
            }
            const auto count = socket.read_some(bytes.data(), bytes.size());
            if (count == 0) {
                return;
            }
            BIO_write(SSL_get_rbio(ssl.get()), bytes.data(), static_cast<int>(count));
        }
        if (SSL_is_init_finished(ssl.get()) != 0) {
            SSL_write(ssl.get(), "hello", 5);
            pass_on(socket, ssl.get());
            SSL_shutdown(ssl.get());
            pass_on(socket, ssl.get());
            is_done_ = true;
        }
        socket.shutdown_write();
        await_end(socket);
    }

    void pass_on(Socket& socket, SSL* ssl) {
        std::string bytes(BIO_ctrl_pending(SSL_get_wbio(ssl)), '\0');
        BIO_read(SSL_get_wbio(ssl), bytes.data(), static_cast<int>(bytes.size()));
        if (changed_ >= total_ && changed_ < total_ + bytes.size()) {
            bytes[changed_ - total_] ^= 1;
        }
        total_ += bytes.size();
        bytes.resize(std::min(bytes.size(), limit_ - std::min(limit_, sent_)));
        for (const char byte : bytes) { // RFC 8446 §5.1: type, version, length
            ++boundaries_;
            header_ += byte;
            if (header_.size() == 5) {
                left_ = detail::number_at(header_, 3);
            }
            if (header_.size() >= 5 && header_.size() == 5 + left_) {
                header_.clear();
                boundaries_ = 0;
            }
        }
        socket.write(bytes);
        sent_ += bytes.size();
    }

    std::size_t limit_;
    std::size_t changed_;
    std::size_t total_ = 0;
    std::size_t sent_ = 0;
    std::string header_;
    std::size_t left_ = 0;
    std::size_t boundaries_ = 0;
    bool is_done_ = false;
    ScriptedPeer peer_;
};

TEST_CASE("a connection that is cut at any byte is never taken for one that has ended", "[tls]") {
    const auto version = GENERATE(TlsVersion::v1_2, TlsVersion::v1_3);
    // Where the end of TCP may be the stream's, it must not be that within a record.
    constexpr bool knows = true;
    std::size_t limit = 0;
    bool complete = false;
    // Of the certificate's bytes not each.
    for (; !complete && limit<10000; limit += limit> 150 && limit < 600 ? 9 : 1) {
        MeddledServer server{limit, MeddledServer::nowhere, version};
        auto options = client_options();
        options.may_omit_close_notify = knows;
        std::string text;
        std::string error;
        try {
            tls_connect(server.client(), options);
            std::array<char, 16> buffer{};
            while (const auto count = server.client().read_some(buffer.data(), buffer.size())) {
                text.append(buffer.data(), count);
            }
        } catch (const Unexpected& thrown) { // in the handshake
            error = thrown.what();
        } catch (const Truncated& thrown) {
            error = thrown.what();
        }
        complete = server.is_complete();
        INFO("cut at " << limit << ": '" << text << "' " << error);
        const bool at_boundary = server.is_cut_between_records();
        if (complete) {
            REQUIRE(error.empty());
            REQUIRE(text == "hello");
        } else if (error.empty()) {
            REQUIRE((knows && at_boundary));
        } else {
            REQUIRE_THAT(error, ContainsSubstring("end of stream") ||
                                    ContainsSubstring("TCP ended without close_notify") ||
                                    ContainsSubstring("TCP ended within a record"));
            REQUIRE((at_boundary || !ContainsSubstring("ended without").match(error)));
        }
        server.client().close();
    }
    CHECK(limit > 500);
    CHECK(complete);
}

TEST_CASE("a bit that is changed anywhere is found", "[tls]") {
    const auto version = GENERATE(TlsVersion::v1_2, TlsVersion::v1_3);
    std::size_t found = 0;
    bool beyond = false;
    for (std::size_t changed = 0; !beyond && changed < 10000; changed += 11) {
        MeddledServer server{MeddledServer::nowhere, changed, version};
        server.client().set_timeout(100ms); // a length that was made greater is waited for
        std::string error;
        std::string text;
        try {
            tls_connect(server.client(), client_options());
            text = server.client().read(5);
            server.client().read_end();
        } catch (const Error& thrown) {
            error = thrown.what();
        }
        server.client().close();
        if (error.empty()) {
            // A change of what TLS does not look at, or behind the last byte.
            REQUIRE(text == "hello");
        } else {
            ++found;
        }
        beyond = error.empty() && changed > 900;
    }
    CHECK(found > 50);
}

// --- Data, and what is none

TEST_CASE("tickets are no data", "[tls]") {
    auto [client, server] = connect();
    REQUIRE(awaits_bytes(client, 100)); // which follow the handshake
    CHECK(is_readable_for_poll(client));
    CHECK_FALSE(is_readable(client, short_time));
    CHECK(client.pending() == 0);
    char byte = 0;
    CHECK_FALSE(client.try_read(&byte, 1).has_value());
    CHECK(client.layer()->received() == 0);
    server.write("data");
    CHECK(is_readable(client, 60s));
    CHECK(client.pending() == 4);
    CHECK(client.read(4) == "data");
    CHECK_FALSE(is_readable(client));
}

TEST_CASE("a wait sees what the layer holds already", "[tls]") {
    auto [client, server] = connect();
    server.write("several bytes");
    CHECK(client.read(1) == "s");
    CHECK_FALSE(is_readable_for_poll(client));
    CHECK(is_readable(client));
    CHECK(client.pending() == 12);
    // Together with another socket, on which nothing happens; both are looked at.
    std::array events{server.event(POLLIN), client.event(POLLIN)};
    CHECK(detail::wait_for_sockets(events, Deadline::after(60s), nullptr, "data"));
    CHECK(events[0].revents == 0);
    CHECK((events[1].revents & POLLIN) != 0);
}

TEST_CASE("1 MiB arrives both ways at once, in pieces of any size", "[tls]") {
    const auto version = GENERATE(TlsVersion::v1_2, TlsVersion::v1_3);
    auto [client, server] = connect(version);
    std::array<Stream, 2> streams{{{.from = client,
                                    .to = server,
                                    .name = "up",
                                    .pattern = Pattern{1},
                                    .size = 1U << 20U,
                                    .pieces = odd_pieces,
                                    .ends = true},
                                   {.from = server,
                                    .to = client,
                                    .name = "down",
                                    .pattern = Pattern{2},
                                    .size = 1U << 20U,
                                    .pieces = odd_pieces,
                                    .ends = version == TlsVersion::v1_3}}};
    CHECK(transfer(streams, {}));
    CHECK(streams[0].ended);
}

/// A tool that has shaken hands, for calls of OpenSSL: blocking, and its alone. For a thread of its
/// own, since OpenSSL knows no other way to keep SIGPIPE away.
detail::SslConnection accept_by_openssl(const Socket& socket) {
    sigset_t signals{};
    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    const auto context =
        detail::make_context(TLS_server_method(), TlsVersion::v1_3, TlsVersion::v1_3);
    detail::use_certificate(context.get(), certificate().certificate, certificate().key);
    detail::SslConnection ssl{SSL_new(context.get())};
    ::fcntl(socket.fd(), F_SETFL, 0);
    SSL_set_fd(ssl.get(), socket.fd());
    SSL_accept(ssl.get());
    return ssl;
}

TEST_CASE("a key that changes on the way changes nothing", "[tls]") {
    ScriptedPeer peer{[](Socket& socket, ScriptedPeer&) {
        const auto ssl = accept_by_openssl(socket);
        std::array<char, 4> buffer{};
        SSL_key_update(ssl.get(), SSL_KEY_UPDATE_REQUESTED);
        SSL_write(ssl.get(), "new", 3);
        SSL_read(ssl.get(), buffer.data(), 4);
        SSL_write(ssl.get(), buffer.data(), 4);
        SSL_shutdown(ssl.get());
    }};
    tls_connect(peer.client(), client_options());
    CHECK(peer.client().read(3) == "new");
    peer.client().write("back");
    CHECK(peer.client().read(4) == "back");
    peer.client().read_end();
}

TEST_CASE("a flood of tickets keeps nobody from giving up", "[tls]") {
    ScriptedPeer peer{[](Socket& socket, ScriptedPeer&) {
        const auto ssl = accept_by_openssl(socket);
        // Made ahead, they come faster than they can be taken apart.
        constexpr int many = 20'000;
        auto* const memory = BIO_new(BIO_s_mem());
        SSL_set0_wbio(ssl.get(), memory);
        for (int i = 0; i < many; ++i) {
            SSL_new_session_ticket(ssl.get());
            SSL_do_handshake(ssl.get());
        }
        const char* tickets = nullptr;
        const auto size = static_cast<std::size_t>(BIO_get_mem_data(memory, &tickets));
        socket.write({tickets, size});
    }};
    auto& client = peer.client();
    tls_connect(client, client_options());
    REQUIRE(awaits_bytes(client, 100'000));
    client.set_timeout(short_time);
    CHECK_THROWS_AS(client.read(1), TimedOut);
    int unread = 0;
    ::ioctl(client.fd(), FIONREAD, &unread);
    CHECK(unread > 0);
    client.reset();
}

TEST_CASE("data behind many tickets is found", "[tls]") {
    constexpr int most = 2000; // more than are taken at a time
    ScriptedPeer peer{[](Socket& socket, ScriptedPeer&) {
        const auto ssl = accept_by_openssl(socket);
        for (int i = 0; i < most; ++i) {
            SSL_new_session_ticket(ssl.get());
            SSL_do_handshake(ssl.get());
        }
        SSL_write(ssl.get(), "data", 4);
        SSL_shutdown(ssl.get());
    }};
    tls_connect(peer.client(), client_options());
    CHECK(peer.client().read(4) == "data");
    peer.client().read_end();
}

TEST_CASE("nothing is lost when all buffers are full and the writer closes", "[tls]") {
    auto [client, server] = connect();
    Stream up{.from = client,
              .to = server,
              .name = "up",
              .pattern = Pattern{1},
              .size = 1U << 28U,
              .pieces = large_pieces,
              .reads = false};
    CHECK_FALSE(transfer({&up, 1}, {}, {.patience = short_time, .may_stall = true}));
    CHECK(client.has_unsent());
    up.size = up.written;
    client.close();
    up.reads = up.ends = up.shut_down = true;
    CHECK(transfer({&up, 1}, {}));
    CHECK(up.read == up.written);
    CHECK(up.ended);
}

TEST_CASE("what could not be sent is sent when somebody waits for the answer", "[tls]") {
    auto [client, server] = connect();
    Stream up{.from = client,
              .to = server,
              .name = "up",
              .pattern = Pattern{1},
              .size = 1U << 28U,
              .reads = false};
    transfer({&up, 1}, {}, {.patience = short_time, .may_stall = true});
    REQUIRE(client.has_unsent());
    std::thread reader{[&server = server, size = up.written] {
        static_cast<void>(server.read(size)); // all of it, although nobody writes any more
        server.write("got it");
    }};
    CHECK(client.read(6) == "got it");
    reader.join();
}

TEST_CASE("a client that has closed does not reset what comes late", "[tls]") {
    auto [client, server] = connect();
    client.write("request");
    client.close();
    server.write("a ticket, as it were");
    server.write("and another one");
    CHECK(server.read(7) == "request");
    server.read_end();
    server.write("still");
}

TEST_CASE("whoever sends on to a client that has closed is told", "[tls]") {
    Ends told = connect();
    auto [client, server] = connect();
    client.close();
    std::jthread writer{[&server = server, &told] {
        try {
            const std::string piece(4096, 'x');
            for (;;) {
                server.write(piece);
            }
        } catch (const SystemError& error) {
            told.server.write(error.code() == EPIPE || error.code() == ECONNRESET ? "y" : "n");
        } catch (const std::exception&) {
            told.server.write("n");
        }
    }};
    CHECK(told.client.read(1) == "y");
}

TEST_CASE("closing with data unread is a reset, as it is without TLS", "[tls]") {
    auto [client, server] = connect(TlsVersion::v1_3, 5s);
    Stream down{.from = server,
                .to = client,
                .name = "down",
                .pattern = Pattern{1},
                .size = 1U << 28U,
                .reads = false,
                .may_break = true};
    transfer({&down, 1}, {}, {.patience = short_time, .may_stall = true});
    client.close();
    // A tool that is about to write would else wait for a reader that there is no more.
    CHECK_THAT(text_of_error<SystemError>([&server = server] {
                   const std::string data(1U << 16U, 'x');
                   for (int i = 0; i < 4096; ++i) {
                       server.write(data);
                   }
               }),
               ContainsSubstring("Connection reset by peer") || ContainsSubstring("Broken pipe"));
}

TEST_CASE("a discarded layer says nothing more, and one that is destroyed ends properly", "[tls]") {
    auto [client, server] = connect();
    std::optional<Socket> owner{std::move(client)};
    SECTION("destroyed") {
        owner.reset();
        server.read_end();
    }
    SECTION("assigned to") {
        *owner = Socket{Family::ipv4};
        server.read_end();
    }
    SECTION("reset") {
        owner->reset();
        CHECK_THAT(text_of_error<Unexpected>([&server = server] { server.read_end(); }),
                   ContainsSubstring("Connection reset by peer"));
    }
}

// --- Certificates

TEST_CASE("a certificate is for somebody", "[tls]") {
    CHECK_THAT(text_of_error<InvalidConfig>([] { make_certificate({}); }),
               ContainsSubstring("an address or a name"));
    CHECK_THAT(text_of_error<InvalidConfig>([] { make_certificate({.names = {"a,IP:1.2.3.4"}}); }),
               ContainsSubstring("is no name"));
    CHECK_THAT(certificate().pem(),
               ContainsSubstring("BEGIN PRIVATE KEY") && ContainsSubstring("BEGIN CERTIFICATE"));
    CHECK(certificate().certificate != make_certificate({.names = {"proxy.test"}}).certificate);
}

TEST_CASE("nobody else can read a key that is written into a file", "[tls]") {
    TempDir files;
    const auto path = files.write("tool.pem", certificate().pem());
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777U) == 0600);
}

// --- The suite

namespace {

ConfigProg quiet_config(std::string prog) {
    ConfigProg config;
    config.prog = std::move(prog);
    config.log->set_level(spdlog::level::off);
    try {
        detail::find_program(config.prog, config.utf8_env);
    } catch (const ToolMissing& error) {
        SKIP(error.what());
    }
    return config;
}

/// stunnel, which takes TLS off, in front of the forwarder of tests/faulty.
class FaultyBehindTls : public TestTunnel {
public:
    FaultyBehindTls(ConfigProg config, std::string behaviour)
        : TestTunnel{std::move(config)}, behaviour_{std::move(behaviour)} {}

    std::string slug() const override { return "faulty behind TLS"; }

    Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override {
        const auto inner = svc_listen.client();
        const auto target = svc_listen.listen();
        TempDir files;
        const auto text = fmt::format(
            "foreground = yes\npid =\n[tls]\naccept = {}:{}\nconnect = "
            "{}:{}\ncert = {}\n",
            proxy_listen.address, proxy_listen.svc_port, inner.address, inner.port,
            files.write("stunnel.pem", certificate_.pem()));
        Server server = spawn({FAULTY_TUNNEL, inner.address.text(), std::to_string(inner.port),
                               inner.address.text(), target.address.text(),
                               std::to_string(target.port), behaviour_, "forward"});
        server.await_listening(inner, config().timeouts.start);
        server.add(spawn({config().prog, files.write("stunnel.conf", text)}));
        server.add(std::move(files));
        return server;
    }

    void open_client(Socket& client) override {
        tls_connect(client, {.authority = certificate_.authority, .name = "proxy.test"});
    }

private:
    std::string behaviour_;
    TlsCertificate certificate_ = make_certificate({.names = {"proxy.test"}});
};

/// stunnel as a client: it puts TLS on, and the server takes it off.
class StunnelClient : public TestTunnel {
public:
    using TestTunnel::TestTunnel;

    std::string slug() const override { return "stunnel, client"; }

    Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override {
        TempDir files;
        const auto text = fmt::format(
            "foreground = yes\npid =\n[tls]\nclient = yes\naccept = {}:{}\nconnect = {}:{}\n"
            "local = {}\nCAfile = {}\nverifyChain = yes\ncheckHost = server.test\nsni = "
            "server.test\n",
            proxy_listen.address, proxy_listen.svc_port, svc_listen.address, svc_listen.svc_port,
            svc_listen.client().address, files.write("ca.pem", certificate_.authority));
        Server server = spawn({config().prog, files.write("stunnel.conf", text)});
        server.add(std::move(files));
        return server;
    }

    std::optional<Endpoint> open_server(Socket& server) override {
        const auto session =
            tls_accept(server, {.certificate = certificate_.certificate, .key = certificate_.key});
        if (session.name != "server.test") {
            throw Unexpected{"the name server.test (SNI)", session.name};
        }
        return std::nullopt;
    }

private:
    TlsCertificate certificate_ = make_certificate({.names = {"server.test"}});
};

std::vector<std::string> failures(const PairResult& result) {
    std::vector<std::string> ids;
    for (const auto& check : result.checks) {
        if (check.outcome == Outcome::failed) {
            ids.push_back(check.id);
        }
    }
    return ids;
}

} // namespace

TEST_CASE("a fault behind TLS is found by the check that is made for it", "[tls][suite]") {
    struct Fault {
        const char* behaviour;
        const char* check;
    };
    const auto fault = GENERATE(
        Fault{"changes-down", "hello"}, Fault{"never-ends", "hello"}, Fault{"adds-at-end", "hello"},
        Fault{"corrupts-late-up", "data.bulk.up"}, Fault{"stops-at-64k-down", "data.bulk.down"},
        Fault{"doubles-0xff", "data.bytes"}, Fault{"hides-server-reset", "reset.server.idle"},
        Fault{"never-resumes-down", "flow.pressure.down"});
    auto config = quiet_config("stunnel");
    config.only = {fault.check};
    config.timeouts.io = 2s;
    FaultyBehindTls tunnel{config, fault.behaviour};
    const auto result = tunnel.run_pair(discover_pairs(config).front());
    INFO(fault.behaviour);
    CHECK_THAT(failures(result), VectorContains(std::string{fault.check}));
    for (const auto& check : result.checks) { // for the right reason
        CHECK(check.step != "connect");
        CHECK(check.step != "handshake");
    }
}

TEST_CASE("a correct tunnel behind TLS passes", "[tls][suite]") {
    const auto config = quiet_config("stunnel");
    FaultyBehindTls tunnel{config, "none"};
    CHECK(failures(tunnel.run_pair(discover_pairs(config).front())).empty());
}

TEST_CASE("a tool that puts TLS on passes", "[tls][suite]") {
    const auto config = quiet_config("stunnel");
    StunnelClient tunnel{config};
    CHECK(failures(tunnel.run_pair(discover_pairs(config).back())).empty());
}
