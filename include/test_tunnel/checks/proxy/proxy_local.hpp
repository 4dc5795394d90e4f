#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/checks/detail/proxy_trials.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// What a tool has to do with a header that tells of no client.
enum class Anonymous {
    /// To serve the client: a LOCAL header must be accepted (§2.2).
    must_be_served,
    /// To serve the client, unless `Traits::takes_unknown` is declared (§2.1).
    should_be_served,
    /// To serve the client or not, as it likes (§2.2, of UNSPEC, and of UNIX sockets).
    may_be_served
};

/// A header that tells of no client.
struct AnonymousTrial {
    HeaderTrial trial;
    Anonymous demand{};
};

/// Returns headers of version 1 that say UNKNOWN: whatever follows must be ignored (§2.1).
inline std::vector<AnonymousTrial> unknown_headers(PairRun& run) {
    const auto usual = usual_header(run, ProxyVersion::v1).header;
    const auto addresses = usual.substr(usual.find(' ', usual.find(' ') + 1));
    const std::string longest = // of 107 bytes, the most that there may be
        "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
    const auto make = [](std::string what, std::string header) {
        return AnonymousTrial{{.what = std::move(what), .header = std::move(header)},
                              Anonymous::should_be_served};
    };
    return {make("UNKNOWN", "PROXY UNKNOWN\r\n"),
            make("UNKNOWN, with addresses", "PROXY UNKNOWN" + addresses),
            make("UNKNOWN, with 107 bytes in all", longest)};
}

/// Returns headers of version 2 with LOCAL, and with an address family that is not specified, or
/// is not one of networks: what the length says must be passed over (§2.2).
inline std::vector<AnonymousTrial> local_headers(PairRun& run) {
    constexpr unsigned local = 0x20;
    constexpr unsigned proxy = 0x21;
    constexpr unsigned unix_stream = 0x31;
    constexpr unsigned no_operation = 0x04;
    constexpr std::size_t fixed = detail::proxy_v2_fixed;
    const auto usual = usual_header(run, ProxyVersion::v2).header;
    const auto family = detail::byte_at(usual, fixed - 3);
    const auto addresses = usual.substr(fixed);
    std::string path{"/run/client"};
    path.resize(108); // whatever its length (§2.2)
    const auto value = detail::proxy_value(no_operation, "padding");
    const auto make = [](std::string what, unsigned command, unsigned of, std::string_view rest) {
        return AnonymousTrial{
            {.what = std::move(what), .header = detail::proxy_v2_bytes(command, of, rest)},
            command == local ? Anonymous::must_be_served : Anonymous::may_be_served};
    };
    return {make("LOCAL", local, 0, ""),
            make("LOCAL, with addresses", local, family, addresses),
            make("LOCAL, with addresses and a value", local, family, addresses + value),
            make("LOCAL, with addresses of no family", local, 0, addresses),
            make("LOCAL, with values only", local, 0, value),
            make("PROXY for an unspecified family", proxy, 0, ""),
            make("PROXY for an unspecified family, with addresses", proxy, 0, addresses),
            make("PROXY for a UNIX socket, with addresses", proxy, unix_stream, path + path)};
}

/// Sends a header that tells of no client. Returns whether the client is served.
inline bool is_anonymous_served(PairRun& run, HeaderTrials& trials, const AnonymousTrial& each) {
    const auto& trial = each.trial;
    if (each.demand == Anonymous::must_be_served) {
        trials.serve(trial);
        return true;
    }
    auto outcome = trials.outcome_of(trial, "it is served, or refused", run.config().timeouts.io);
    if (outcome.fate == Fate::refused) {
        if (each.demand == Anonymous::may_be_served) {
            run.note(trial.what + ": it is refused, as it may be");
        }
        return false;
    }
    trials.finish(trial, std::move(outcome));
    return true;
}

/// Sends all headers that tell of no client, in the versions that the tool takes.
inline void send_all_anonymous(PairRun& run) {
    HeaderTrials trials{run};
    for (const auto version : versions_taken(run, trials)) {
        const bool is_v1 = version == ProxyVersion::v1;
        std::string refused;
        for (const auto& each : is_v1 ? unknown_headers(run) : local_headers(run)) {
            const auto steps = run.steps();
            if (!is_anonymous_served(run, trials, each) && refused.empty()) {
                refused = each.trial.what;
            }
            run.forget_steps(steps);
        }
        if (is_v1) {
            run.step("unknown clients",
                     "those of whom a header says that they are unknown are served", Party::client,
                     Party::server);
            run.judge(trait::takes_unknown, refused.empty(),
                      refused.empty() ? "" : "serving a client whose PROXY header says " + refused);
        }
    }
    run.sentinel();
}

inline constexpr Check proxy_local{
    .id = "proxy.local",
    .title = "clients whose PROXY header tells of nobody are served, and nothing of it arrives",
    .trait = trait::takes_unknown.name,
    .run = send_all_anonymous};

} // namespace test_tunnel::check
