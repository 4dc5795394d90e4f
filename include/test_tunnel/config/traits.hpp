#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/config/per_direction.hpp"

namespace test_tunnel {

/// What a tool does when one side ends its direction of the stream (FIN) and the other side goes
/// on. Better values stand first: a tool may do better than it has declared.
enum class HalfClose {
    /// It carries the other direction for as long as that side likes.
    full,
    /// It carries the other direction for a moment only: half a second with socat's default `-t`.
    timed,
    /// It ends both directions.
    none
};

/// What one side sees when the other side resets its connection.
enum class ResetShows {
    /// A reset (RST).
    as_reset,
    /// The end of the stream (FIN), as if the other side had closed in good order.
    as_end
};

/// Which address a tool reports in its handshake as the one from which it connects onwards.
enum class ReportsSource {
    /// The address from which it really connects.
    actual,
    /// The server's address.
    destination,
    /// The address on which the tool listens.
    listener,
    /// The null address: 0.0.0.0 or ::
    null
};

/// How a client learns that nobody listens at the target.
enum class Refuses {
    /// The handshake says so, or the connection ends during the handshake.
    in_handshake,
    /// The handshake succeeds, or there is none, and then the client's connection is reset.
    by_reset,
    /// The handshake succeeds, or there is none, and then the client's stream ends (FIN).
    by_end
};

/// What a client may send without waiting for an answer to it.
enum class EarlyData {
    /// The whole handshake in one piece, and the first data behind it.
    with_handshake,
    /// The first data behind the handshake's request, before the reply to it.
    with_request,
    /// Nothing: what is sent too early is lost.
    none
};

/// What a tool does where correct tools differ. What is declared must hold; a tool that does better
/// than declared passes, and the report says so. What is not declared has a rule, which most
/// members name: a tool that differs from the rule is only reported at `Level::standard`, and fails
/// at `Level::strict`.
struct Traits {
    /// Whether it connects onwards from the address that the pair assigns to it
    /// (`svc_listen.clients[0]`). Unlike the others, this one is declared from the start: `true` is
    /// demanded at every level. With `std::nullopt` the rule is `true`.
    std::optional<bool> binds_source = true;

    /// Whether a side that closes ends the stream of the other side, too (FIN), which need not do
    /// anything for it. Demanded at every level, unless it is declared `false`: a stream that never
    /// ends is a fault in most tools.
    PerDirection<bool> passes_eof{};

    /// What becomes of the other direction when a side ends its own: `half_close.up` when the
    /// client does. The rule is `HalfClose::full`.
    PerDirection<HalfClose> half_close{};

    /// How a reset is passed on, and a stream of TLS that was cut short: by the end of TCP without
    /// close_notify. The rule is `ResetShows::as_reset`.
    PerDirection<ResetShows> reset{};

    /// Which address its handshake reports as its own. The rule is `ReportsSource::actual`. A tool
    /// whose handshake reports none has nothing to declare.
    std::optional<ReportsSource> reports_source{};

    /// Whether it serves a connection while another one is open. The rule is `true`.
    std::optional<bool> concurrent{};

    /// Whether it serves a further connection when the first one has ended; with `false` it exits
    /// then, with status 0. The rule is `true`.
    std::optional<bool> serves_again{};

    /// Whether it connects onwards only when the client has sent something after the handshake. The
    /// rule is `false`.
    std::optional<bool> speaks_first{};

    /// Whether it connects onwards as soon as a client has connected, before the client has sent
    /// anything. There is no rule: forwarders do, SOCKS servers don't. The rule is `false` where
    /// the client has to send something in the handshake first.
    std::optional<bool> connects_eagerly{};

    /// How the client learns that nobody listens at the target. There is no rule, but after a
    /// handshake that has reported success it is `Refuses::in_handshake`. Leave it undeclared where
    /// it is a matter of chance.
    std::optional<Refuses> refuses{};

    /// Whether one direction goes on while the other one waits for a slow reader:
    /// `independent_directions.up` while the server does not read. The rule is `true`.
    PerDirection<bool> independent_directions{};

    /// Whether it sends small writes on at once (TCP_NODELAY) and does not hold them back until an
    /// acknowledgement comes (Nagle's algorithm, RFC 896). The rule is `true`. Checked at
    /// `Level::strict`, and before that only where `true` is declared.
    std::optional<bool> no_delay{};

    /// After how much time without any data it ends a connection. The rule is that it never does.
    std::optional<Duration> idle_timeout{};

    /// Whether it listens on the address that it was given, and on no other. The rule is `true`.
    std::optional<bool> binds_listener{};

    /// Whether its open connections end with it on SIGTERM; with `false`, a child process may serve
    /// them to their end. The rule is `true`.
    std::optional<bool> stops_connections{};

    /// Whether what is under way on its connections when it gets SIGTERM still arrives, with all
    /// that a side has written by then and that the other one has not read. There is no rule: most
    /// tools end at once. Checked at `Level::strict` only.
    std::optional<bool> drains{};

    /// Whether connections that are open when it reloads go on: here, or in a process that stays
    /// until they end. The rule is `true`. Checked at `Level::strict`, of a tool that says how it
    /// reloads (`TestTunnel::reload`).
    std::optional<bool> keeps_on_reload{};

    /// How many bytes it may take in one direction that nobody has read yet: they are in its own
    /// buffers and in the system's. The rule is 64 MiB, or more where the system's own
    /// buffers may hold more. Less than that is demanded at `Level::strict` only.
    std::optional<std::size_t> buffer_size{};

    /// With which statuses it may exit after SIGTERM. To be killed by SIGTERM is always allowed,
    /// and so is status 0, which the report tells where it is not among these.
    /// An empty list declares nothing: the rule is 0, 15 or 143.
    std::vector<int> exit_statuses{};

    /// Whether it keeps a processor busy from its start on, whatever happens, to be faster (busy
    /// polling). The rule is `false`. That it does so only since something has happened, a client
    /// that has left, fails at every level.
    std::optional<bool> busy_polls{};

    /// Whether it can be started again at once where it has just been, though connections of the
    /// last one are still remembered there by the system (TIME_WAIT): what listens does so with
    /// SO_REUSEADDR. The rule is `true`.
    std::optional<bool> restarts_at_once{};

    /// Whether it serves nobody while nobody reads what it prints, and its outputs are full. The
    /// rule is `false`.
    std::optional<bool> blocks_on_output{};

    /// Whether it asks the ends of silent connections, from time to time, whether they are still
    /// there (SO_KEEPALIVE), on its connections to clients and on those to servers. One that does
    /// not keeps a connection for ever whose other end has vanished. There is no rule.
    std::optional<bool> keep_alive{};

    // --- For a tool that carries datagrams (`TestTunnel::transports`)

    /// The most bytes that it carries in one datagram; what is larger is lost whole. The rule is
    /// 65507, as much as UDP carries over IPv4.
    std::optional<std::size_t> datagram_size{};

    /// Whether it carries datagrams without a byte. The rule is `true`.
    std::optional<bool> empty_datagrams{};

    /// Whether the server may answer one datagram by several. The rule is `true`.
    std::optional<bool> several_answers{};

    /// Whether all datagrams of one client come to the server from one endpoint, so that it takes
    /// them for one client's. The rule is `true`.
    std::optional<bool> one_source{};

    /// Whether answers come from the endpoint to which the client has sent. The rule is `true`.
    std::optional<bool> answers_from_listener{};

    /// After how much time without a datagram it forgets a flow, and closes what it had open for
    /// it. There is no rule, but a second is demanded at `Level::strict`.
    std::optional<Duration> flow_timeout{};

    // --- For a tool that comes in halves

    /// How a side learns that the half of the tool which is farther from it has died in the middle
    /// of a stream: `half_death.up` is the server. The rule is `ResetShows::as_reset`, since what
    /// was cut short must not look complete; one of which the halves speak plain TCP can't know.
    /// Checked at `Level::strict` only.
    PerDirection<ResetShows> half_death{};

    /// How long it may take, when one of its halves has died and been started again, until clients
    /// are served again and those that were connected have been told. The rule is 10 s. Checked at
    /// `Level::strict` only.
    std::optional<Duration> comes_back_within{};

    // --- For a tool that is told a name (`TestTunnel::target_name`), or asked by one

    /// Whether it goes to the new address of a name that has got another one, in a few seconds at
    /// the latest; with `false` it goes to the old one until it is started again. The rule is
    /// `true`. Checked at `Level::strict` only.
    std::optional<bool> resolves_again{};

    /// Whether it tries the other addresses of a name, too, where one refuses. The rule is `true`.
    /// Checked at `Level::strict` only.
    std::optional<bool> tries_addresses{};

    // --- For a tool that expects a PROXY header (`TestTunnel::client_header`)

    /// Whether it wants the header to arrive in one segment. The rule is `false`; the protocol only
    /// recommends that, and promises that proxies write the header at once. Checked at
    /// `Level::strict` only.
    std::optional<bool> header_in_one_segment{};

    /// How many bytes a header may have, with all that follows the addresses in version 2. The rule
    /// is 4 KiB, since a certificate may be among that. Checked at `Level::strict` only.
    std::optional<std::size_t> longest_header{};

    /// Whether it serves only clients that send a header. The rule is `true`: one that guesses
    /// whether there is a header lets any client say who it is (§2 of proxy-protocol.txt). Checked
    /// at `Level::strict` only.
    std::optional<bool> requires_header{};

    /// Whether it serves clients whose header says, in version 1, that they are unknown. The rule
    /// is `true`. Less than that is a failure at `Level::strict` only.
    std::optional<bool> takes_unknown{};

    /// Whether the header that it sends to the server tells the client of which the header that it
    /// has got tells. With `false`, it tells of the proxy from which the connection comes. The rule
    /// is `true`.
    std::optional<bool> passes_client_on{};

    // --- For a tool that declares its protocol (`TestTunnel::protocol`)

    /// Whether it serves a request that arrives in several pieces: TCP may cut it anywhere. The
    /// rule is `true`. Checked at `Level::strict` only.
    std::optional<bool> takes_pieces{};

    /// What a client may send without waiting for an answer. The rule is
    /// `EarlyData::with_handshake`, though no RFC promises that for SOCKS. Checked at
    /// `Level::strict` only.
    std::optional<EarlyData> early_data{};

    /// Whether it can be asked for a target by name. The rule is `true`. Checked at `Level::strict`
    /// only.
    std::optional<bool> resolves_names{};

    /// Whether it lets a client be called by one peer, by the SOCKS5 request BIND (RFC 1928 §4).
    /// There is no rule: most tools don't. Checked where `true` is declared, and then demanded.
    std::optional<bool> serves_bind{};

    /// Whether its reply of success to CONNECT has a Content-Length or a Transfer-Encoding, which
    /// it must not (RFC 9110 §9.3.6), and which clients ignore. The rule is `false`.
    std::optional<bool> announces_content{};

    /// Which requests it does not refuse, though it ought to: it serves them, does not answer, or
    /// sends an answer that is not well-formed. The failures of the checks `handshake.*` tell the
    /// names, such as "socks5.request.version"; a run throws InvalidConfig for any other name. The
    /// rule is that there is no such request. Most of them are tried at `Level::strict` only.
    std::vector<std::string> accepts{};

    /// Whether it drops the datagrams of strangers: those that others than the server send to where
    /// it forwards a client's datagrams from, and, of a SOCKS5 association, those that do not come
    /// from its client's address (RFC 1928 §7). Demanded at every level, unless it is declared
    /// `false`. The rule is `true`.
    std::optional<bool> drops_strangers{};

    /// Whether a SOCKS5 association ends when the connection has ended on which it was asked for
    /// (RFC 1928 §6). Demanded at every level, unless it is declared `false`. The rule is `true`.
    std::optional<bool> ends_associations{};
};

} // namespace test_tunnel
