// The ways in which faulty_tunnel can be the client of an upstream proxy.

#pragma once

#include <array>

#include "behaviour.hpp"

// One line each, however long. The names of those that are about IPv6 are of odd lengths:
// `detection` tests them on a pair of which the target is of that family.
// clang-format off
inline constexpr std::string_view via = "via-socks5,via-connect";
inline constexpr std::string_view via_any = "via-socks5,via-connect,via-socks4";
inline constexpr std::string_view via_all = "via-socks5,via-connect,via-socks4,via-socks5-password,via-connect-password,connect-via-connect,socks5-via-socks5,socks5-via-connect";
inline constexpr std::string_view via_with_handshake = "connect-via-connect,socks5-via-socks5,socks5-via-connect"; // with the client, too
inline constexpr std::string_view via_password = "via-socks5-password,via-connect-password";
inline constexpr auto upstream_behaviours = std::to_array<Behaviour>({
    {"asks-upstream", "awkward", via_all, "upstream.*", "asks its upstream proxy, and is right in everything"},
    {"asks-plainly", "awkward", via_all, "upstream.*", "asks its upstream proxy, and is right in everything (strict)"},
    {"success-before-asking", "awkward", via_with_handshake, "upstream.*", "tells its client success before it asks its upstream proxy (strict)"},
    {"refuses-slowly", "awkward", via_with_handshake, "upstream.*", "takes no reply of its upstream proxy that has a name or an interim answer, and ends its client 1.2 s later (strict)"},
    {"knows-no-interim-answers", "awkward", "via-connect", "upstream.reply", "takes an interim answer of its upstream proxy for a refusal (strict)"},
    {"passes-bare-407-on", "awkward", "connect-via-connect", "upstream.refusals", "passes its upstream proxy's 407 on to its client without Proxy-Authenticate (strict)"},
    {"asks-in-single-bytes", "awkward", via, "upstream.*", "asks its upstream proxy byte by byte"},
    {"asks-by-literal", "awkward", "via-socks5", "upstream.*", "asks its upstream proxy for an address in the place of a name"},
    {"offers-all-methods", "awkward", "via-socks5", "upstream.*", "offers its upstream proxy methods that nobody asked for"},
    {"asks-in-http-1.0", "awkward", "via-connect", "upstream.*", "asks its upstream proxy in HTTP/1.0, without Host"},
    {"knows-addresses-only", "awkward", "via-socks5", "upstream.reply", "takes no reply of its upstream proxy that has a name (strict)"},
    {"waits-for-challenge", "awkward", "via-connect-password", "upstream.*", "brings its credentials when its upstream proxy has asked for them"},

    {"goes-past-on-ipv6", "fault", via, "hello", "connects to an IPv6 target itself, past its upstream proxy"},
    {"no-brackets", "fault", "via-connect", "hello", "asks its upstream proxy for an IPv6 address without brackets"},
    {"asks-wrong-port", "fault", "via-socks5", "hello", "asks its upstream proxy for another port"},
    {"asks-wrong-port-first", "fault", "socks5-via-socks5,socks5-via-connect,via-connect-password", "hello", "asks its upstream proxy for another port, and then, on another connection, for the right one"},
    {"calls-target", "fault", via, "hello", "sends a datagram to the target itself, from a socket that it closes at once"},
    {"asks-for-bind", "fault", "via-socks5", "hello", "asks its upstream proxy to wait for a connection (BIND)"},
    {"forgets-password", "fault", via_password, "hello", "brings its upstream proxy no credentials"},
    {"goes-past-when-refused", "fault", via_any, "upstream.only", "connects to the target itself when its upstream proxy refuses"},
    {"goes-past-without-upstream", "fault", via, "upstream.only", "connects to the target itself when its upstream proxy can't be reached"},
    {"sounds-target-out", "fault", via, "upstream.only", "has a UDP socket that is connected to the target itself"},
    {"loses-glued-bytes", "fault", via, "upstream.glued", "passes on no more than 64 bytes of what comes together with its upstream proxy's reply"},
    {"one-segment-reply", "fault", via_any, "upstream.reply", "takes what it reads at once for its upstream proxy's whole reply"},
    {"knows-ipv4-replies", "fault", "via-socks5", "upstream.reply", "takes each reply of its upstream proxy for one with an IPv4 address"},
    {"knows-http-1.1-only", "fault", "via-connect", "upstream.reply", "takes no reply of its upstream proxy in HTTP/1.0"},
    {"hangs-when-upstream-refuses", "fault", via_any, "upstream.refusals", "leaves its client waiting when its upstream proxy refuses"},
    {"reads-content-of-grant", "fault", "via-connect", "upstream.reply", "takes what its upstream proxy's grant announces for content, and drops it (strict)"},
    {"reads-chunks-of-grant", "fault", "via-connect", "upstream.reply", "takes what comes behind its upstream proxy's grant for content in chunks, where that says so (strict)"},
    {"takes-interim-for-grant", "fault", "via-connect", "upstream.reply", "takes an interim answer of its upstream proxy for a grant (strict)"},
    {"refuses-by-half", "fault", via_with_handshake, "upstream.refusals", "sends its client the first two bytes of its reply only when its upstream proxy refuses"},
    {"tells-words-after-refusal", "fault", "socks5-via-connect", "upstream.refusals", "sends its client what its upstream proxy says, behind its own reply, when it refuses"},
    {"succeeds-when-upstream-ends", "fault", via_with_handshake, "upstream.silent", "tells its client success when its upstream proxy has ended without an answer (strict)"},
    {"tells-upstreams-words", "fault", "via-socks5,via-connect,socks5-via-connect", "upstream.refusals", "sends its client what its upstream proxy says when it refuses"},
    {"takes-all-for-grant", "fault", "via-connect", "upstream.refusals", "goes on as if its upstream proxy had granted what it refuses"},
    {"stops-after-upstream-refusal", "fault", via, "upstream.refusals", "serves nobody when its upstream proxy has refused"},
    {"takes-content-for-answer", "fault", "via-connect-password", "upstream.authentication", "takes the content of its upstream proxy's 407 for the next answer"},
    {"knows-no-chunks", "fault", "via-connect-password", "upstream.authentication", "takes the chunks of its upstream proxy's 407 for the next answer (strict)"},
    {"asks-for-one-at-a-time", "fault", via, "upstream.silent", "asks its upstream proxy for nobody else while that has not answered (strict)"},
    {"hangs-on-half-reply", "fault", via_any, "upstream.broken", "leaves its client waiting when its upstream proxy ends in the middle of its reply (strict)"},
});
// clang-format on
