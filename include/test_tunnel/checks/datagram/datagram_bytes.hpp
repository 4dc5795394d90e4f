#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "test_tunnel/checks/detail/datagram_burst.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has every byte value go each way: at the beginning, in the middle and at the end of a datagram,
/// and with what a tool may take for the end of a text or a line, or for a header of its own.
inline void carry_every_byte(PairRun& run) {
    constexpr int values = 256;
    constexpr int at_once = 32;
    std::string all;
    for (int value = 0; value < values; ++value) {
        all += static_cast<char>(value);
    }
    std::vector<std::string> payloads{all,
                                      {all.rbegin(), all.rend()},
                                      std::string(8, '\0'),
                                      std::string(8, '\xff'),
                                      "\r\n.\r\n",
                                      "\n",
                                      {"\0\0\0\1", 4},
                                      {"\0\0\0\3\1\1\1\1\0\65", 10},
                                      "PROXY UDP4\r\n",
                                      {"\r\n\r\n\0\r\nQUIT\n", 12},
                                      std::string(300, ' ')};
    auto flow = run.flow();
    std::uint64_t number = 100;
    carry_both_ways(run, flow, payloads, number);
    const auto steps = run.steps();
    for (int begin = 0; begin < values; begin += at_once) {
        payloads.clear();
        for (int value = begin; value < begin + at_once; ++value) {
            const auto byte = static_cast<char>(value);
            payloads.push_back(value % 2 == 0 ? std::string{byte}
                                              : std::string{byte} + "between" + std::string{byte});
        }
        run.forget_steps(steps);
        carry_both_ways(run, flow, payloads, number += at_once);
    }
}

inline constexpr Check datagram_bytes{
    .id = "datagram.bytes",
    .title = "every byte value goes through, both ways, in datagrams that begin and end with it",
    .needs = {.udp = true},
    .run = carry_every_byte};

} // namespace test_tunnel::check
