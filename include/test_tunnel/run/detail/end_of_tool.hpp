#pragma once

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "test_tunnel/base/error.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/config/traits.hpp"
#include "test_tunnel/process/process.hpp"
#include "test_tunnel/process/server.hpp"

namespace test_tunnel::detail {

/// Returns for each process of the tool whether it has ended.
inline std::vector<bool> who_has_ended(const Server& tool) {
    std::vector<bool> result;
    for (const auto& process : tool.processes()) {
        result.push_back(process.has_ended());
    }
    return result;
}

/// An exit status after SIGTERM that is not declared, and needs a declaration.
struct OddStatus {
    int code;
    /// "socat exited with status 9 after SIGTERM"
    std::string text;
};

/// Throws Unexpected where a tool has not ended as it should. To be called after `tool.stop`;
/// `ended_before` says which processes had ended before, by themselves, `passes_ends` whether all
/// that it has started was told of the ends of connections. Returns the odd status of
/// the last process that has one.
inline std::optional<OddStatus> judge_end(const Server& tool, const std::vector<bool>& ended_before,
                                          const Traits& traits, bool passes_ends,
                                          const std::string& expected) {
    std::optional<OddStatus> odd;
    const auto& processes = tool.processes();
    for (std::size_t i = 0; i < processes.size(); ++i) {
        const auto& process = processes[i];
        const auto& status = process.status().value();
        const auto code = status.code();
        const auto what = fmt::format("{} {}", process.name(), status.text());
        // A companion may end because the one before it was stopped.
        const bool by_itself =
            ended_before[i] || (i + 1 == processes.size() && !process.was_told_to_end());
        if (by_itself && code && tool.may_end(i)) {
            continue; // whatever its status: it had done its work
        }
        if (process.had_to_be_killed()) {
            throw Unexpected{expected, fmt::format("{} had to be killed by SIGKILL: it {}",
                                                   process.name(), status.text())};
        }
        if (by_itself && code != 0) {
            throw Unexpected{expected, what + " by itself"};
        }
        if (!code && status.signal() != SIGTERM) {
            throw Unexpected{expected, what};
        }
        // What is never told that its connection has ended can't end with it.
        if (!process.left_behind().empty() && passes_ends) {
            throw Unexpected{
                "the tool ends what it has started",
                fmt::format("{} left {} behind: {}", process.name(), process.left_behind().size(),
                            joined(process.left_behind(), ", "))};
        }
        if (!process.alarm().empty()) {
            throw Unexpected{"the tool runs without an error of its memory", process.alarm()};
        }
        const std::vector<int> usual{0, SIGTERM, 128 + SIGTERM};
        const auto& declared = traits.exit_statuses.empty() ? usual : traits.exit_statuses;
        if (!by_itself && code && process.was_told_to_end() &&
            std::find(declared.begin(), declared.end(), *code) == declared.end()) {
            odd = {*code, what + " after SIGTERM"};
        }
    }
    return odd;
}

} // namespace test_tunnel::detail
