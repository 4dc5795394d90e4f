#include <test_tunnel/net/stream.hpp>
#include <test_tunnel/tls.hpp>

#include <poll.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <string>

#include "support/scripted_peer.hpp"
#include "support/tls_ends.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using support::await_end;
using support::certificate;
using support::client_options;
using support::connect;
using support::is_readable_for_poll;
using support::ScriptedPeer;
using support::text_of_error;
using support::tls_peer;

TEST_CASE("TCP's end without close_notify is no end of the stream", "[tls]") {
    const bool knows = GENERATE(false, true);
    auto peer = tls_peer([](Socket& socket) {
        socket.write("all");
        socket.shutdown_tcp();
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
    server.shutdown_tcp();
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

TEST_CASE("TCP can end with close_notify, and the answer still comes", "[tls]") {
    auto [client, server] = connect(GENERATE(TlsVersion::v1_2, TlsVersion::v1_3));
    client.hold_back();
    client.write("request");
    client.shutdown_write();
    client.shutdown_tcp();
    client.send_held_back();
    CHECK(server.read(7) == "request");
    server.read_end();
    CHECK(is_readable_for_poll(server)); // the end of TCP
    server.write("answer");
    server.close();
    CHECK(client.read(6) == "answer");
    client.read_end();
}

TEST_CASE("after close_notify nothing more is said, not even about keys", "[tls]") {
    auto [client, server] = connect();
    client.shutdown_write();
    server.read_end();
    CHECK(server.renew_keys(true));
    server.write("answer");
    CHECK(client.read(6) == "answer");
    CHECK_FALSE(is_readable_for_poll(server));
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
