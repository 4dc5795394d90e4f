#pragma once

#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/escape.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/handshakes/detail/reply.hpp"
#include "test_tunnel/tls/certificate.hpp"
#include "test_tunnel/tls/detail/openssl.hpp"

namespace test_tunnel {

/// A version of TLS: RFC 5246, RFC 8446. What is older must no longer be used (RFC 8996).
enum class TlsVersion { v1_2 = TLS1_2_VERSION, v1_3 = TLS1_3_VERSION };

/// Returns "TLS 1.2" or "TLS 1.3".
inline std::string text_of(TlsVersion version) {
    return version == TlsVersion::v1_2 ? "TLS 1.2" : "TLS 1.3";
}

namespace detail {

inline const unsigned char* unsigned_data(std::string_view bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data()); // NOLINT(*-reinterpret-cast)
}

inline std::string text_of_versions(TlsVersion lowest, TlsVersion highest) {
    return lowest == highest ? text_of(lowest)
                             : fmt::format("{} to {}", test_tunnel::text_of(lowest),
                                           test_tunnel::text_of(highest));
}

inline std::string text_of_alpn(const std::vector<std::string>& names) {
    std::string result;
    for (const auto& name : names) {
        result += (result.empty() ? ", ALPN " : " or ") + escape_controls(name);
    }
    return result;
}

/// Returns a list of protocols as RFC 7301 §3.1 writes it. Throws InvalidConfig.
inline std::string alpn_wire(const std::vector<std::string>& names) {
    std::string result;
    for (const auto& name : names) {
        require_length(name, 1, "the name of a protocol", "RFC 7301 §3.1");
        result += static_cast<char>(name.size());
        result += name;
    }
    return result;
}

inline SslContext make_context(const SSL_METHOD* method, TlsVersion lowest, TlsVersion highest) {
    if (lowest > highest) {
        throw InvalidConfig{fmt::format("the lowest version, {}, is above the highest, {}",
                                        test_tunnel::text_of(lowest),
                                        test_tunnel::text_of(highest))};
    }
    auto result = openssl_owned<SslContext>(SSL_CTX_new(method), "prepare TLS");
    // NOLINTBEGIN(*-cstyle-cast): OpenSSL's
    openssl_checked(SSL_CTX_set_min_proto_version(result.get(), static_cast<int>(lowest)),
                    "set the lowest version of TLS");
    openssl_checked(SSL_CTX_set_max_proto_version(result.get(), static_cast<int>(highest)),
                    "set the highest version of TLS");
    SSL_CTX_set_mode(result.get(), SSL_MODE_ENABLE_PARTIAL_WRITE);
    // NOLINTEND(*-cstyle-cast)
    SSL_CTX_set_options(result.get(), SSL_OP_NO_RENEGOTIATION);
    return result;
}

/// Has the peer's certificate verified, with `authority` (PEM) as the only one that is trusted.
/// Throws InvalidConfig, OpensslError.
inline void trust(SSL_CTX* context, std::string_view authority) {
    if (authority.empty()) {
        throw InvalidConfig{
            "there is no authority by which the tool's certificate could be verified "
            "(TlsClientOptions::authority); where it shall not be, say .verify = false"};
    }
    const auto source = pem_source(authority);
    const auto certificate = openssl_owned<X509Certificate>(
        PEM_read_bio_X509(source.get(), nullptr, nullptr, nullptr), "read the authority");
    auto* const store = SSL_CTX_get_cert_store(context);
    openssl_checked(X509_STORE_add_cert(store, certificate.get()), "trust the authority");
    // Also where it is the certificate itself.
    openssl_checked(X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN), "trust the authority");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
}

inline void use_certificate(SSL_CTX* context, std::string_view certificate, std::string_view key) {
    const auto certificate_source = pem_source(certificate);
    const auto own = openssl_owned<X509Certificate>(
        PEM_read_bio_X509(certificate_source.get(), nullptr, nullptr, nullptr),
        "read the certificate");
    const auto key_source = pem_source(key);
    const auto own_key = openssl_owned<PrivateKey>(
        PEM_read_bio_PrivateKey(key_source.get(), nullptr, nullptr, nullptr), "read the key");
    openssl_checked(SSL_CTX_use_certificate(context, own.get()), "use the certificate");
    openssl_checked(SSL_CTX_use_PrivateKey(context, own_key.get()), "use the key");
}

/// An extension that no side has to know (RFC 8701).
constexpr unsigned grease = 0x1a1a;

inline int add_bytes(SSL* /*ssl*/, unsigned /*type*/, unsigned /*context*/,
                     const unsigned char** out, std::size_t* size, X509* /*certificate*/,
                     std::size_t /*index*/, int* /*alert*/, void* bytes) {
    const auto& text = *static_cast<const std::string*>(bytes);
    *out = unsigned_data(text);
    *size = text.size();
    return 1;
}

/// Has the client's hello carry `bytes`, which must be there until the handshake is done.
inline void lengthen_hello(SSL_CTX* context, std::string& bytes) {
    openssl_checked(SSL_CTX_add_custom_ext(context, grease, SSL_EXT_CLIENT_HELLO, add_bytes,
                                           nullptr, &bytes, nullptr, nullptr),
                    "lengthen the hello");
}

/// Has the client resume a session (DER).
inline void resume(SSL* ssl, std::string_view der) {
    const auto* bytes = unsigned_data(der);
    const auto session = openssl_owned<OpensslPtr<SSL_SESSION, SSL_SESSION_free>>(
        d2i_SSL_SESSION(nullptr, &bytes, static_cast<long>(der.size())), "read a session");
    openssl_checked(SSL_set_session(ssl, session.get()), "resume a session");
}

/// The server's choice of a protocol: of those that it knows the first one that is offered.
struct AlpnChoice {
    std::string known;
};

inline int choose_alpn(SSL* /*ssl*/, const unsigned char** chosen, unsigned char* size,
                       const unsigned char* offered, unsigned offered_size, void* choice) {
    const auto& known = static_cast<const AlpnChoice*>(choice)->known;
    unsigned char* found = nullptr;
    if (SSL_select_next_proto(&found, size, unsigned_data(known),
                              static_cast<unsigned>(known.size()), offered,
                              offered_size) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

inline std::string chosen_alpn(const SSL* ssl) {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl, &name, &size);
    return {reinterpret_cast<const char*>(name), size}; // NOLINT(*-reinterpret-cast)
}

inline TlsVersion version_of(const SSL* ssl) {
    return SSL_version(ssl) == TLS1_2_VERSION ? TlsVersion::v1_2 : TlsVersion::v1_3;
}

/// A connection that reads and writes memory.
inline SslConnection make_connection(SSL_CTX* context) {
    auto result = openssl_owned<SslConnection>(SSL_new(context), "prepare TLS");
    auto in = openssl_owned<Bio>(BIO_new(BIO_s_mem()), "prepare TLS");
    auto out = openssl_owned<Bio>(BIO_new(BIO_s_mem()), "prepare TLS");
    // That nothing is there is not the end.
    BIO_set_mem_eof_return(in.get(), -1);  // NOLINT(*-cstyle-cast): OpenSSL's
    BIO_set_mem_eof_return(out.get(), -1); // NOLINT(*-cstyle-cast): OpenSSL's
    SSL_set_bio(result.get(), in.release(), out.release());
    return result;
}

/// Sends what OpenSSL has to say.
template <SocketLike Peer>
void send_tls(Peer& peer, SSL* ssl) {
    auto* const out = SSL_get_wbio(ssl);
    std::string bytes(BIO_ctrl_pending(out), '\0');
    if (!bytes.empty()) {
        BIO_read(out, bytes.data(), static_cast<int>(bytes.size()));
        peer.write(bytes);
    }
}

/// Returns why a handshake has failed, in OpenSSL's words and, for a certificate, the verifier's.
inline std::string handshake_reason(const SSL* ssl) {
    auto reason = "TLS: " + openssl_reason();
    if (const auto verdict = SSL_get_verify_result(ssl); verdict != X509_V_OK) {
        reason += fmt::format(": {}", X509_verify_cert_error_string(verdict));
    }
    return reason;
}

/// Sends this side's first message, a client's hello.
template <SocketLike Peer>
void send_tls(Peer& peer, SSL* ssl, const std::function<void(Peer&, std::string_view)>& send) {
    auto* const out = SSL_get_wbio(ssl);
    std::string bytes(BIO_ctrl_pending(out), '\0');
    BIO_read(out, bytes.data(), static_cast<int>(bytes.size()));
    send(peer, bytes);
}

/// Does this side's part of the handshake; its first message is sent by `send_first`, where that is
/// given. Bytes that came behind it are kept by `ssl`; returns where the last of them stands.
template <SocketLike Peer>
RecordPlace shake_hands_tls(Peer& peer, SSL* ssl, const std::string& expected,
                            std::function<void(Peer&, std::string_view)> send_first = {}) {
    constexpr std::size_t shown = 64;
    std::array<char, 4096> buffer{};
    std::string first; // of what has come, for errors
    std::size_t total = 0;
    RecordPlace place;
    const auto came = [&](std::string_view end) {
        // What begins like a record has been told by OpenSSL.
        const bool tells = !first.empty() && first.front() != SSL3_RT_HANDSHAKE;
        return fmt::format("{} (after {} byte{}){}{}", end, total, total == 1 ? "" : "s",
                           tells ? "\n" : "", tells ? hexdump(first) : "");
    };
    for (;;) {
        ERR_clear_error();
        const int result = SSL_do_handshake(ssl);
        const bool waits = SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ;
        const auto reason = result == 1 || waits ? "" : handshake_reason(ssl);
        try {
            if (send_first) {
                send_tls(peer, ssl, std::exchange(send_first, nullptr));
            }
            send_tls(peer, ssl); // an alert, too
        } catch (const SystemError& error) {
            throw Unexpected{expected, came(reason.empty() ? error.what() : reason)};
        }
        if (result == 1) {
            return place;
        }
        if (!waits) {
            throw Unexpected{expected, came(reason)};
        }
        std::size_t count = 0;
        try {
            count = peer.read_some(buffer.data(), buffer.size());
        } catch (const SystemError& error) {
            throw Unexpected{expected, came(error.what())};
        } catch (const TimedOut& error) {
            throw TimedOut{fmt::format("{}: {}", expected, came(error.what()))};
        }
        if (count == 0) {
            throw Unexpected{expected, came("end of stream")};
        }
        total += count;
        const std::string_view bytes{buffer.data(), count};
        place.pass(bytes);
        first += bytes.substr(0, shown - std::min(shown, first.size()));
        openssl_checked(BIO_write(SSL_get_rbio(ssl), bytes.data(), static_cast<int>(count)),
                        "keep what has arrived");
    }
}

} // namespace detail

} // namespace test_tunnel
