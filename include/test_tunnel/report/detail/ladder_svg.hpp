#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/report/detail/ladder.hpp"
#include "test_tunnel/report/html_text.hpp"
#include "test_tunnel/report/report.hpp"

namespace test_tunnel::detail {

/// The steps as a picture: three lines for client, tool and server, an arrow for each step, with
/// its time and name. The last one is marked. Where there are many, those in the middle are left
/// out.
/// The classes are styled by the page that it stands in.
inline std::string ladder_svg(const std::vector<Step>& steps) {
    constexpr int width = 860;
    constexpr int row = 26;
    constexpr int top = 40;
    constexpr int time_end = 64;
    constexpr int name_begin = 470;
    constexpr std::array<int, 3> lanes{110, 270, 430};
    constexpr std::array<std::string_view, 3> parties{"client", "tool", "server"};
    constexpr std::size_t most_characters = 54;

    const ShownSteps shown{steps.size()};
    const bool is_cut = shown.head < shown.tail;
    const auto rows = static_cast<int>(shown.head + steps.size() - shown.tail + (is_cut ? 1U : 0U));
    const int height = top + std::max(rows, 1) * row + 10;
    auto result = fmt::format(
        "<svg class=\"ladder\" viewBox=\"0 0 {} {}\" role=\"img\" "
        "aria-label=\"The steps between client, tool and server\">",
        width, height);
    for (std::size_t i = 0; i < lanes.size(); ++i) {
        result += fmt::format(
            "<text class=\"party\" x=\"{0}\" y=\"20\">{1}</text>"
            "<line class=\"lane\" x1=\"{0}\" y1=\"28\" x2=\"{0}\" y2=\"{2}\"/>",
            lanes.at(i), parties.at(i), height - 4);
    }
    int y = top + row / 2 - 4;
    const auto add = [&](const Step& step) {
        const int from = lanes.at(static_cast<std::size_t>(step.from));
        const int to = lanes.at(static_cast<std::size_t>(step.to));
        const bool is_last = &step == &steps.back();
        // The head of the arrow, and where the line meets it.
        const int back = from < to ? -9 : 9;
        const auto drawn = from == to ? fmt::format(R"(<circle cx="{}" cy="{}" r="5"/>)", from, y)
                                      : fmt::format(
                                            "<line x1=\"{0}\" y1=\"{1}\" x2=\"{2}\" y2=\"{1}\"/>"
                                            "<polygon points=\"{3},{1} {2},{4} {2},{5}\"/>",
                                            from, y, to + back, to, y - 5, y + 5);
        result += fmt::format(
            "\n<g class=\"{}\"><title>{}</title>"
            "<text class=\"time\" x=\"{}\" y=\"{}\">{:.1f}</text>{}"
            "<text x=\"{}\" y=\"{}\">{}{}</text></g>",
            is_last ? "step last" : "step", html_text(step.expected), time_end, y + 4,
            milliseconds(step.begin), drawn, name_begin, y + 4, is_last ? "✗ " : "",
            html_text(cut(step.name, most_characters)));
        y += row;
    };
    result += fmt::format(R"(<text class="time" x="{}" y="20">ms</text>)", time_end);
    std::for_each_n(steps.begin(), shown.head, add);
    if (is_cut) {
        result += fmt::format("\n<text class=\"party\" x=\"{}\" y=\"{}\">… {} steps …</text>",
                              lanes[1], y + 4, shown.tail - shown.head);
        y += row;
    }
    std::for_each(steps.begin() + static_cast<std::ptrdiff_t>(shown.tail), steps.end(), add);
    return result + "</svg>";
}

} // namespace test_tunnel::detail
