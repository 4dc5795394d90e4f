#pragma once

#include <poll.h>

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/detail/odd_headers.hpp"
#include "test_tunnel/checks/detail/odd_kinds.hpp"
#include "test_tunnel/checks/detail/proxy_trials.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Connects clients that send nothing, or half of a header, and then say nothing more.
inline std::vector<Socket> connect_silent_halves(PairRun& run,
                                                 const std::vector<ProxyVersion>& versions) {
    std::vector<Socket> result;
    const auto add = [&](std::string_view header) {
        auto client = run.connect_client();
        run.expect_arrival();
        if (!header.empty()) {
            client.write(header);
        }
        result.push_back(std::move(client));
    };
    add({});
    for (const auto version : versions) {
        const auto usual = usual_header(run, version).header;
        add(std::string_view{usual}.substr(0, usual.size() / 2));
    }
    return result;
}

/// Notes that a tool keeps clients without a whole header, after so long. No standard says how long
/// it may; but who waits for ever can be held up by such clients.
inline void note_silent(PairRun& run, const std::vector<Socket>& clients, Duration waited) {
    const bool keeps_one = std::any_of(clients.begin(), clients.end(), [&](const Socket& client) {
        return !run.wait_for(client.event(POLLIN), Deadline::now(), "the end of a silent client");
    });
    if (keeps_one) {
        run.note(fmt::format("it keeps clients that send no PROXY header for longer than {}",
                             text_of(waited)));
    }
}

/// Has clients leave before their header is complete, beside others that stay and say nothing.
inline void truncate_header(PairRun& run) {
    require_known(run);
    HeaderTrials trials{run};
    const auto versions = versions_taken(run, trials);
    if (run.traits().requires_header == false) {
        throw NotApplicable{fmt::format("it serves clients without a PROXY header ({})",
                                        run.wording(trait::requires_header.name))};
    }
    const auto began = Clock::now();
    auto silent =
        run.is_concurrent() ? connect_silent_halves(run, versions) : std::vector<Socket>{};
    run.step("beside silent clients",
             "a client is served while others have sent no header, or half of one", Party::client,
             Party::server);
    const auto steps = run.steps();
    run.sentinel();
    run.forget_steps(steps);
    RefusedHeaders refused{run, trials};
    refused.refuse({.name = "proxy.nothing",
                    .what = "a client that ends its direction and has sent nothing",
                    .ends = true});
    for (const auto version : versions) {
        for (const auto& trial : truncated_headers(run, version)) {
            refused.refuse(trial);
        }
    }
    refused.require_all();
    note_silent(run, silent, Clock::now() - began);
    silent.clear();
    run.sentinel();
}

inline constexpr Check proxy_truncated{
    .id = "proxy.truncated",
    .title = "clients that leave before their PROXY header is complete are done with, in time",
    .level = Level::strict,
    .trait = trait::accepts.name,
    .run = truncate_header};

} // namespace test_tunnel::check
