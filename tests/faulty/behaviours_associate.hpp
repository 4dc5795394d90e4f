// The ways in which faulty_tunnel can treat the datagrams of a SOCKS5 client.

#pragma once

#include <array>
#include <string_view>

#include "behaviour.hpp"

inline constexpr std::string_view associating = "associate"; // SOCKS5 with UDP ASSOCIATE

// One line each, however long.
// clang-format off
inline constexpr auto associate_behaviours = std::to_array<Behaviour>({
    {"association-shares-port", "awkward", associating, "-", "relays all associations at one port, and knows them by where datagrams come from"},
    {"association-relay-zeros", "awkward", associating, "-", "tells a relay address of zeros"},
    {"association-limits-port", "awkward", associating, "-", "relays only what comes from the port that the client has told, if it has"},
    {"association-reassembles", "awkward", associating, "-", "puts fragments together"},
    {"association-late-first", "awkward", associating, "-", "relays the first datagram of an association 300 ms late"},
    {"association-short-session", "awkward", associating, "-", "sends from another port when nothing has come for 2 s"},
    {"association-answers-by-name", "awkward", associating, "-", "names in the header of an answer the target as the client has written it"},
    {"association-restricted", "awkward", associating, "-", "relays answers only from targets that the client has sent to"},
    {"association-late-end", "awkward", associating, "-", "relays for 100 ms when the association's connection has ended"},
    {"association-ends-on-nonsense", "awkward", associating, "-", "ends an association by which a malformed datagram has come"},
    {"association-one-at-a-time", "awkward", associating, "-", "serves one association at a time"},
    {"association-ends-silent", "awkward", associating, "associate.end", "ends an association that has been silent for 2.5 s"},
    {"association-socket-each", "awkward", associating, "-", "sends to each target from a port of its own, until the association ends"},

    {"association-everywhere", "trait", associating, "datagram.binding", "relays at all addresses, and answers from the one that it has told"},

    {"association-refused", "fault", associating, "datagram.hello", "has no UDP ASSOCIATE"},
    {"association-silent", "fault", associating, "datagram.hello", "relays no answer"},
    {"association-deaf", "fault", associating, "datagram.hello", "relays nothing to the server"},
    {"association-answers-from-fresh-port", "fault", associating, "datagram.hello", "answers from another port than it has told"},
    {"association-relay-wildcard", "fault", associating, "datagram.hello", "relays at all addresses, and answers from the one that the system chooses"},
    {"association-relay-wrong-port", "fault", associating, "datagram.hello", "tells another port than the one at which it relays"},
    {"association-header-reserved", "fault", associating, "datagram.hello", "has a reserved byte of answers other than 0"},
    {"association-header-fragment", "fault", associating, "datagram.hello", "calls each answer the first fragment of a longer one"},
    {"association-header-wrong-source", "fault", associating, "datagram.hello", "names itself in the header of answers"},
    {"association-header-zeros", "fault", associating, "datagram.hello", "names 0.0.0.0:0 in the header of answers"},
    {"association-header-wrong-type", "fault", associating, "datagram.hello", "has a type of address without a meaning in the header of answers"},
    {"association-header-port-reversed", "fault", associating, "datagram.hello", "has the bytes of the port reversed in the header of answers"},
    {"association-header-ipv4-for-6", "fault", associating, "datagram.hello", "names an IPv4 address in the header of answers that come by IPv6"},
    {"association-header-missing", "fault", associating, "datagram.hello", "sends answers without a header"},
    {"association-header-doubled", "fault", associating, "datagram.hello", "has the header of answers twice"},

    {"association-clips", "fault", associating, "datagram.sizes", "clips datagrams at 1,500 bytes, with their header"},
    {"association-ends-on-icmp", "fault", associating, "datagram.unreachable", "ends an association when ICMP tells that a target can't be reached"},

    {"association-one-target", "fault", associating, "associate.targets", "relays to an association's first target only"},
    {"association-keeps-target", "fault", associating, "associate.targets", "relays all that an association's client sends to its first target"},
    {"association-mixes-answers", "fault", associating, "associate.targets", "names in the header of an answer the target that was sent to last"},
    {"association-repeats", "fault", associating, "associate.targets", "loses the first datagram to each further target, and sends the next one every 50 ms"},
    {"association-dies-of-failed-send", "fault", associating, "associate.targets", "relays nothing more when something could not be sent"},
    {"association-knows-no-names", "fault", associating, "associate.targets", "resolves no names in the headers of datagrams (strict)"},

    {"association-closes-control", "fault", associating, "associate.end", "ends the connection of TCP as soon as it has granted an association"},
    {"association-outlives-control", "fault", associating, "associate.end", "relays on when the association's connection has ended"},
    {"association-answers-on", "fault", associating, "associate.end", "relays answers when the association's connection has ended"},
    {"association-outlives-reset", "fault", associating, "associate.end", "relays on when the association's connection was reset (strict)"},
    {"association-leaves-child", "fault", associating, "datagram.stop", "leaves a process behind on SIGTERM that has the relay's port (strict)"},
    {"association-ends-idle", "fault", associating, "associate.end", "ends an association that has been silent for 100 ms"},
    {"association-end-ends-all", "fault", associating, "associate.end", "ends all associations with the first one that ends"},

    {"association-serves-strangers", "fault", associating, "associate.strangers", "relays what comes from whomever, and sends the answers there"},
    {"association-first-comer-owns", "fault", associating, "associate.strangers", "relays for whoever sends first to an association's port"},
    {"association-zeros-are-anybody", "fault", associating, "associate.strangers", "relays for whoever sends first where the client has told zeros"},
    {"association-dies-of-other-family", "fault", associating, "associate.targets", "relays nothing more when it was to send to a target of the other family"},
    {"association-passes-strangers", "fault", associating, "associate.strangers", "gives the client what a stranger sends to the relay"},
    {"association-strangers-steal", "fault", associating, "associate.strangers", "drops what a stranger sends, but sends the next answers there"},
    {"association-strangers-end-it", "fault", associating, "associate.strangers", "ends an association to which a stranger has sent something"},

    {"association-forwards-fragments", "fault", associating, "associate.fragment", "relays each fragment as if it were whole"},
    {"association-forwards-last", "fault", associating, "associate.fragment", "relays the last fragment alone"},
    {"association-dies-of-fragment", "fault", associating, "associate.fragment", "relays nothing more when a fragment has come"},

    {"association-needs-address", "fault", associating, "associate.unknown_client", "relays nothing for a client that could not tell its address"},

    {"association-crashes-on-short", "fault", associating, "associate.invalid", "crashes on a datagram that ends within its header"},
    {"association-stops-on-nonsense", "fault", associating, "associate.invalid", "relays for nobody any more when a malformed datagram has come"},
    {"association-guesses-type", "fault", associating, "associate.invalid", "takes a type of address without a meaning for IPv4"},

    {"association-leaks", "fault", associating, "associate.growth", "keeps a descriptor of each association for ever (strict)"},
    {"association-leaks-targets", "fault", associating, "associate.growth", "keeps a descriptor for each target of an association for ever (strict)"},
    {"association-steals-answers", "fault", associating, "associate.apart", "sends all answers to the client that has sent something last"},
});
// clang-format on
