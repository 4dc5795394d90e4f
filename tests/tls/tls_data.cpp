#include <test_tunnel/net/stream.hpp>
#include <test_tunnel/tls.hpp>

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "support/durations.hpp"
#include "support/scripted_peer.hpp"
#include "support/tls_ends.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using support::certificate;
using support::client_options;
using support::connect;
using support::Ends;
using support::is_readable_for_poll;
using support::ScriptedPeer;
using support::short_time;
using support::text_of_error;

namespace {

bool is_readable(const Socket& socket, Duration patience = Duration::zero()) {
    return wait_for(socket.event(POLLIN), Deadline::after(patience), nullptr,
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
    CHECK(wait_for(events, Deadline::after(60s), nullptr, "data"));
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

TEST_CASE("it is told how often the other side has used new keys", "[tls]") {
    auto [client, server] = connect();
    const auto say = [](Socket& from, Socket& to) {
        from.write("x");
        CHECK(to.read(1) == "x");
    };
    CHECK(client.renew_keys(false));
    say(client, server);
    say(server, client);
    CHECK(server.renewals() == 1);
    CHECK(client.renewals() == 0);
    CHECK(client.renew_keys(true));
    say(client, server);
    say(server, client); // which has been asked for such
    CHECK(server.renewals() == 2);
    CHECK(client.renewals() == 1);
}

TEST_CASE("keys are not renewed where nothing knows of that", "[tls]") {
    auto [client, server] = connect(TlsVersion::v1_2);
    CHECK_FALSE(client.renew_keys(true));
    CHECK(server.renewals() == 0);
    CHECK(Socket{Family::ipv4}.renewals() == 0);
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
