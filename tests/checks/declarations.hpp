#pragma once

// What is declared of a tool in `detection`, beside its behaviour, and what has to come of it.

#include <test_tunnel/config/trait_names.hpp>
#include <test_tunnel/config/traits.hpp>

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

inline std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> result;
    for (std::size_t begin = 0; begin <= text.size();) {
        const auto end = std::min(text.find(separator, begin), text.size());
        result.emplace_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return result;
}

inline bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

/// What "passes_eof=false half_close=none" declares; "-" declares nothing.
inline test_tunnel::Traits traits_of(std::string_view declaration) {
    test_tunnel::Traits traits;
    if (declaration != "-") {
        for (const auto& each : split(declaration, ' ')) {
            test_tunnel::declare(traits, each);
        }
    }
    return traits;
}

/// One tool of which something is declared: "passes_eof=false half_close=none".
struct Declaration {
    std::string declaration;
    std::string behaviour = "none";
    std::string mode = "forward";
    std::string level = "standard";
    /// The trait in which the tool does better, and the report has to say so. Empty where it can't:
    /// it is a limit that need not be reached, or what would show takes longer than the level
    /// allows.
    std::string better{};
};

/// A correct forwarder and a correct proxy do better than each of these, and must pass.
inline std::vector<Declaration> better_than_declared() {
    std::vector<Declaration> result;
    const auto add = [&](std::string mode, std::string level, std::string declaration,
                         std::string better) {
        result.push_back({.declaration = std::move(declaration),
                          .mode = std::move(mode),
                          .level = std::move(level),
                          .better = std::move(better)});
    };
    struct Line {
        const char* declaration;
        const char* better;
    };
    for (const auto& [declaration, better] : std::initializer_list<Line>{
             {"binds_source=false", "binds_source"},
             {"binds_source=undeclared", ""},
             {"passes_eof=false", "passes_eof"},
             {"passes_eof.up=false", "passes_eof"},
             {"passes_eof.down=false", "passes_eof"},
             {"half_close=timed", ""},
             {"half_close=none", "half_close"},
             {"half_close.up=none", "half_close"},
             {"half_close.down=none", "half_close"},
             {"passes_eof=false half_close=none", "half_close"},
             {"reset=as_end", "reset"},
             {"reset.up=as_end", "reset"},
             {"reset.down=as_end", "reset"},
             {"concurrent=false", "concurrent"},
             {"serves_again=false", "serves_again"},
             {"speaks_first=true", "speaks_first"},
             {"independent_directions=false", "independent_directions"},
             {"independent_directions.up=false", "independent_directions"},
             {"no_delay=false", ""},
             {"idle_timeout=30s", ""},
             {"idle_timeout=150ms", ""},
             {"binds_listener=false", "binds_listener"},
             {"stops_connections=false", "stops_connections"},
             {"buffer_size=128MiB", ""},
             {"exit_statuses=3", "exit_statuses"},
             {"busy_polls=true", "busy_polls"},
         }) {
        for (const auto* mode : {"forward", "socks5"}) {
            add(mode, "standard", declaration, better);
        }
    }
    for (const auto* mode : {"socks5", "connect"}) {
        add(mode, "standard", "connects_eagerly=true", "connects_eagerly");
        add(mode, "standard", "refuses=by_reset", "refuses");
        add(mode, "standard", "refuses=by_end", "refuses");
        add(mode, "strict", "takes_pieces=false early_data=none resolves_names=false",
            "takes_pieces");
    }
    add("proxy-v1", "standard", "takes_unknown=false", "takes_unknown");
    add("proxy-v1", "strict", "header_in_one_segment=true", "header_in_one_segment");
    add("proxy-v2", "strict", "longest_header=2KiB", "");
    add("proxy-both", "standard", "passes_client_on=false", "passes_client_on");
    add("chain", "strict", "half_death=as_end comes_back_within=20s", "half_death");
    for (const auto* mode : {"by-name", "socks5"}) {
        add(mode, "strict", "resolves_again=false", "resolves_again");
        add(mode, "strict", "tries_addresses=false", "tries_addresses");
    }
    for (const auto* source : {"destination", "listener", "null"}) {
        add("socks5", "standard", std::string{"reports_source="} + source, "reports_source");
    }
    for (const auto& [declaration, better] :
         std::initializer_list<Line>{{"datagram_size=1500", "datagram_size"},
                                     {"empty_datagrams=false", "empty_datagrams"},
                                     {"several_answers=false one_source=false", "several_answers"},
                                     {"answers_from_listener=false", "answers_from_listener"},
                                     {"binds_listener=false", "binds_listener"},
                                     {"stops_connections=false", "stops_connections"}}) {
        add("udp", "standard", declaration, better);
    }
    for (const auto& [declaration, behaviour] :
         std::initializer_list<Line>{{"datagram_size=2500", "udp-2500-at-most"},
                                     {"datagram_size=9000", "udp-9000-at-most"},
                                     {"datagram_size=1500 busy_polls=true", "udp-never-rests"}}) {
        result.push_back({.declaration = declaration, .behaviour = behaviour, .mode = "udp"});
    }
    result.push_back({.declaration = "datagram_size=1500",
                      .behaviour = "udp-2500-at-most",
                      .mode = "udp",
                      .better = "datagram_size"});
    result.push_back({.declaration = "flow_timeout=2s",
                      .behaviour = "udp-two-seconds",
                      .mode = "udp",
                      .level = "strict"});
    result.push_back({.declaration = "idle_timeout=2500ms",
                      .behaviour = "association-ends-silent",
                      .mode = "associate",
                      .level = "strict"});
    add("socks5", "strict", "early_data=with_request", "early_data");
    add("associate", "standard", "drops_strangers=false", "drops_strangers");
    add("udp", "standard", "drops_strangers=false", "drops_strangers");
    add("associate", "standard", "ends_associations=false", "ends_associations");
    add("connect", "strict", "announces_content=true", "announces_content");
    add("forward", "strict", "restarts_at_once=false blocks_on_output=true", "restarts_at_once");
    add("socks5", "strict", "accepts=socks5.request.version", "accepts");
    add("forward", "strict", "half_close=timed no_delay=false", "half_close");
    result.push_back({.declaration = "reset=as_end",
                      .behaviour = "tls-cut-is-end",
                      .mode = "tls",
                      .level = "strict"});
    return result;
}

/// Faults that have nothing to do with what is declared, or go beyond it: they must be found.
inline std::vector<Declaration> faults_beside_declarations() {
    std::vector<Declaration> result;
    const auto add = [&](const char* declaration, std::initializer_list<const char*> names,
                         const char* mode = "forward") {
        for (const auto* name : names) {
            result.push_back({.declaration = declaration, .behaviour = name, .mode = mode});
        }
    };
    add("passes_eof=false",
        {"leaves-child", "hides-client-reset", "hides-server-reset", "hides-client-reset-in-bulk",
         "hides-server-reset-in-bulk", "hangs-when-target-resets", "loses-tail-up",
         "loses-tail-down", "loses-late-answers", "cuts-echo-at-end", "adds-at-end"});
    add("passes_eof.down=false", {"never-ends-up", "hides-client-reset"});
    add("passes_eof.up=false", {"never-ends-down", "hides-server-reset"});
    add("half_close=none", {"cuts-echo-at-end", "one-answer-after-end", "loses-late-answers",
                            "resets-half-closed-up", "loses-tail-down"});
    add("reset=as_end", {"hides-client-reset", "stops-after-server-reset"});
    add("serves_again=false", {"dies-when-unreachable", "hangs-when-unreachable",
                               "refuses-ever-after", "dies-when-target-resets",
                               "dies-of-early-reset", "stops-after-60", "exits-after-transfer"});
    add("concurrent=false", {"crosses-connections", "one-of-burst", "one-reset-ends-all"});
    add("speaks_first=true", {"hangs-when-unreachable", "waits-for-silent", "dials-ahead"});
    add("connects_eagerly=true", {"accepts-bad-requests", "dials-before-refusing"}, "socks5");
    add("independent_directions=false", {"never-resumes-up", "unbounded-down"});
    add("stops_connections=false", {"ignores-sigterm-when-busy", "leaves-port-when-busy"});
    add("exit_statuses=3", {"crashes-on-sigterm"});
    add("busy_polls=true", {"spins-after-client", "spins-half-closed-up"});
    add("idle_timeout=30s", {"closes-when-idle", "keep-alive-bytes"});
    add("buffer_size=128MiB", {"unbounded-up"});
    add("half_death=as_end", {"gives-other-half-up", "keeps-client-of-dead-half"}, "chain");
    add("resolves_again=false", {"keeps-old-in-one-memory", "refuses-renamed"}, "by-name");
    add("tries_addresses=false", {"gives-name-up", "hangs-on-second-try"}, "by-name");
    add("drops_strangers=false", {"association-outlives-control", "association-forwards-fragments"},
        "associate");
    add("ends_associations=false",
        {"association-ends-idle", "association-closes-control", "association-serves-strangers"},
        "associate");
    add("empty_datagrams=false", {"udp-ends-on-empty", "udp-empty-when-refused"}, "udp");
    add("flow_timeout=2s", {"udp-leaks-forgotten"}, "udp");
    add("datagram_size=1500", {"udp-clips-answers", "udp-loses-1473"}, "udp");
    add("drops_strangers=false", {"udp-follows-stranger", "udp-ends-on-stranger"}, "udp");
    add("several_answers=false", {"udp-five-answers"}, "udp");
    add("stops_connections=false", {"udp-ignores-sigterm"}, "udp");
    add("header_in_one_segment=true", {"header-hangs-on-pieces"}, "proxy-v1");
    add("longest_header=2KiB", {"header-limit-512"}, "proxy-v2");
    add("requires_header=false", {"header-eats-garbage"}, "proxy-v2");
    add("takes_unknown=false", {"header-leaks-unknown"}, "proxy-v1");
    add("passes_client_on=false", {"header-tells-other-port"}, "proxy-both");
    add("accepts=socks5.password.stays_open", {"serves-after-wrong-password"}, "socks5-password");
    add("binds_source=false", {"lying-address"}, "socks5");
    add("reports_source=null", {"lying-port"}, "socks5");
    return result;
}

inline std::vector<Declaration> declarations() {
    auto result = better_than_declared();
    for (auto& fault : faults_beside_declarations()) {
        result.push_back(std::move(fault));
    }
    return result;
}
