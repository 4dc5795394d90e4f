#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "test_tunnel/net/socket.hpp"

namespace test_tunnel {

/// Which certificate a client shows, where the tool demands one.
enum class ClientCertificate {
    /// One that the tool has to accept.
    good,
    /// None at all.
    none,
    /// One that was signed by somebody whom the tool does not trust.
    of_other_authority,
    /// One that has expired.
    expired,
    /// One that is not valid yet.
    not_yet_valid,
    /// One that is for servers only (RFC 5280 §4.2.1.12).
    for_servers,
    /// One that is for another name than that of the good one.
    other_name,
    /// One that the tool has to accept for a few seconds more: `TlsEnd::short_life`.
    short_lived
};

/// What a side does otherwise than usual when it opens a connection by TLS.
struct TlsManner {
    /// What a client shows.
    ClientCertificate certificate = ClientCertificate::good;
    /// The session that a client resumes, as `TlsEnd::session_of` has returned it. Empty: none.
    std::string session{};
    /// How many bytes a client's hello has at the least; it has an extension that nobody knows.
    std::size_t least_hello = 0;
    /// Sends a client's hello, in place of `Socket::write`.
    std::function<void(Socket&, std::string_view)> send_hello{};
    /// Has a client offer TLS 1.2 and nothing newer.
    bool only_1_2 = false;
};

/// How one of the harness's two ends speaks TLS with the tool: made by what `tls.hpp` declares, and
/// returned by `TestTunnel::client_tls` and `server_tls`, so that checks can try other ways to open
/// a connection. The library itself knows nothing of TLS but this.
class TlsEnd {
public:
    /// How long a short-lived certificate is valid, at the least.
    static constexpr std::chrono::seconds short_life{3};

    TlsEnd() = default;
    TlsEnd(const TlsEnd&) = delete;
    TlsEnd& operator=(const TlsEnd&) = delete;
    virtual ~TlsEnd() = default;

    /// Does what comes first on a connection. Returns whether a session was resumed. Waits, and
    /// throws, as `tls_connect` does.
    virtual bool open(Socket& socket, const TlsManner& manner) const = 0;

    /// Whether the tool passes TLS on, and only looks at the client's hello.
    [[nodiscard]] virtual bool is_passed_on() const noexcept { return false; }

    /// Whether the tool demands a certificate of the client, and this end has such ones to show.
    [[nodiscard]] virtual bool shows_certificates() const noexcept { return false; }
    /// Whether the tool demands, too, that such a certificate is for a certain name.
    [[nodiscard]] virtual bool shows_names() const noexcept { return false; }

    /// Whether this end offers TLS 1.2 beside 1.3, so that it can offer 1.2 alone.
    [[nodiscard]] virtual bool offers_1_2_and_1_3() const noexcept { return false; }

    /// Whether this end tells a stream that was cut short from one that has ended.
    [[nodiscard]] virtual bool tells_truncation() const noexcept { return true; }

    /// Returns the session of a connection that was opened, which can be resumed once; in TLS 1.3
    /// it comes with data, or before. Empty where there is none.
    [[nodiscard]] virtual std::string session_of(const Socket& /*socket*/) const { return {}; }
};

} // namespace test_tunnel
