// How faulty_tls_tunnel shakes hands.

#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

#include "behaviours.hpp"
#include "sockets.hpp"

struct OpensslFree {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using Ssl = std::unique_ptr<SSL, OpensslFree>;
using SslContext = std::unique_ptr<SSL_CTX, OpensslFree>;

inline int forgiven_index() {
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

/// Whether the client's certificate was bad, or missing, and that was passed over.
inline bool was_forgiven(const SSL* ssl) {
    if (SSL_session_reused(ssl) == 1) {
        return false; // nobody has looked
    }
    const std::unique_ptr<X509, decltype(&X509_free)> shown{SSL_get1_peer_certificate(ssl),
                                                            X509_free};
    return !shown || SSL_get_ex_data(ssl, forgiven_index()) != nullptr;
}

/// Whether it does so after the handshake.
inline bool verifies_itself() {
    return is("tls-verifies-late") || is("tls-resumes-refused") || is("tls-forgets-to-refuse");
}

/// Whether a client's certificate is taken of which OpenSSL has said whether it is good.
inline int verdict_on(int is_good, X509_STORE_CTX* store) {
    const auto forgive = [&] {
        auto* const ssl = static_cast<SSL*>(
            X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
        SSL_set_ex_data(ssl, forgiven_index(), ssl);
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
    };
    if (is_good == 1) {
        return 1;
    }
    switch (X509_STORE_CTX_get_error(store)) {
        case X509_V_ERR_CERT_HAS_EXPIRED:
            if (is("tls-takes-expired")) {
                return forgive();
            }
            break;
        case X509_V_ERR_CERT_NOT_YET_VALID:
            if (is("tls-takes-future")) {
                return forgive();
            }
            break;
        case X509_V_ERR_HOSTNAME_MISMATCH:
            break;
        case X509_V_ERR_INVALID_PURPOSE:
            if (is("tls-any-purpose")) {
                return forgive();
            }
            break;
        default:
            if (is("tls-any-authority")) {
                return forgive();
            }
    }
    return verifies_itself() ? forgive() : 0;
}

inline void require(bool is_done, const char* what) {
    if (!is_done) {
        throw std::runtime_error{what};
    }
}

/// Whether TCP's end without close_notify is for OpenSSL just an end.
inline bool ignores_cut() {
    return is("tls-cut-is-end") || is("tls-keeps-when-cut") || is("tls-1-2-keeps-when-cut") ||
           is("tls-spins-when-cut");
}

inline SslContext make_context(const char* pem, const char* clients) {
    SslContext context{SSL_CTX_new(TLS_server_method())};
    auto* const each = context.get();
    require(SSL_CTX_use_certificate_file(each, pem, SSL_FILETYPE_PEM) == 1 &&
                SSL_CTX_use_PrivateKey_file(each, pem, SSL_FILETYPE_PEM) == 1 &&
                SSL_CTX_load_verify_locations(each, clients, nullptr) == 1,
            "its files can't be read");
    SSL_CTX_set_min_proto_version(each, TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(each, is("tls-one-two") ? TLS1_2_VERSION : TLS1_3_VERSION);
    SSL_CTX_set_options(each, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(each, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    const bool forgives_none = is("tls-asks-only") || verifies_itself();
    SSL_CTX_set_verify(
        each, SSL_VERIFY_PEER | (forgives_none ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT), verdict_on);
    if (!is("tls-any-name")) {
        require(X509_VERIFY_PARAM_set1_host(SSL_CTX_get0_param(each), "client.test", 0) == 1,
                "a name can't be demanded");
    }
    if (ignores_cut()) {
        SSL_CTX_set_options(each, SSL_OP_IGNORE_UNEXPECTED_EOF);
    }
    constexpr unsigned char name[] = "tunnel";
    SSL_CTX_set_session_id_context(each, name, sizeof name);
    if (is("tls-without-tickets")) {
        SSL_CTX_set_options(each, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(each, 0);
        SSL_CTX_set_session_cache_mode(each, SSL_SESS_CACHE_OFF);
    }
    return context;
}

/// Shakes hands with a client; null: that was in vain, and the client has been told why.
inline Ssl shake_hands(int fd, SSL_CTX* context) {
    Ssl ssl{SSL_new(context)};
    SSL_set_fd(ssl.get(), fd);
    ERR_clear_error();
    if (SSL_accept(ssl.get()) == 1) {
        return ssl;
    }
    std::fprintf(stderr, "handshake: %s\n", ERR_reason_error_string(ERR_peek_last_error()));
    return nullptr;
}

/// Faults of those that look at how the hello arrives; false: the client was reset.
inline bool suits(Descriptor& client) {
    const bool is_about_length = is("tls-hello-below-1500") || is("tls-hangs-on-long-hello");
    if (!is("tls-hello-in-one-piece") && !is("tls-hello-in-one-record") && !is_about_length) {
        return true;
    }
    begin_message(client.get());
    unsigned char header[9] = {};
    const auto peek = [&] { return ::recv(client.get(), header, sizeof header, MSG_PEEK); };
    auto count = peek();
    const bool is_whole = count == sizeof header;
    for (; count > 0 && count < static_cast<ssize_t>(sizeof header); count = peek()) {
        sleep_for(1ms);
    }
    const auto record = static_cast<std::size_t>(header[3] << 8 | header[4]);
    const auto message = static_cast<std::size_t>(header[7] << 8 | header[8]);
    const bool is_bad = is("tls-hello-in-one-piece")
                            ? !is_whole || readable_bytes(client.get()) < record + 5
                        : is("tls-hello-in-one-record") ? record < message + 4
                                                        : message > 1500;
    if (is_bad && is("tls-hangs-on-long-hello")) {
        hang();
    }
    if (is_bad) {
        client.reset();
    }
    return !is_bad;
}

/// What the client has said beside data: how often that it uses new keys, whether it asked for
/// such, and close_notify.
struct Messages {
    int key_updates = 0;
    bool is_asked_for_keys = false;
    bool has_said_goodbye = false;
};

inline void see_message(int written, int /*version*/, int type, const void* bytes, std::size_t size,
                        SSL* /*ssl*/, void* seen) {
    const auto* message = static_cast<const unsigned char*>(bytes);
    auto& messages = *static_cast<Messages*>(seen);
    if (written == 0 && type == SSL3_RT_HANDSHAKE && size > 4 && message[0] == SSL3_MT_KEY_UPDATE) {
        ++messages.key_updates;
        messages.is_asked_for_keys = messages.is_asked_for_keys || message[4] == 1;
        if (is("tls-ignores-asked-keys")) {
            const_cast<unsigned char*>(message)[4] = 0; // before OpenSSL looks at it
        }
    }
    if (written == 0 && type == SSL3_RT_ALERT && size > 1 && message[1] == SSL_AD_CLOSE_NOTIFY) {
        messages.has_said_goodbye = true;
    }
}

/// Whether a client's certificate, which was good when its session began, has expired.
inline bool has_expired_since(const SSL* ssl) {
    const std::unique_ptr<X509, decltype(&X509_free)> shown{SSL_get1_peer_certificate(ssl),
                                                            X509_free};
    return shown && X509_cmp_current_time(X509_get0_notAfter(shown.get())) < 0 &&
           !is("tls-resumes-expired");
}

/// Faults of those that do not know sessions; false: it is over.
inline bool takes_session(const SSL* ssl) {
    static std::atomic<int> resumed = 0;
    if (SSL_session_reused(ssl) != 1) {
        return true;
    }
    return !has_expired_since(ssl) && !is("tls-resets-resumed") &&
           !(is("tls-refuses-ticket-twice") && ++resumed > 1);
}
