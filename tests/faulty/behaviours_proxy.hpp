// The ways in which faulty_tunnel can treat the PROXY header that it expects of its clients.

#pragma once

#include <array>

#include "behaviour.hpp"

inline constexpr std::string_view header_v1 = "proxy-v1";
inline constexpr std::string_view header_v2 = "proxy-v2";
inline constexpr std::string_view any_header = "proxy-v1,proxy-v2";
inline constexpr std::string_view header_both_ways =
    "proxy-both"; // it sends one to the server, too

// One line each, however long.
// clang-format off
inline constexpr auto proxy_behaviours = std::to_array<Behaviour>({
    {"header-either-version", "awkward", any_header, "-", "takes PROXY headers of both versions"},
    {"header-late-for-other", "awkward", header_v1, "-", "takes PROXY headers of both versions, and connects onwards 400 ms later for version 2"},
    {"header-plain", "awkward", "proxy-v1,proxy-v2,proxy-both,proxy-v1-via-socks4,proxy-both-via-socks5", "proxy.*", "takes PROXY headers of one version (strict)"},
    {"header-any-version-in", "awkward", "proxy-v1,proxy-v2,proxy-both", "proxy.*", "takes PROXY headers of both versions (strict)"},
    {"header-refuses-late", "awkward", any_header, "proxy.*", "ends whoever sends no PROXY header 300 ms later (strict)"},
    {"header-refuses-politely", "awkward", any_header, "proxy.*", "ends whoever sends no PROXY header, and reads on until that one has left (strict)"},
    {"header-says-why", "awkward", any_header, "proxy.*", "tells whoever sends no PROXY header why it is ended (strict)"},
    {"header-dials-first", "awkward", "proxy-v1,proxy-v2,proxy-v1-via-connect", "proxy.invalid", "connects onwards when a client's first byte has come, before it knows the PROXY header (strict)"},
    {"header-peeks", "awkward", any_header, "proxy.*", "looks at what has come of a PROXY header until it is whole, and then reads it (strict)"},
    {"header-verifies-checksum", "awkward", header_v2, "proxy.*", "refuses a PROXY header with a wrong checksum (strict)"},
    {"header-serves-unix", "awkward", header_v2, "proxy.local", "serves those whose PROXY header tells of a UNIX socket"},
    {"header-refuses-unspecified", "awkward", header_v2, "proxy.local", "refuses PROXY headers for an unspecified family (strict)"},

    {"header-in-one-segment", "trait", any_header, "proxy.cut", "takes a PROXY header only where it comes in one segment"},
    {"header-limit-107", "trait", header_v2, "proxy.extensions", "refuses PROXY headers of more than 107 bytes"},
    {"header-optional", "trait", any_header, "proxy.invalid", "serves clients that send no PROXY header"},
    {"header-refuses-unknown", "trait", header_v1, "proxy.local", "refuses clients of which the PROXY header says that they are unknown"},
    {"header-tells-own-peer", "trait", header_both_ways, "proxy.passed_on", "tells the server of the proxy from which a connection comes"},

    {"header-loses-glued", "fault", any_header, "proxy.glued", "loses what comes in one segment with the PROXY header"},
    {"header-loses-glued-beyond-4k", "fault", any_header, "proxy.glued", "reads 4 KiB for a PROXY header, and passes on at most 1 KiB of what was behind it"},
    {"header-repeats-glued", "fault", header_v1, "proxy.glued", "passes twice on what comes in one segment with the PROXY header"},

    {"header-refuses-local", "fault", header_v2, "proxy.local", "refuses a LOCAL header"},
    {"header-hangs-on-local", "fault", header_v2, "proxy.local", "serves nobody behind a LOCAL header"},
    {"header-leaks-local", "fault", header_v2, "proxy.local", "passes the addresses of a LOCAL header on"},
    {"header-leaks-local-values", "fault", header_v2, "proxy.local", "passes what follows the addresses of a LOCAL header on"},
    {"header-leaks-unspecified", "fault", header_v2, "proxy.local", "passes the addresses of an unspecified family on"},
    {"header-wants-addresses", "fault", header_v2, "proxy.local", "refuses a LOCAL header without addresses"},
    {"header-leaks-unknown", "fault", header_v1, "proxy.local", "passes on what follows UNKNOWN"},
    {"header-unknown-alone", "fault", header_v1, "proxy.local", "serves nobody where anything follows UNKNOWN"},

    {"header-hangs-on-pieces", "fault", any_header, "proxy.cut", "waits for ever where a PROXY header comes in pieces (strict)"},
    {"header-leaks-cut-end", "fault", any_header, "proxy.cut", "passes the last byte of a PROXY header on that comes in pieces (strict)"},

    {"header-leaks-unix", "fault", header_v2, "proxy.local", "passes on most of what tells of a UNIX socket"},
    {"header-leaks-values", "fault", header_v2, "proxy.extensions", "passes on what follows the addresses of a PROXY header (strict)"},
    {"header-leaks-beyond-1k", "fault", header_v2, "proxy.extensions", "passes on what a PROXY header has beyond 1 KiB (strict)"},
    {"header-hangs-on-long", "fault", header_v2, "proxy.extensions", "waits for ever where a PROXY header has more than 1,500 bytes (strict)"},
    {"header-limit-512", "fault", header_v2, "proxy.extensions", "refuses PROXY headers of more than 512 bytes, and has not said so (strict)"},
    {"header-limit-1500", "fault", header_v2, "proxy.extensions", "refuses PROXY headers of more than 1,500 bytes, and has not said so (strict)"},
    {"header-miscounts-checksum", "fault", header_v2, "proxy.extensions", "refuses PROXY headers with a right checksum (strict)"},

    {"header-eats-garbage", "fault", any_header, "proxy.invalid", "drops what it takes for a wrong PROXY header, and serves the client (strict)"},
    {"header-hangs-on-garbage", "fault", any_header, "proxy.invalid", "never ends whoever sends no PROXY header (strict)"},
    {"header-stops-after-garbage", "fault", any_header, "proxy.invalid", "accepts nobody any more when somebody has sent no PROXY header (strict)"},
    {"header-leaks-at-garbage", "fault", any_header, "resources.growth", "leaves a descriptor open where somebody sends no PROXY header (strict)"},
    {"header-takes-spaces", "fault", header_v1, "proxy.invalid", "takes any number of spaces between two words (strict)"},
    {"header-takes-more-words", "fault", header_v1, "proxy.invalid", "passes over words that should not be there (strict)"},
    {"header-crashes-on-garbage", "fault", any_header, "proxy.invalid", "crashes when somebody sends no PROXY header (strict)"},
    {"header-any-command", "fault", header_v2, "proxy.invalid", "takes PROXY headers with a command that nobody knows (strict)"},
    {"header-any-signature", "fault", header_v2, "proxy.invalid", "looks at the first byte only of the signature of a PROXY header (strict)"},
    {"header-any-length", "fault", header_v2, "proxy.invalid", "takes PROXY headers that are shorter than their addresses (strict)"},
    {"header-any-words", "fault", header_v1, "proxy.invalid", "does not look at the words of a PROXY header (strict)"},
    {"header-bare-lf", "fault", header_v1, "proxy.invalid", "takes LF for the end of a PROXY header (strict)"},
    {"header-endless-line", "fault", header_v1, "proxy.invalid", "waits for the end of a PROXY header of any length (strict)"},

    {"header-flushes-late", "fault", any_header, "proxy.invalid", "ends whoever sends no PROXY header, and passes on 5 ms later what that one has sent (strict)"},
    {"header-flushes-half-late", "fault", any_header, "proxy.truncated", "ends whoever leaves before the PROXY header is whole, and passes on 5 ms later what that one has sent (strict)"},
    {"header-serves-half", "fault", any_header, "proxy.truncated", "takes the half of a PROXY header for data (strict)"},
    {"header-hangs-on-half", "fault", any_header, "proxy.truncated", "never ends whoever leaves before the PROXY header is whole (strict)"},
    {"header-stops-after-half", "fault", any_header, "proxy.truncated", "accepts nobody any more when somebody has left before the PROXY header was whole (strict)"},
    {"header-blocks-others", "fault", any_header, "proxy.truncated", "accepts nobody while it waits for the rest of a PROXY header (strict)"},

    {"header-tells-other-port", "fault", header_both_ways, "proxy.passed_on", "tells the server of another port than the client's"},
    {"header-tells-latest-client", "fault", header_both_ways, "connections.burst", "tells the server of the client that came last, where several come at once"},
    {"header-tells-last-client", "fault", header_both_ways, "proxy.passed_on", "tells the server of its last client, and not of this one"},
    {"header-same-family-only", "fault", header_v1, "proxy.passed_on", "refuses a PROXY header that tells of a client of another family than its own"},
    {"header-tells-ipv4-only", "fault", header_both_ways, "proxy.passed_on", "tells the server that a client elsewhere is unknown where its address is IPv6"},
});
// clang-format on
