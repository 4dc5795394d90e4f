#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Looks at four clients from where the tool sends to the server: from the address that it was
/// given (PairRun::take_source demands that), for each client from another port, and for all of a
/// client's datagrams from the same one.
inline void look_at_flow_sources(PairRun& run) {
    constexpr int clients = 4;
    constexpr int datagrams = 6;
    const bool one_at_a_time = run.traits().concurrent == false;
    std::vector<Flow> flows;
    std::vector<Endpoint> sources;
    bool is_one = true;
    for (int i = 0; i < (one_at_a_time ? 1 : clients); ++i) {
        flows.push_back(run.flow());
        auto& flow = flows.back();
        const auto first = flow.source.value();
        for (int k = 1; k < datagrams; ++k) {
            run.round_trip(flow);
            is_one = is_one && flow.source == first;
        }
        sources.push_back(first);
    }
    run.step("one source", "all datagrams of a client come from one endpoint", Party::tool,
             Party::server);
    run.judge(trait::one_source, is_one);
    run.step("sources", "no two clients that are there at once come from the same endpoint",
             Party::tool, Party::server);
    for (std::size_t i = 0; is_one && i < sources.size(); ++i) {
        for (std::size_t k = 0; k < i; ++k) {
            if (sources[i] == sources[k]) {
                throw Unexpected{run.expected(),
                                 fmt::format("two of them come from {}", sources[i])};
            }
        }
    }
}

inline constexpr Check datagram_source{
    .id = "datagram.source",
    .title = "each client's datagrams come from the address that was given, and one port of theirs",
    .needs = {.udp = true},
    .trait = trait::one_source.name,
    .run = look_at_flow_sources};

} // namespace test_tunnel::check
