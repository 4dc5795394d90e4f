#pragma once

#include "test_tunnel/checks/detail/odd_headers.hpp"
#include "test_tunnel/checks/detail/odd_kinds.hpp"
#include "test_tunnel/checks/detail/proxy_trials.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Sends what is no header, and headers that the protocol forbids. Whoever believes them lets
/// clients say who they are, or passes a header on as data.
inline void send_invalid_headers(PairRun& run) {
    require_known(run);
    HeaderTrials trials{run};
    RefusedHeaders refused{run, trials};
    for (const auto version : versions_taken(run, trials)) {
        const bool is_v1 = version == ProxyVersion::v1;
        for (const auto& trial : is_v1 ? odd_lines(run) : odd_blocks(run)) {
            refused.refuse(trial);
        }
    }
    for (const auto& trial : missing_headers(run)) {
        refused.refuse(trial);
    }
    refused.require_all();
    run.judge(trait::requires_header, !refused.serves_without());
}

inline constexpr Check proxy_invalid{
    .id = "proxy.invalid",
    .title = "clients whose PROXY header is malformed are refused, and the server is told nothing",
    .level = Level::strict,
    .trait = trait::accepts.name,
    .run = send_invalid_headers};

} // namespace test_tunnel::check
