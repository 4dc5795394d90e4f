#pragma once

#include <fmt/core.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "../report.hpp"
#include "../server.hpp"
#include "text.hpp"

namespace test_tunnel::detail {

/// The end of what a tool printed, harmless, as much of it as a reader wants to see.
inline std::string printable_tail(std::string_view text) {
    constexpr std::size_t most_bytes = 2000;
    constexpr std::size_t most_lines = 20;
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) {
        text.remove_suffix(1);
    }
    std::size_t start = text.size();
    std::size_t lines = 0;
    while (start > 0 && text.size() - start < most_bytes) {
        if (text[start - 1] == '\n' && ++lines == most_lines) {
            break;
        }
        --start;
    }
    return fmt::format("{}{}", start > 0 ? fmt::format("[... {} bytes before ...]\n", start) : "",
                       escape_controls(text.substr(start)));
}

/// "listen 0.0, start 0.1, connect 0.4 ms": when each step began.
inline std::string timeline(const std::vector<Step>& steps) {
    std::string result;
    for (const auto& step : steps) {
        result += fmt::format("{}{} {:.1f}", result.empty() ? "" : ", ", step.name,
                              std::chrono::duration<double, std::milli>{step.begin}.count());
    }
    return result + " ms";
}

/// The whole story of one failure, one fact a line. The tool, if there is one, has ended.
inline std::string account_of(std::string_view title, const PairResult& pair,
                              const CheckResult& failed, const Server* server) {
    std::string result = fmt::format("{}: failed at step \"{}\"", title, failed.step);
    const auto line = [&](std::string_view name, std::string_view value) {
        constexpr std::string_view indent = "            ";
        result += fmt::format("\n  {:<9} {}", fmt::format("{}:", name),
                              indent_lines(escape_controls(value), indent));
    };
    line("expected", failed.expected);
    line("actual", failed.actual);
    line("pair", pair.pair.text("\n"));
    line("steps", timeline(pair.steps));
    if (server == nullptr) {
        return result;
    }
    for (const auto& process : server->processes()) {
        line("command", process.command_line());
        line("status", fmt::format("{}{}", process.status() ? process.status()->text() : "running",
                                   process.had_to_be_killed()  ? " (it did not end on SIGTERM)"
                                   : process.was_told_to_end() ? " when it was stopped"
                                                               : " by itself"));
        if (!process.left_behind().empty()) {
            line("left", joined(process.left_behind(), ", "));
        }
        if (!process.alarm().empty()) {
            line("alarm", process.alarm());
        }
        const auto out = printable_tail(process.out());
        const auto err = printable_tail(process.err());
        line("output", out.empty() && err.empty() ? "(nothing)" : out);
        if (!err.empty()) {
            line("stderr", err);
        }
    }
    return result;
}

} // namespace test_tunnel::detail
