#pragma once

// How a Report is shown on a console.

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/detail/escape.hpp"
#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/config/console_style.hpp"
#include "test_tunnel/report/detail/matrix.hpp"
#include "test_tunnel/report/detail/soak_text.hpp"
#include "test_tunnel/report/detail/use_text.hpp"
#include "test_tunnel/report/report.hpp"

namespace test_tunnel {

namespace detail {

/// A text, and how many columns of a terminal it takes.
struct ConsoleText {
    std::string text;
    std::size_t width;
};

/// The text in a colour of ECMA-48 ("32": green), where there are colours.
inline std::string coloured(const ConsoleStyle& style, std::string_view colour,
                            std::string_view text) {
    return style.colours && !text.empty() ? fmt::format("\x1b[{}m{}\x1b[0m", colour, text)
                                          : std::string{text};
}

/// The mark for the outcome of a group of checks.
inline ConsoleText mark_of(const MatrixCell& cell, const ConsoleStyle& style) {
    const auto mark = [&](std::string_view colour, std::string_view plain, std::string_view drawn) {
        const auto text = style.marks ? drawn : plain;
        return ConsoleText{coloured(style, colour, text), style.marks ? 1 : plain.size()};
    };
    if (!cell.outcome) {
        return {"", 0};
    }
    switch (*cell.outcome) {
        case Outcome::passed:
            return mark("32", "ok", "✓");
        case Outcome::failed:
            return mark("1;31", "FAIL", "✗");
        case Outcome::skipped:
            return mark("2", "-", "·");
        case Outcome::not_applicable:
            return mark("2", "n/a", "○");
        case Outcome::known_failure:
            return mark("33", "known", "!");
    }
    return {"", 0};
}

/// Leaves out the groups of which no check was carried out on any pair.
inline Matrix without_untried(const Matrix& all) {
    Matrix result;
    result.rows.resize(all.rows.size());
    for (std::size_t i = 0; i < all.groups.size(); ++i) {
        const bool was_tried = std::any_of(all.rows.begin(), all.rows.end(), [&](const auto& row) {
            const auto outcome = row[i].outcome.value_or(Outcome::skipped);
            return outcome != Outcome::skipped && outcome != Outcome::not_applicable;
        });
        if (!was_tried) {
            continue;
        }
        result.groups.push_back(all.groups[i]);
        for (std::size_t row = 0; row < all.rows.size(); ++row) {
            result.rows[row].push_back(all.rows[row][i]);
        }
    }
    return result;
}

/// The table of pairs and groups of checks, with the time of each pair at the end.
inline std::string console_matrix(const Report& report, const ConsoleStyle& style) {
    constexpr std::size_t name_width = 7;
    constexpr std::size_t time_width = 9;
    constexpr std::size_t most_columns = 80;
    const auto matrix = without_untried(matrix_of(report));
    std::vector<std::size_t> widths;
    std::size_t total = name_width + time_width;
    for (const auto& group : matrix.groups) {
        widths.push_back(std::max<std::size_t>(group.size(), style.marks ? 1 : 4));
        total += widths.back() + 2;
    }
    const std::size_t gap = total > most_columns ? 1 : 2;
    const auto padding = [&](std::size_t column, std::size_t taken) {
        return std::string(widths[column] + gap - taken, ' ');
    };

    std::string header(name_width, ' ');
    for (std::size_t i = 0; i < matrix.groups.size(); ++i) {
        header += matrix.groups[i] + padding(i, matrix.groups[i].size());
    }
    header += fmt::format("{:>8}", "time");
    std::string result = fmt::format("\n{}", coloured(style, "1", header));
    for (std::size_t row = 0; row < report.pairs.size(); ++row) {
        // "4→6": three columns, whatever its bytes.
        result += fmt::format("\n  {}  ", report.pairs[row].pair.name());
        for (std::size_t i = 0; i < matrix.groups.size(); ++i) {
            const auto mark = mark_of(matrix.rows[row][i], style);
            result += mark.text + padding(i, mark.width);
        }
        result += fmt::format("{:>8}", text_of(report.pairs[row].duration));
    }
    return result;
}

} // namespace detail

TEST_TUNNEL_INLINE std::string Report::summary(const ConsoleStyle& style) const {
    const auto tried =
        count(Outcome::passed) + count(Outcome::failed) + count(Outcome::known_failure);
    auto result = fmt::format(
        "{}: {} ({}, {} check{}, {})", slug,
        detail::coloured(style, passed() ? "1;32" : "1;31",
                         fmt::format("{} of {} combinations passed", passed_pairs(), pairs.size())),
        text_of(level), tried, tried == 1 ? "" : "s", text_of(duration));
    if (!pairs.empty()) {
        result += detail::console_matrix(*this, style);
    }
    const auto where = [&](const std::vector<std::string>& names) {
        return names.size() == pairs.size() ? std::string{}
                                            : fmt::format(" ({})", joined(names, ", "));
    };
    const auto line = [&](std::string_view colour, std::string_view word, std::string_view text) {
        result += fmt::format("\n  {} {}", detail::coloured(style, colour, word), text);
    };
    if (!error.empty()) {
        line("1;31", "stopped:", detail::indent_lines(error, "    "));
    }
    if (const auto text = rate(); !text.empty()) {
        line("1", "rounds:", text);
    }
    const auto list = [&](Outcome outcome, std::string_view colour, std::string_view word) {
        std::vector<std::string> ids;
        for (const auto& [id, names] : failures(outcome)) {
            ids.push_back(id + where(names));
        }
        if (!ids.empty()) {
            line(colour, word, joined(ids, ", "));
        }
    };
    list(Outcome::failed, "1;31", "failed:");
    list(Outcome::known_failure, "33", "known to fail:");
    if (const auto slowest = detail::slowest_of(*this); !slowest.empty()) {
        std::vector<std::string> texts;
        texts.reserve(slowest.size());
        for (const auto& check : slowest) {
            texts.push_back(
                fmt::format("{} {} ({})", check.id, text_of(check.duration), check.pair));
        }
        line("2", "slowest:", joined(texts, ", "));
    }
    if (const auto used = detail::use_text(use()); !used.empty()) {
        line("2", "used:", used);
    }
    for (const auto& entry : pairs) {
        if (entry.soak) {
            const auto lines = detail::soak_lines(*entry.soak);
            line("1", "soak:", fmt::format("{} {}", entry.pair.name(), joined(lines, "\n    ")));
        }
    }
    for (const auto& [text, names] : notes()) {
        line("33", "note:", text + where(names));
    }
    return result;
}

} // namespace test_tunnel
