#pragma once

// The same table as text: in Markdown for a README, and as comma-separated values (RFC 4180).

#include <test_tunnel/base/text.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "table.hpp"

namespace matrix {

/// Text in a cell of a table in Markdown.
inline std::string markdown_text(std::string_view text) {
    std::string result;
    for (const char character : text) {
        result += character == '|' ? "\\|" : character == '\n' ? " " : std::string{character};
    }
    return result;
}

/// A group's cell in a word: "ok", "FAIL", or on which combinations: "FAIL 4→6, 6→6".
inline std::string word_of_cell(const Report& report, const std::string& group) {
    for (const auto& [outcome, word] :
         {std::pair{Outcome::failed, "FAIL"}, std::pair{Outcome::known_failure, "known"},
          std::pair{Outcome::skipped, "skipped"}, std::pair{Outcome::passed, "ok"},
          std::pair{Outcome::not_applicable, "n/a"}}) {
        std::vector<std::string_view> where;
        std::size_t tested = 0;
        for (const auto combination : combinations) {
            const auto other = outcome_of(report, group, combination);
            tested += other ? 1 : 0;
            if (other == outcome) {
                where.push_back(combination);
            }
        }
        if (!where.empty()) {
            const bool is_all = where.size() == tested || outcome == Outcome::passed;
            return is_all ? word : fmt::format("{} {}", word, joined(where, ", "));
        }
    }
    return "";
}

/// `is_brief` leaves out the groups of checks.
inline std::string to_markdown(const std::vector<Run>& runs, bool is_brief) {
    const auto groups = is_brief ? std::vector<std::string>{} : groups_of(runs);
    std::vector<std::string> heads{"tool", "result"};
    heads.insert(heads.end(), groups.begin(), groups.end());
    for (const auto& [title, way] : ways_of({})) {
        heads.push_back(title);
    }
    std::string text = "| " + joined(heads, " | ") + " |\n|";
    for (std::size_t i = 0; i < heads.size(); ++i) {
        text += "---|";
    }
    text += '\n';
    for (const auto& run : runs) {
        const auto& report = run.report;
        text += fmt::format("| {}{}{} | {} |", markdown_text(report.slug),
                            report.version.empty() ? "" : " ", markdown_text(report.version),
                            text_of(verdict_of(report)));
        for (const auto& group : groups) {
            text += fmt::format(" {} |", word_of_cell(report, group));
        }
        for (const auto& [title, way] : ways_of(report)) {
            text += fmt::format(" {} |", markdown_text(way));
        }
        text += '\n';
    }
    return text;
}

/// A field, in quotes where it has to be.
inline std::string csv_text(std::string_view text) {
    if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
        return std::string{text};
    }
    std::string result{"\""};
    for (const char character : text) {
        result += character == '"' ? "\"\"" : std::string{character};
    }
    return result + '"';
}

/// A line for each tool, combination and check.
inline std::string to_csv(const std::vector<Run>& runs) {
    std::string text =
        "tool,version,library,level,combination,check,outcome,milliseconds,step,"
        "expected,actual\r\n";
    for (const auto& run : runs) {
        const auto& report = run.report;
        for (const auto& entry : report.pairs) {
            for (const auto& check : entry.checks) {
                const std::vector<std::string> fields{
                    report.slug,
                    report.version,
                    run.library,
                    test_tunnel::text_of(report.level),
                    entry.pair.name(),
                    check.id,
                    test_tunnel::text_of(check.outcome),
                    fmt::format("{:.3f}",
                                std::chrono::duration<double, std::milli>{check.duration}.count()),
                    check.step,
                    check.expected,
                    check.actual};
                for (std::size_t i = 0; i < fields.size(); ++i) {
                    text += (i == 0 ? "" : ",") + csv_text(fields[i]);
                }
                text += "\r\n";
            }
        }
    }
    return text;
}

/// What differs between two sets of runs, one line each: tools that came or went, checks whose
/// outcome is another one, and what a tool was seen to do another way. Empty: nothing.
inline std::string differences(const std::vector<Run>& before, const std::vector<Run>& after) {
    const auto find = [](const std::vector<Run>& runs, const std::string& tool) {
        return std::find_if(runs.begin(), runs.end(),
                            [&](const Run& run) { return run.report.slug == tool; });
    };
    std::string text;
    for (const auto& run : before) {
        if (find(after, run.report.slug) == after.end()) {
            text += fmt::format("{}: no longer there\n", run.report.slug);
        }
    }
    for (const auto& run : after) {
        const auto& now = run.report;
        const auto other = find(before, now.slug);
        if (other == before.end()) {
            text += fmt::format("{}: new ({})\n", now.slug, text_of(verdict_of(now)));
            continue;
        }
        const auto& then = other->report;
        std::string changes;
        const auto add = [&](const std::string& what, std::string_view from, std::string_view to) {
            if (from != to) {
                changes += fmt::format("  {}: {} → {}\n", what, from.empty() ? "–" : from,
                                       to.empty() ? "–" : to);
            }
        };
        add("result", text_of(verdict_of(then)), text_of(verdict_of(now)));
        add("stopped", then.error, now.error);
        for (const auto combination : combinations) {
            const auto outcome_in = [&](const Report& report, const std::string& id) {
                for (const auto& entry : report.pairs) {
                    for (const auto& check : entry.checks) {
                        if (entry.pair.name() == combination && check.id == id) {
                            return std::string{test_tunnel::text_of(check.outcome)};
                        }
                    }
                }
                return std::string{};
            };
            std::vector<std::string> ids; // of both, each once
            for (const auto* const report : {&then, &now}) {
                for (const auto& entry : report->pairs) {
                    for (const auto& check : entry.checks) {
                        if (std::find(ids.begin(), ids.end(), check.id) == ids.end()) {
                            ids.push_back(check.id);
                        }
                    }
                }
            }
            for (const auto& id : ids) {
                add(fmt::format("{} {}", combination, id), outcome_in(then, id),
                    outcome_in(now, id));
            }
        }
        for (const auto& [trait, title] : habits) {
            add(std::string{title}, shown(then, trait), shown(now, trait));
        }
        if (!changes.empty()) {
            const auto versions = then.version == now.version
                                      ? now.version
                                      : fmt::format("{} → {}", then.version, now.version);
            text +=
                fmt::format("{}{}{}\n{}", now.slug, versions.empty() ? "" : " ", versions, changes);
        }
    }
    return text;
}

} // namespace matrix
