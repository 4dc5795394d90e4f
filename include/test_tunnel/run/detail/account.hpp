#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "test_tunnel/base/detail/escape.hpp"
#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/config/detail/wording.hpp"
#include "test_tunnel/config/dialect.hpp"
#include "test_tunnel/kernel/processes.hpp"
#include "test_tunnel/process/server.hpp"
#include "test_tunnel/report/detail/ladder.hpp"
#include "test_tunnel/report/report.hpp"
#include "test_tunnel/run/detail/hint.hpp"

namespace test_tunnel::detail {

/// What an account is made from.
struct FailureFacts {
    std::string title;
    const Pair& pair;
    const CheckResult& failed;
    /// What whoever failed thinks of it; may be empty.
    const std::string& hint;
    /// The tool, which has ended; null where there was none.
    const Server* tool;
    std::uint64_t seed;
    /// In which words it names what can be set.
    Dialect dialect = Dialect::cpp;
};

/// The whole story of one failure, one fact a line.
inline std::string account_of(const FailureFacts& facts) {
    const auto& [title, pair, failed, hint, tool, seed, dialect] = facts;
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
    if (tool == nullptr) {
        return result;
    }
    const auto& processes = tool->processes();
    for (std::size_t i = 0; i < processes.size(); ++i) {
        const auto& process = processes[i];
        if (tool->may_end(i) && process.status() && process.status()->code() == 0) {
            continue; // there may be many, each of which has handed over to the next
        }
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
    for (const auto& directory : tool->directories()) {
        const auto& files = directory.files();
        if (directory.is_kept()) {
            line("files", files.empty() ? directory.path() : joined(files, "\n"));
        } else if (!files.empty()) {
            line("files", fmt::format("{}\n(removed; {} leaves them)", joined(files, "\n"),
                                      wording_of_keep(dialect)));
        }
    }
    if (const auto text = hint_of(failed, hint, *tool); !text.empty()) {
        line("hint", text);
    }
    if (const auto command = own_command_line(); !command.empty()) {
        line("again", command);
    }
    return result;
}

} // namespace test_tunnel::detail
