#pragma once

// TLS towards a tool that terminates it, and from one that originates it. Not part of
// test_tunnel.hpp: it needs OpenSSL 3, by the target test_tunnel::tls.
//
//     std::shared_ptr<const TlsEnd> client_tls() const override {
//         return tls_client({.authority = certificate_.authority});
//     }
//
// All checks work over it unchanged, and the checks tls.* try other clients: those that the tool
// must refuse, where it demands certificates of them; hellos in pieces; sessions that go on.
// `tls_connect` and `tls_accept` do the same on one connection, for hooks that do more than that.
// The end of a stream is close_notify then, in both directions: half-close included, which TLS 1.3
// knows (RFC 8446 §6.1) and TLS 1.2 does not (RFC 5246 §7.2.1).
//
// A connection that this side has closed stays open in TCP for up to two seconds, until the other
// side has ended it, too: so no reset comes for what the tool still says. Every later wait of this
// process, for whatever it waits (net/wait.hpp), reads from such connections and closes them in
// time.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/error.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/net/socket.hpp"
#include "test_tunnel/net/tls_end.hpp"     // IWYU pragma: export
#include "test_tunnel/tls/certificate.hpp" // IWYU pragma: export
#include "test_tunnel/tls/detail/openssl.hpp"
#include "test_tunnel/tls/detail/tls_handshake.hpp"
#include "test_tunnel/tls/detail/tls_layer.hpp"

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
    /// What the client shows to a tool that demands it, in PEM: one certificate. Empty: none.
    std::string certificate{};
    /// The private key that goes with it, in PEM.
    std::string key{};
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
    /// The certificate, in PEM, by which that of the tool must be signed: the tool has to show one.
    /// Empty: it need not.
    std::string client_authority{};
    /// The protocols that are known (ALPN), in the order of preference. Where the tool offers some,
    /// but none of these, it is refused (RFC 7301 §3.2). Empty: whatever it offers, none is chosen.
    std::vector<std::string> alpn{};
    /// The oldest version that is taken; a `lowest` above `highest` is an InvalidConfig.
    TlsVersion lowest = TlsVersion::v1_2;
    /// The newest version that is taken.
    TlsVersion highest = TlsVersion::v1_3;
    /// The tool is known to end TCP without having ended the stream by close_notify: see
    /// TlsClientOptions.
    bool may_omit_close_notify = false;
};

/// What a tool demands of the certificates that its clients have to show, besides that they are
/// valid and that the right authority has signed them.
struct TlsDemands {
    /// That they are for the name client.test (RFC 5280 §4.2.1.6), which is also their subject's
    /// common name.
    bool name = false;
};

/// What the two sides have agreed upon.
struct TlsSession {
    /// The version that is spoken.
    TlsVersion version{};
    /// The protocol that was chosen (ALPN). Empty where none was offered, or none chosen.
    std::string alpn{};
    /// The name that OpenSSL has for it: "TLS_AES_256_GCM_SHA384".
    std::string cipher{};
    /// The name that the client has asked for; empty where it asked for none.
    std::string name{};
    /// Whether an earlier session goes on (RFC 8446 §2.2).
    bool is_resumed = false;
};

namespace detail {

/// Shakes hands, and gives the socket its layer. Throws as `tls_connect` does.
inline TlsSession start_tls(Socket& socket, SslConnection ssl, const std::string& expected,
                            bool may_omit_close_notify,
                            std::function<void(Socket&, std::string_view)> send_first = {}) {
    if (socket.layer() != nullptr) {
        throw InvalidConfig{"TLS within TLS, or within another layer, is not supported"};
    }
    const auto place = shake_hands_tls(socket, ssl.get(), expected, std::move(send_first));
    const char* const name = SSL_get_servername(ssl.get(), TLSEXT_NAMETYPE_host_name);
    TlsSession session{.version = version_of(ssl.get()),
                       .alpn = chosen_alpn(ssl.get()),
                       .cipher = SSL_get_cipher_name(ssl.get()), // NOLINT(*-cstyle-cast): OpenSSL's
                       .name = name == nullptr ? "" : name,
                       .is_resumed = SSL_session_reused(ssl.get()) == 1};
    socket.set_layer(std::make_unique<TlsLayer>(
        std::move(ssl), place, socket.fd(), fmt::format("{} → {}", socket.local(), socket.peer()),
        may_omit_close_notify));
    return session;
}

/// Shakes hands as `tls_connect` does, in another manner; which certificate is shown, `options`
/// say.
inline TlsSession connect_tls(Socket& client, const TlsClientOptions& options,
                              const TlsManner& manner) {
    const auto peer = client.peer();
    const auto highest = manner.only_1_2 ? TlsVersion::v1_2 : options.highest;
    const auto context = make_context(TLS_client_method(), options.lowest, highest);
    if (options.verify) {
        trust(context.get(), options.authority);
    }
    if (!options.certificate.empty()) {
        use_certificate(context.get(), options.certificate, options.key);
    }
    std::string filling(manner.least_hello, '\0');
    if (!filling.empty()) {
        lengthen_hello(context.get(), filling);
    }
    auto ssl = make_connection(context.get());
    if (!manner.session.empty()) {
        resume(ssl.get(), manner.session);
    }
    SSL_set_connect_state(ssl.get());
    if (!options.alpn.empty()) {
        const auto wire = alpn_wire(options.alpn);
        if (SSL_set_alpn_protos(ssl.get(), unsigned_data(wire),
                                static_cast<unsigned>(wire.size())) != 0) {
            throw OpensslError{"offer ALPN: " + openssl_reason()};
        }
    }
    auto* const verification = SSL_get0_param(ssl.get());
    if (options.name.empty()) {
        const auto packed = peer.address.packed();
        openssl_checked(
            X509_VERIFY_PARAM_set1_ip(verification, unsigned_data(packed), packed.size()),
            "verify the address");
    } else if (X509_VERIFY_PARAM_set1_ip_asc(verification, options.name.c_str()) != 1) {
        // NOLINTNEXTLINE(*-cstyle-cast): OpenSSL's
        openssl_checked(SSL_set_tlsext_host_name(ssl.get(), options.name.c_str()),
                        "ask for a name");
        openssl_checked(SSL_set1_host(ssl.get(), options.name.c_str()), "verify the name");
    }
    const auto expected = fmt::format(
        "a TLS handshake with {} ({}{}{})", peer, text_of_versions(options.lowest, highest),
        !options.verify
            ? ""
            : fmt::format(", a certificate for {} of the given authority",
                          options.name.empty() ? peer.address.text() : "'" + options.name + "'"),
        text_of_alpn(options.alpn));
    return start_tls(client, std::move(ssl), expected, options.may_omit_close_notify,
                     manner.send_hello);
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
    return detail::connect_tls(client, options, {});
}

/// Shakes hands with a tool that originates TLS, as the server, and has all that follows go over
/// TLS. Waits, and throws, as `tls_connect` does.
inline TlsSession tls_accept(Socket& server, const TlsServerOptions& options) {
    const auto context = detail::make_context(TLS_server_method(), options.lowest, options.highest);
    detail::use_certificate(context.get(), options.certificate, options.key);
    if (!options.client_authority.empty()) {
        detail::trust(context.get(), options.client_authority);
        SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                           nullptr);
    }
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

namespace detail {

/// The client's end, which may show other certificates than usual where `clients` is given.
class TlsClientEnd final : public TlsEnd {
public:
    TlsClientEnd(TlsClientOptions options, std::optional<TlsAuthority> clients,
                 const TlsDemands& demands)
        : options_{std::move(options)}, clients_{std::move(clients)}, demands_{demands} {
        if (clients_) {
            show(options_, *clients_, {});
        }
    }

    bool open(Socket& socket, const TlsManner& manner) const override {
        return connect_tls(socket, options_for(manner.certificate), manner).is_resumed;
    }

    [[nodiscard]] bool shows_certificates() const noexcept override { return clients_.has_value(); }
    [[nodiscard]] bool shows_names() const noexcept override { return demands_.name; }
    [[nodiscard]] bool offers_1_2_and_1_3() const noexcept override {
        return options_.lowest == TlsVersion::v1_2 && options_.highest == TlsVersion::v1_3;
    }
    [[nodiscard]] bool tells_truncation() const noexcept override {
        return !options_.may_omit_close_notify;
    }

    [[nodiscard]] std::string session_of(const Socket& socket) const override {
        const auto* const layer = dynamic_cast<const TlsLayer*>(socket.layer());
        return layer == nullptr ? "" : layer->session();
    }

private:
    static void show(TlsClientOptions& options, const TlsAuthority& by,
                     TlsCertificateOptions what) {
        if (what.names.empty()) {
            what.names = {"client.test"};
        }
        auto made = by.make(what);
        options.certificate = std::move(made.certificate);
        options.key = std::move(made.key);
    }

    [[nodiscard]] TlsClientOptions options_for(ClientCertificate which) const {
        using namespace std::chrono_literals;
        auto result = options_;
        if (!clients_ || which == ClientCertificate::good) {
            return result;
        }
        switch (which) {
            case ClientCertificate::none:
                result.certificate.clear();
                break;
            case ClientCertificate::of_other_authority:
                show(result, TlsAuthority{}, {});
                break;
            case ClientCertificate::expired:
                show(result, *clients_, {.valid_for = -1h});
                break;
            case ClientCertificate::not_yet_valid:
                show(result, *clients_, {.valid_in = 1h});
                break;
            case ClientCertificate::for_servers:
                show(result, *clients_, {.purpose = TlsPurpose::server});
                break;
            case ClientCertificate::other_name:
                show(result, *clients_, {.names = {"other.test"}});
                break;
            case ClientCertificate::short_lived:
                // Its end is told in whole seconds.
                show(result, *clients_, {.valid_for = short_life + 1s});
                break;
            case ClientCertificate::good:
                break;
        }
        return result;
    }

    TlsClientOptions options_;
    std::optional<TlsAuthority> clients_;
    TlsDemands demands_;
};

/// The server's end.
class TlsServerEnd final : public TlsEnd {
public:
    explicit TlsServerEnd(TlsServerOptions options) : options_{std::move(options)} {}

    bool open(Socket& socket, const TlsManner& /*manner*/) const override {
        return tls_accept(socket, options_).is_resumed;
    }

    [[nodiscard]] bool tells_truncation() const noexcept override {
        return !options_.may_omit_close_notify;
    }

private:
    TlsServerOptions options_;
};

} // namespace detail

/// The client's end of TLS, for `TestTunnel::client_tls`: `tls_connect` with these options. Where
/// `clients` is given, the tool demands certificates that this authority has signed: the client
/// shows such a one, for the name client.test, and `tls.client_certificate` others. What else the
/// tool demands of them, `demands` says.
inline std::shared_ptr<const TlsEnd> tls_client(TlsClientOptions options,
                                                std::optional<TlsAuthority> clients = {},
                                                const TlsDemands& demands = {}) {
    return std::make_shared<detail::TlsClientEnd>(std::move(options), std::move(clients), demands);
}

/// The server's end of TLS, for `TestTunnel::server_tls`: `tls_accept` with these options.
inline std::shared_ptr<const TlsEnd> tls_server(TlsServerOptions options) {
    return std::make_shared<detail::TlsServerEnd>(std::move(options));
}

} // namespace test_tunnel
