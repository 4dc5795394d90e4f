#pragma once

// TLS towards a tool that terminates it, and from one that originates it. Not part of
// test_tunnel.hpp: it needs OpenSSL 3, by the target test_tunnel::tls.
//
//     void open_client(Socket& client) override {
//         tls_connect(client, {.authority = certificate_.authority});
//     }
//
// All checks work over it unchanged. The end of a stream is close_notify then, in both directions:
// half-close included, which TLS 1.3 knows (RFC 8446 §6.1) and TLS 1.2 does not (RFC 5246 §7.2.1).

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "address.hpp"
#include "error.hpp"
#include "socket.hpp"
#include "tls/certificate.hpp" // IWYU pragma: export
#include "tls/handshake.hpp"
#include "tls/layer.hpp"
#include "tls/openssl.hpp"

namespace test_tunnel {

/// The client's side of TLS.
struct TlsClientOptions {
    /// The certificate, in PEM, by which the tool's must be signed, or which it must be: that of
    /// `make_certificate`. Nothing else is trusted.
    std::string authority{};
    /// The name that is asked for (SNI, RFC 6066 §3), and that the tool's certificate must be for.
    /// Empty: none is asked for, and it must be for the address that the socket is connected to. An
    /// address: it must be for that one, and none is asked for, since SNI has no addresses.
    std::string name{};
    /// False: whatever certificate the tool has will do, and `authority` may be empty.
    bool verify = true;
    /// The protocols that are offered (ALPN, RFC 7301), in the order of preference. A tool that
    /// chooses one that was not offered is refused; one that chooses none is not.
    std::vector<std::string> alpn{};
    /// The oldest version that is offered; a `lowest` above `highest` is an InvalidConfig.
    TlsVersion lowest = TlsVersion::v1_2;
    /// The newest version that is offered.
    TlsVersion highest = TlsVersion::v1_3;
    /// The tool is known to end TCP without having ended the stream by close_notify. That is taken
    /// for the end then, though it might be an attacker's: the stream may be cut short. The end of
    /// TCP within a record never is one.
    bool may_omit_close_notify = false;
};

/// The server's side of TLS.
struct TlsServerOptions {
    /// What the tool is shown, in PEM: one certificate, as that of `make_certificate`.
    std::string certificate;
    /// The private key that goes with it, in PEM.
    std::string key;
    /// The protocols that are known (ALPN), in the order of preference. Where the tool offers some,
    /// but none of these, it is refused (RFC 7301 §3.2). Empty: whatever it offers, none is chosen.
    std::vector<std::string> alpn{};
    /// The oldest version that is taken; a `lowest` above `highest` is an InvalidConfig.
    TlsVersion lowest = TlsVersion::v1_2;
    /// The newest version that is taken.
    TlsVersion highest = TlsVersion::v1_3;
    /// As in TlsClientOptions.
    bool may_omit_close_notify = false;
};

/// What the two sides have agreed upon.
struct TlsSession {
    /// The one that is spoken.
    TlsVersion version{};
    /// The protocol that was chosen (ALPN). Empty where none was offered, or none chosen.
    std::string alpn{};
    /// The name that OpenSSL has for it: "TLS_AES_256_GCM_SHA384".
    std::string cipher{};
    /// The name that the client has asked for; empty where it asked for none.
    std::string name{};
};

namespace detail {

/// Shakes hands, and gives the socket the layer.
inline TlsSession start_tls(Socket& socket, SslConnection ssl, const std::string& expected,
                            bool may_omit_close_notify) {
    if (socket.layer() != nullptr) {
        throw InvalidConfig{"TLS within TLS, or within another layer, is not supported"};
    }
    const auto place = shake_hands_tls(socket, ssl.get(), expected);
    const char* const name = SSL_get_servername(ssl.get(), TLSEXT_NAMETYPE_host_name);
    TlsSession session{.version = version_of(ssl.get()),
                       .alpn = chosen_alpn(ssl.get()),
                       .cipher = SSL_get_cipher_name(ssl.get()), // NOLINT(*-cstyle-cast): OpenSSL's
                       .name = name == nullptr ? "" : name};
    socket.set_layer(std::make_unique<TlsLayer>(
        std::move(ssl), place, socket.fd(), fmt::format("{} → {}", socket.local(), socket.peer()),
        may_omit_close_notify));
    return session;
}

} // namespace detail

/// Shakes hands with a tool that terminates TLS, on a connection to it, and has all that follows go
/// over TLS. Waits as any call of the socket does: no longer than its timeout without a byte from
/// the tool, and not for a tool that has ended.
///
/// Throws Unexpected, with what OpenSSL says, where the tool does not do its part, or is not whom
/// its certificate must be for; TimedOut, ToolEnded; InvalidConfig where the options make no
/// sense, OpensslError where OpenSSL can't read a certificate or key.
inline TlsSession tls_connect(Socket& client, const TlsClientOptions& options) {
    using detail::openssl_checked;
    const auto peer = client.peer();
    const auto context = detail::make_context(TLS_client_method(), options.lowest, options.highest);
    if (options.verify) {
        detail::trust(context.get(), options.authority);
    }
    auto ssl = detail::make_connection(context.get());
    SSL_set_connect_state(ssl.get());
    if (!options.alpn.empty()) {
        const auto wire = detail::alpn_wire(options.alpn);
        if (SSL_set_alpn_protos(ssl.get(), detail::unsigned_data(wire),
                                static_cast<unsigned>(wire.size())) != 0) {
            throw OpensslError{"offer ALPN: " + detail::openssl_reason()};
        }
    }
    auto* const verification = SSL_get0_param(ssl.get());
    if (options.name.empty()) {
        const auto packed = peer.address.packed();
        openssl_checked(
            X509_VERIFY_PARAM_set1_ip(verification, detail::unsigned_data(packed), packed.size()),
            "verify the address");
    } else if (X509_VERIFY_PARAM_set1_ip_asc(verification, options.name.c_str()) != 1) {
        // NOLINTNEXTLINE(*-cstyle-cast): OpenSSL's
        openssl_checked(SSL_set_tlsext_host_name(ssl.get(), options.name.c_str()),
                        "ask for a name");
        openssl_checked(SSL_set1_host(ssl.get(), options.name.c_str()), "verify the name");
    }
    const auto expected = fmt::format(
        "a TLS handshake with {} ({}{}{})", peer,
        detail::text_of_versions(options.lowest, options.highest),
        !options.verify
            ? ""
            : fmt::format(", a certificate for {} of the given authority",
                          options.name.empty() ? peer.address.text() : "'" + options.name + "'"),
        detail::text_of_alpn(options.alpn));
    return detail::start_tls(client, std::move(ssl), expected, options.may_omit_close_notify);
}

/// The same as the server's side, for a tool that originates TLS.
inline TlsSession tls_accept(Socket& server, const TlsServerOptions& options) {
    const auto context = detail::make_context(TLS_server_method(), options.lowest, options.highest);
    detail::use_certificate(context.get(), options.certificate, options.key);
    detail::AlpnChoice choice{.known = detail::alpn_wire(options.alpn)};
    if (!options.alpn.empty()) {
        SSL_CTX_set_alpn_select_cb(context.get(), detail::choose_alpn, &choice);
    }
    auto ssl = detail::make_connection(context.get());
    SSL_set_accept_state(ssl.get());
    const auto expected = fmt::format("a TLS handshake by {} ({}{})", server.peer(),
                                      detail::text_of_versions(options.lowest, options.highest),
                                      detail::text_of_alpn(options.alpn));
    auto session =
        detail::start_tls(server, std::move(ssl), expected, options.may_omit_close_notify);
    // The choice ends here, and the context may live on with the connection.
    SSL_CTX_set_alpn_select_cb(context.get(), nullptr, nullptr);
    return session;
}

} // namespace test_tunnel
