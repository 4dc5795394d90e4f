#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "../report.hpp"
#include "../server.hpp"
#include "fmt.hpp"
#include "guess.hpp"
#include "kernel_tables.hpp"
#include "ladder.hpp"
#include "text.hpp"

namespace test_tunnel::detail {

/// How this program was started, as it can be pasted into a shell; empty where that can't be known.
inline std::string own_command_line() {
    std::string result;
#if TEST_TUNNEL_LINUX
    const auto words = read_proc("/proc/self/cmdline").value_or("");
    for (std::size_t begin = 0; begin < words.size();) {
        const auto end = std::min(words.find('\0', begin), words.size());
        result += (result.empty() ? "" : " ") + shell_quote(words.substr(begin, end - begin));
        begin = end + 1;
    }
#endif
    return result;
}

/// What an account is made from.
struct Story {
    std::string title;
    const Pair& pair;
    const CheckResult& failed;
    /// Has ended; null where there was none.
    const Server* server;
    std::uint64_t seed;
};

/// The whole story of one failure, one fact a line.
inline std::string account_of(const Story& story) {
    const auto& [title, pair, failed, server, seed] = story;
    std::string result = fmt::format("{}: failed at step \"{}\"", title, failed.step);
    const auto line = [&](std::string_view name, std::string_view value) {
        constexpr std::string_view indent = "            ";
        result += fmt::format("\n  {:<9} {}", fmt::format("{}:", name),
                              indent_lines(escape_controls(value), indent));
    };
    line("expected", failed.expected);
    line("actual", failed.actual);
    line("pair", pair.text("\n"));
    line("steps", ladder(failed.steps));
    line("seed", fmt::format("{}", seed));
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
    for (const auto& directory : server->directories()) {
        line("files", joined(directory.files(), "\n") +
                          (directory.is_kept() ? "" : "\n(removed; Config::keep leaves them)"));
    }
    if (const auto guess = guess_of(pair, failed, server); !guess.empty()) {
        line("guess", guess);
    }
    if (const auto command = own_command_line(); !command.empty()) {
        line("again", command);
    }
    return result;
}

} // namespace test_tunnel::detail
