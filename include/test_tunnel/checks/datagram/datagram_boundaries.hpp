#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "test_tunnel/checks/detail/datagram_burst.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has datagrams of different sizes follow each other without a pause: none may be merged with the
/// next one, split, doubled or changed. Then alike ones, since a tool that keeps the last
/// datagram's bytes shows it where a short one follows a long one.
inline void keep_boundaries(PairRun& run) {
    constexpr std::array<std::size_t, 16> sizes{9,  700, 8,  64, 1,    1200, 2, 300,
                                                31, 4,   33, 3,  1400, 16,   5, 900};
    constexpr std::size_t rounds = 3; // a fast tool may take them one by one at times
    auto flow = run.flow();
    const auto steps = run.steps();
    for (std::size_t round = 0; round < rounds; ++round) {
        std::vector<std::string> payloads;
        for (std::size_t i = 0; i < sizes.size(); ++i) {
            // The first byte tells them apart, whatever their size.
            auto payload = run.pattern(round * sizes.size() + i).bytes(0, sizes.at(i));
            payload.front() = static_cast<char>('A' + i);
            payloads.push_back(std::move(payload));
        }
        constexpr std::uint64_t first_request = 100;
        run.forget_steps(steps);
        carry_both_ways(run, flow, payloads, first_request + round * sizes.size());
    }
    run.step("no further datagrams", "nothing arrives that nobody has sent", Party::tool,
             Party::client);
    run.require_no_datagram({&flow});
}

inline constexpr Check datagram_boundaries{
    .id = "datagram.boundaries",
    .title =
        "16 datagrams that follow each other arrive as they are: none merged, split or doubled",
    .needs = {.udp = true},
    .run = keep_boundaries};

} // namespace test_tunnel::check
