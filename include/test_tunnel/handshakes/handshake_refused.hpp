#pragma once

#include <string>
#include <utility>

#include "test_tunnel/base/error.hpp"

namespace test_tunnel {

/// The part of a handshake that a tool refused.
enum class RefusedStep {
    /// Every way to authenticate that was offered (SOCKS5's 0xFF).
    method,
    /// The user or the password, or to do anything without them.
    authentication,
    /// The connection that was asked for: the target is not allowed, or can't be reached.
    connect
};

/// A tool said no, and said it in due form: its reply was read to the end and is as its protocol
/// wants it. A reply that is not is an Unexpected of no further type, so that a test of a target
/// that can't be reached can tell the two apart:
///
///     CHECK_THROWS_AS(socks5_connect(client, closed_port), HandshakeRefused);
///
/// The text names the code as its protocol does, and quotes the reply.
class HandshakeRefused : public Unexpected {
public:
    /// `code` is as it was sent; the texts are those of an Unexpected.
    HandshakeRefused(RefusedStep step, int code, std::string expected, std::string actual)
        : Unexpected{std::move(expected), std::move(actual)}, step_{step}, code_{code} {}

    /// Returns what was refused.
    [[nodiscard]] RefusedStep step() const noexcept { return step_; }

    /// Returns the code as it was sent: 5 for SOCKS5's "connection refused", 91 for SOCKS4's only
    /// such code, 403 for HTTP's "Forbidden".
    [[nodiscard]] int code() const noexcept { return code_; }

private:
    RefusedStep step_;
    int code_;
};

} // namespace test_tunnel
