#pragma once

// Of which faults the failure texts of the checks of datagrams are agreed on.

#include <vector>

#include "failure_case.hpp"

inline std::vector<Case> datagram_cases() {
    constexpr auto strict = test_tunnel::Level::strict;
    return {
        {.check = "datagram.hello", .behaviour = "udp-adds-header", .mode = "udp"},
        {.check = "datagram.source",
         .behaviour = "udp-new-source",
         .mode = "udp",
         .level = strict,
         .trait = "one_source"},
        {.check = "datagram.binding",
         .behaviour = "udp-wildcard",
         .mode = "udp",
         .level = strict,
         .trait = "binds_listener"},
        {.check = "datagram.boundaries", .behaviour = "udp-splits-1000", .mode = "udp"},
        {.check = "datagram.sizes", .behaviour = "udp-clips-8192", .mode = "udp"},
        {.check = "datagram.bytes", .behaviour = "udp-stops-at-zero", .mode = "udp"},
        {.check = "datagram.answers",
         .behaviour = "udp-one-answer",
         .mode = "udp",
         .level = strict,
         .trait = "several_answers"},
        // Which of the clients is the first to show it is a matter of time.
        {.check = "datagram.clients",
         .behaviour = "udp-last-client",
         .mode = "udp",
         .varying = {{"(\n[0-9a-f]{8}  [^\n]*)+", "\nHEXDUMP"}}},
        {.check = "datagram.reuse", .behaviour = "udp-by-port", .mode = "udp"},
        {.check = "datagram.strangers", .behaviour = "udp-takes-anybody", .mode = "udp"},
        {.check = "datagram.unreachable", .behaviour = "udp-empty-when-refused", .mode = "udp"},
        // How it shows is a matter of time.
        {.check = "datagram.beside_tcp",
         .behaviour = "udp-ends-tcp",
         .mode = "tcp-and-udp",
         .varying = {{"step: [^]*", "step: STEP\n"}}},
        {.check = "datagram.silence",
         .behaviour = "udp-keeps-alive",
         .mode = "udp",
         .varying = {{"step: [^]*actual", "step: STEP\nactual"}}},
        {.check = "datagram.growth",
         .behaviour = "udp-leaks-descriptors",
         .mode = "udp",
         .level = strict,
         .varying = {{"([0-9]+, )+[0-9]+", "N, N"}, {"[0-9]+ clients", "N clients"}}},
        {.check = "datagram.flood",
         .behaviour = "udp-doubles-in-flood",
         .mode = "udp",
         .level = strict,
         .varying = {{"number [0-9]+", "number N"}}},
        {.check = "datagram.stop", .behaviour = "udp-ignores-sigterm", .mode = "udp"},
    };
}
