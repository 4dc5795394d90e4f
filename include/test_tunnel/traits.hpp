#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "deadline.hpp"

namespace test_tunnel {

/// What comes of it when one side ends its direction of the stream (FIN) while the other goes on.
enum class HalfClose {
    /// The other direction goes on as long as it likes.
    full,
    /// The other direction goes on, but only for a moment: half a second with socat's default `-t`.
    timed,
    /// Both directions end.
    none
};

/// What the one side sees of it when the other resets its connection.
enum class ResetShows {
    /// A reset (RST).
    as_reset,
    /// The end of the stream (FIN), as if all had been said.
    as_end
};

/// Which address the handshake tells as the one from which the tool connects onwards.
enum class ReportsSource {
    /// The true one.
    actual,
    /// The server's.
    destination,
    /// The one on which the tool listens.
    listener,
    /// 0.0.0.0 or ::
    null
};

/// How the client learns that the server does not listen.
enum class Refuses {
    /// The handshake says so, or ends there.
    in_handshake,
    /// The handshake succeeds, or there is none, and then the connection is reset.
    by_reset,
    /// The same, and then the stream ends.
    by_end
};

/// How much of what it has to say a client may send without waiting for an answer.
enum class EarlyData {
    /// All of the handshake in one piece, and the first data behind it.
    with_handshake,
    /// The first data behind the request, before the reply to it.
    with_request,
    /// Nothing: what is sent too early gets lost.
    none
};

/// What a tool does where correct tools differ. Each may be declared; a declared one must then
/// hold, though a tool that does better is only reported. What is not declared is observed and
/// reported at `Level::standard`; at `Level::strict` it must be declared where it differs from what
/// the first line says.
struct Traits {
    /// It makes its outgoing connections from the address that the pair assigns to it
    /// (`svc_listen.clients[0]`). Demanded unless declared otherwise; `std::nullopt` only observes.
    std::optional<bool> binds_source = true;

    /// When a side closes, the other one is told (FIN), without having to do anything for it.
    /// Demanded unless declared false: a stream that never ends is a fault in most tools.
    std::optional<bool> passes_eof{};

    /// A side may end its direction of the stream while the other goes on.
    std::optional<HalfClose> half_close{};

    /// A reset is passed on as a reset.
    std::optional<ResetShows> reset{};

    /// The address that its handshake tells is the true one. Where the handshake tells none,
    /// there is nothing to declare.
    std::optional<ReportsSource> reports_source{};

    /// It serves a connection while another one is open.
    std::optional<bool> concurrent{};

    /// It serves a further connection when the first one has ended; false: it ends then, with 0.
    std::optional<bool> serves_again{};

    /// It connects onwards only when the client has sent something after the handshake; false is
    /// the rule.
    std::optional<bool> speaks_first{};

    /// It connects onwards as soon as a client has connected, without a word from it. There is no
    /// rule: forwarders do, SOCKS servers don't.
    std::optional<bool> connects_eagerly{};

    /// How the client learns that the server can't be reached. There is no rule; leave it
    /// undeclared where that is a matter of chance.
    std::optional<Refuses> refuses{};

    /// While one direction waits for a slow reader, the other one goes on.
    std::optional<bool> independent_directions{};

    /// Small writes are sent on at once (TCP_NODELAY), not held back for an acknowledgement
    /// (Nagle's algorithm, RFC 896). Looked at at `Level::strict` only.
    std::optional<bool> no_delay{};

    /// It ends a connection on which nothing was sent for so long. The rule is that it never does.
    std::optional<Duration> idle_timeout{};

    /// It listens on the address that it was given and on no other.
    std::optional<bool> binds_listener{};

    /// On SIGTERM its open connections end with it; false: a child serves them to their end.
    std::optional<bool> stops_connections{};

    /// How many bytes may be under way in one direction, written and not yet read: its own buffers
    /// and the system's. At `Level::strict`; the default: 64 MiB.
    std::optional<std::size_t> buffer_size{};

    /// With which statuses it may exit after SIGTERM; to die of SIGTERM is always fine. Empty: not
    /// declared; then 0, 15 and 143 are the rule.
    std::vector<int> exit_statuses{};

    // --- Of a tool that declares its protocol (`TestTunnel::protocol`)

    /// A request may arrive in several pieces, as TCP is free to cut it up. Looked at at
    /// `Level::strict`.
    std::optional<bool> takes_pieces{};

    /// How much a client may send without waiting for an answer. No RFC promises it for SOCKS.
    /// Looked at at `Level::strict`.
    std::optional<EarlyData> early_data{};

    /// It can be asked for a target by name. Looked at at `Level::strict`.
    std::optional<bool> resolves_names{};

    /// Requests that it ought to refuse, and does not: it serves them, leaves their client without
    /// an answer, or answers out of form. By the names that a failure of a check `handshake.*`
    /// tells, such as "socks5.request.version"; any other name is an InvalidConfig.
    std::vector<std::string> accepts{};
};

} // namespace test_tunnel
