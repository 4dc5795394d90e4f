#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/report/report.hpp"

namespace test_tunnel::detail {

inline double milliseconds(Duration duration) {
    return std::chrono::duration<double, std::milli>{duration}.count();
}

/// "listen 0.0, start 0.1, connect 0.4 ms": when each step began.
inline std::string timeline(const std::vector<Step>& steps) {
    std::string result;
    for (const auto& step : steps) {
        result += fmt::format("{}{} {:.1f}", result.empty() ? "" : ", ", step.name,
                              milliseconds(step.begin));
    }
    return result + " ms";
}

/// Which of many steps a reader is shown: the first ones, and the last ones, which led to the end.
struct ShownSteps {
    static constexpr std::size_t most = 48;

    explicit ShownSteps(std::size_t count)
        : head{count > most ? most / 4 : count},
          tail{count > most ? count - most / 4 * 3 : count} {}

    /// Those from `head` up to `tail` are left out.
    std::size_t head;
    std::size_t tail;
};

/// The steps as a ladder between client, tool and server: a line for each, with the time at which
/// it began. The last one is marked. Where there are many, those in the middle are left out.
inline std::string ladder(const std::vector<Step>& steps) {
    constexpr std::size_t lane_width = 12;
    std::string result =
        fmt::format("     ms  {:<{}}{:<{}}server", "client", lane_width, "tool", lane_width);
    const ShownSteps shown{steps.size()};
    for (std::size_t i = 0; i < steps.size(); ++i) {
        if (i == shown.head && i < shown.tail) {
            result += fmt::format("\n         [... {} steps ...]", shown.tail - shown.head);
            i = shown.tail;
        }
        const auto& step = steps[i];
        const auto from = static_cast<std::size_t>(step.from) * lane_width;
        const auto to = static_cast<std::size_t>(step.to) * lane_width;
        // Plain ASCII: what breaks lines for a terminal often counts bytes.
        std::string lanes(2 * lane_width + 1, ' ');
        std::fill(lanes.begin() + static_cast<std::ptrdiff_t>(std::min(from, to)),
                  lanes.begin() + static_cast<std::ptrdiff_t>(std::max(from, to)), '-');
        lanes[to] = from == to ? 'o' : from < to ? '>' : '<';
        result += fmt::format("\n{:7.1f}  {}      {}{}", milliseconds(step.begin), lanes, step.name,
                              &step == &steps.back() ? "  <==" : "");
    }
    return result;
}

} // namespace test_tunnel::detail
