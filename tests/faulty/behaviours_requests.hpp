// The ways in which faulty_tunnel can treat what clients ask for: targets, refusals, spellings.

#pragma once

#include <array>

#include "behaviour.hpp"

// One line each, however long.
// clang-format off
inline constexpr auto request_behaviours = std::to_array<Behaviour>({
    {"serves-its-target-only", "awkward", any_protocol, "handshake.targets", "refuses whoever asks for another target than its own (strict)"},

    {"keeps-first-target", "fault", any_protocol, "handshake.targets", "connects everybody to the target of its first client"},
    {"keeps-target-by-address", "fault", socks5, "handshake.targets", "connects everybody who asks for an address to the port that was first asked for there"},
    {"keeps-address-by-port", "fault", http, "handshake.targets", "connects everybody who asks for a port to the address that was first asked for with it"},
    {"keeps-target-by-name", "fault", asking, "handshake.targets", "connects everybody who asks for a name to the port that was first asked for with it (strict)"},
    {"connects-to-last-target", "fault", socks5, "handshake.targets", "connects a client to the target of the one before"},
    {"shares-target-while-open", "fault", http, "handshake.targets", "connects everybody to one target as long as a connection to it is open"},
    {"reads-signed-ports", "fault", any_protocol, "handshake.targets", "takes a port above 32,767 for a negative number"},
    {"takes-zero-in-port-for-end", "fault", socks5, "handshake.targets", "refuses ports whose last byte is zero"},
    {"reads-four-digits", "fault", http, "handshake.targets", "reads four digits of a port"},
    {"refuses-second-target", "fault", socks5, "handshake.targets", "refuses all targets but that of its first client"},

    {"asks-again", "awkward", "connect-password", "handshake.retry", "asks for user and password by a 407 with a content, and serves the retry (strict)"},
    {"asks-again-in-chunks", "awkward", "connect-password", "handshake.retry", "asks for user and password by a 407 in chunks, and serves the retry (strict)"},
    {"asks-again-in-1.0", "awkward", "connect-password", "handshake.retry", "asks for user and password in HTTP/1.0 that keeps the connection, and serves the retry (strict)"},
    {"ends-late-after-refusal", "awkward", socks5, "handshake.after_refusal", "ends the connection 2 s after it has told that the target can't be reached (strict)"},
    {"knows-no-literals", "awkward", socks5, "handshake.spelling", "does not take an address in text for a name (strict)"},

    {"announces-length", "trait", http, "handshake.success", "replies 200 with a Content-Length"},
    {"announces-chunks", "fault", http, "handshake.success", "replies 200 with a Transfer-Encoding (strict)"},
    {"ends-instead-of-refusing", "trait", socks, "handshake.after_refusal", "resets the client where the target can't be reached, without a reply"},
    {"hides-wrong-password", "trait", "socks5-password", "handshake.after_refusal", "ends the connection without a reply where the password is wrong"},

    {"serves-after-wrong-password", "fault", "socks5-password", "handshake.after_refusal", "tells that the password is wrong, and serves the client that goes on"},
    {"serves-after-no-method", "fault", "socks5,socks5-password", "handshake.after_refusal", "tells that no method will do, and serves the client that goes on"},
    {"opens-after-407", "fault", "connect-password", "handshake.after_refusal", "replies 407, and connects the client nevertheless"},
    {"serves-second-try", "fault", "connect-password", "handshake.after_refusal", "asks for user and password once, and serves whoever goes on without them"},
    {"connects-after-refusal", "fault", asking, "handshake.after_refusal", "tells that the target can't be reached, and connects the client when it can"},
    {"stays-open-after-wrong-password", "fault", "socks5-password", "handshake.after_refusal", "leaves the connection open when it has told that the password is wrong (strict)"},
    {"stays-open-after-refusal", "fault", "socks4", "handshake.after_refusal", "leaves the connection open when it has told that the target can't be reached (strict)"},

    {"cuts-password-at-colon", "fault", "connect-password", "handshake.password", "takes a colon for the end of a password"},
    {"strips-high-bits", "fault", with_password, "handshake.password", "looks at seven bits of each byte of a password"},
    {"cuts-password-at-nul", "trait", with_password, "handshake.limits", "takes a NUL for the end of a password"},
    {"needs-case-of-fields", "fault", "connect,connect-password", "handshake.spelling", "knows fields by their names in the usual case only (strict)"},
    {"knows-32-fields", "fault", "connect,connect-password", "handshake.spelling", "passes over all fields but the first 32 (strict)"},
    {"needs-case-of-scheme", "fault", "connect-password", "handshake.spelling", "knows Basic in this case only (strict)"},
    {"needs-one-space", "fault", "connect-password", "handshake.spelling", "takes a second space behind the scheme for the credentials (strict)"},
    {"looks-at-first-method", "fault", "socks5,socks5-password", "handshake.spelling", "looks at the first method that is offered only (strict)"},
    {"ends-instead-of-retry", "fault", "connect-password", "handshake.retry", "replies 407 and ends the connection without having announced that (strict)"},
    {"sends-half-a-content", "fault", "connect-password", "handshake.retry", "replies 407 with a half of the content that it announces (strict)"},
    {"refuses-retry", "fault", "connect-password", "handshake.retry", "replies 407 to the retry on the same connection, whatever it says (strict)"},

    {"serves-bind", "awkward", "socks5-bind", "handshake.bind", "lets clients be called by the peer that they ask for (strict)"},
    {"bind-ends-by-stranger", "awkward", "socks5-bind", "handshake.bind", "tells a client that somebody else was refused who has called, and ends (strict)"},
    {"bind-tells-wrong-place", "fault", "socks5-bind", "handshake.bind", "tells another port than the one at which the peer can call (strict)"},
    {"bind-tells-no-place", "fault", "socks5-bind", "handshake.bind", "tells a null address where the peer can call (strict)"},
    {"bind-replies-once", "fault", "socks5-bind", "handshake.bind", "does not tell when the peer has called (strict)"},
    {"bind-tells-own-address", "fault", "socks5-bind", "handshake.bind", "tells its own address as the peer's (strict)"},
    {"bind-lets-anybody-call", "fault", "socks5-bind", "handshake.bind", "lets anybody call (strict)"},
    {"bind-outlives-client", "fault", "socks5-bind", "handshake.bind", "waits for the peer when the client has gone (strict)"},
    {"bind-listens-on", "fault", "socks5-bind", "handshake.bind", "listens on when the peer has called (strict)"},
});
// clang-format on
