#pragma once

// The table as one page for a browser: complete without a script and without a network. With
// scripts it can be sorted and filtered.

#include <test_tunnel/base/text.hpp>
#include <test_tunnel/report/html_colours.hpp>
#include <test_tunnel/report/html_text.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "style.hpp"
#include "table.hpp"

namespace matrix {

constexpr std::string_view mark_of(Outcome outcome) {
    switch (outcome) {
        case Outcome::passed:
            return "✓";
        case Outcome::failed:
            return "✗";
        case Outcome::known_failure:
            return "!";
        case Outcome::skipped:
            return "·";
        case Outcome::not_applicable:
            return "○";
    }
    return "?";
}

/// The class of what has this outcome in the page's style.
constexpr std::string_view class_of(Outcome outcome) {
    switch (outcome) {
        case Outcome::passed:
            return "passed";
        case Outcome::failed:
            return "failed";
        case Outcome::known_failure:
            return "known";
        case Outcome::skipped:
            return "skipped";
        case Outcome::not_applicable:
            return "na";
    }
    return "";
}

/// The outcome as a mark with a colour, and a word for those who see neither.
inline std::string mark(std::string_view where, std::optional<Outcome> outcome) {
    if (!outcome) {
        return fmt::format("<i class=\"none\" title=\"{}: not tested\">–</i>", where);
    }
    return fmt::format(
        "<i class=\"{0}\" role=\"img\" title=\"{1}: {2}\" aria-label=\"{1}: {2}\">{3}</i>",
        class_of(*outcome), where, test_tunnel::text_of(*outcome), mark_of(*outcome));
}

/// A cell of the table where nothing was tested.
inline constexpr std::string_view no_cell = "<td></td>";

/// A cell of the table: one mark where all combinations agree, else one for each.
inline std::string cell(const Report& report, std::size_t row, const std::string& group) {
    std::vector<std::optional<Outcome>> outcomes;
    for (const auto combination : combinations) {
        outcomes.push_back(outcome_of(report, group, combination));
    }
    if (std::none_of(outcomes.begin(), outcomes.end(),
                     [](const auto& o) { return o.has_value(); })) {
        return std::string{no_cell};
    }
    const bool is_one = std::all_of(outcomes.begin(), outcomes.end(),
                                    [&](const auto& other) { return other == outcomes.front(); });
    std::string marks;
    if (is_one) {
        marks = mark("all combinations", outcomes.front());
    } else {
        for (std::size_t i = 0; i < combinations.size(); ++i) {
            marks += mark(combinations.at(i), outcomes[i]);
        }
    }
    return fmt::format("<td><a href=\"#t{}-{}\" class=\"{}\">{}</a></td>", row, html_text(group),
                       is_one ? "one" : "four", marks);
}

/// The accounts of the failures of a group. What fails in the same way on a further combination has
/// only what came instead.
inline std::string accounts(const Report& report, std::string_view group) {
    std::string result;
    for (const auto& entry : report.pairs) {
        for (const auto& check : entry.checks) {
            if (group_of(check) != group || !is_failure(check.outcome)) {
                continue;
            }
            result += fmt::format("<h4 class=\"{}\">{} {}: {}</h4>", class_of(check.outcome),
                                  entry.pair.name(), html_text(check.id),
                                  test_tunnel::text_of(check.outcome));
            result += check.same_as.empty()
                          ? fmt::format("<pre>{}</pre>", html_text(check.account))
                          : fmt::format("<p>In the same way as on {}.</p><pre>{}</pre>",
                                        check.same_as, html_text(check.actual));
        }
    }
    return result;
}

/// The notes of a group, and why checks of it were not tried, each once.
inline std::string remarks(const Report& report, std::string_view group) {
    std::map<std::string, std::vector<std::string>> texts;
    const auto add = [&](std::string text, const PairResult& entry) {
        auto& names = texts[std::move(text)];
        if (names.empty() || names.back() != entry.pair.name()) {
            names.push_back(entry.pair.name());
        }
    };
    for (const auto& entry : report.pairs) {
        for (const auto& check : entry.checks) {
            if (group_of(check) != group) {
                continue;
            }
            for (const auto& note : check.notes) {
                add(note.text, entry);
            }
            if (!is_failure(check.outcome) && !check.account.empty()) {
                add(fmt::format("{} {}: {}", check.id, test_tunnel::text_of(check.outcome),
                                check.account),
                    entry);
            }
        }
    }
    std::string result;
    for (const auto& [text, names] : texts) {
        result +=
            fmt::format("<li>{} <small>({})</small></li>", html_text(text), joined(names, ", "));
    }
    return result.empty() ? "" : "<ul>" + result + "</ul>";
}

/// The checks of a group, one a line, with what came of each on each combination.
inline std::string checks_of(const Report& report, std::string_view group) {
    std::vector<const CheckResult*> checks; // each once
    for (const auto& entry : report.pairs) {
        for (const auto& check : entry.checks) {
            const bool is_known = std::any_of(checks.begin(), checks.end(), [&](const auto* other) {
                return other->id == check.id;
            });
            if (group_of(check) == group && !is_known) {
                checks.push_back(&check);
            }
        }
    }
    std::string result = "<table class=\"checks\"><thead><tr><th>check</th>";
    for (const auto combination : combinations) {
        result += fmt::format("<th>{}</th>", combination);
    }
    result += "<th>what it demands</th></tr></thead><tbody>";
    for (const auto* const check : checks) {
        result += fmt::format("<tr><td><code>{}</code></td>", html_text(check->id));
        for (const auto combination : combinations) {
            std::optional<Outcome> outcome;
            for (const auto& entry : report.pairs) {
                for (const auto& other : entry.checks) {
                    if (entry.pair.name() == combination && other.id == check->id) {
                        outcome = other.outcome;
                    }
                }
            }
            result += fmt::format("<td>{}</td>", mark(combination, outcome));
        }
        result += fmt::format("<td>{}</td></tr>", html_text(check->title));
    }
    return result + "</tbody></table>";
}

/// What is known of a run, whatever cell was opened: versions, and how to run it again.
inline std::string facts(const Run& run) {
    const auto& report = run.report;
    std::vector<std::string> declared;
    for (const auto& [name, value] : run.declared) {
        declared.push_back(fmt::format("{}={}", name, value));
    }
    auto result = fmt::format(
        "<dl><dt>tool</dt><dd>{} {} (<code>{}</code>)</dd><dt>tested</dt><dd>{} at {}, by "
        "test-tunnel {}</dd>",
        html_text(report.slug), html_text(report.version), html_text(report.program),
        html_text(run.began), test_tunnel::text_of(report.level), html_text(run.library));
    if (!declared.empty()) {
        result += fmt::format("<dt>declared</dt><dd><code>{}</code></dd>",
                              html_text(joined(declared, " ")));
    }
    if (!report.command.empty()) {
        result += fmt::format("<dt>again</dt><dd><pre>{}</pre></dd>", html_text(report.command));
    }
    if (!report.error.empty()) {
        result += fmt::format("<dt>stopped</dt><dd><pre>{}</pre></dd>", html_text(report.error));
    }
    return result + "</dl>";
}

/// What opens over the page when a cell is clicked.
inline std::string sheet(const std::string& id, const std::string& title, std::size_t row,
                         const std::string& content) {
    return fmt::format(
        "<section class=\"sheet\" id=\"{}\"><div><a class=\"close\" href=\"#t{}\" "
        "aria-label=\"close\">×</a><h3>{}</h3>{}</div></section>\n",
        html_text(id), row, html_text(title), content);
}

/// The rows of one tool, and the sheets of its cells.
struct ToolRow {
    std::string row;
    std::string sheets;
};

inline ToolRow tool_row(const Run& run, std::size_t row, const std::vector<std::string>& groups) {
    const auto& report = run.report;
    const auto verdict = verdict_of(report);
    const auto* const kind = verdict == Verdict::passed   ? "passed"
                             : verdict == Verdict::failed ? "failed"
                                                          : "skipped";
    const auto known = report.count(Outcome::known_failure);
    ToolRow result;
    result.row = fmt::format(
        "<tr id=\"t{0}\" data-verdict=\"{1}\"><th scope=\"row\"><a href=\"#t{0}-tool\">{2}</a> "
        "<small>{3}</small></th><td><span class=\"badge {1}\">{4}</span>{5}</td>",
        row, kind, html_text(report.slug), html_text(report.version), text_of(verdict),
        known == 0 ? "" : fmt::format(" <small>{} known</small>", known));
    result.sheets = sheet(fmt::format("t{}-tool", row), report.slug, row, facts(run));
    for (const auto& group : groups) {
        const auto content = cell(report, row, group);
        result.row += content;
        if (content == no_cell) { // nothing opens
            continue;
        }
        result.sheets +=
            sheet(fmt::format("t{}-{}", row, group), fmt::format("{}: {}", report.slug, group), row,
                  accounts(report, group) + remarks(report, group) + checks_of(report, group) +
                      facts(run));
    }
    for (const auto& [title, way] : ways_of(report)) {
        result.row += fmt::format("<td class=\"way\">{}</td>", html_text(way));
    }
    result.row += "</tr>\n";
    return result;
}

/// How many runs have come to what: "52 passed, 6 failed".
inline std::string counts(const std::vector<Run>& runs) {
    std::string result;
    for (const auto verdict :
         {Verdict::passed, Verdict::failed, Verdict::stopped, Verdict::untested}) {
        const auto count = std::count_if(runs.begin(), runs.end(), [&](const Run& run) {
            return verdict_of(run.report) == verdict;
        });
        if (count > 0) {
            result += fmt::format("{}{} {}", result.empty() ? "" : ", ", count, text_of(verdict));
        }
    }
    return result;
}

/// The whole page.
inline std::string to_page(const std::vector<Run>& runs, const std::string& title) {
    const auto groups = groups_of(runs);
    std::string head = "<th scope=\"col\">tool</th><th scope=\"col\">result</th>";
    for (const auto& group : groups) {
        head +=
            fmt::format("<th scope=\"col\" class=\"group\"><span>{}</span></th>", html_text(group));
    }
    for (const auto& [name, way] : ways_of({})) {
        head += fmt::format("<th scope=\"col\">{}</th>", html_text(name));
    }
    std::string rows;
    std::string sheets;
    for (std::size_t i = 0; i < runs.size(); ++i) {
        const auto tool = tool_row(runs[i], i, groups);
        rows += tool.row;
        sheets += tool.sheets;
    }
    std::vector<std::string> legend;
    for (const auto outcome : {Outcome::passed, Outcome::failed, Outcome::known_failure,
                               Outcome::skipped, Outcome::not_applicable}) {
        legend.push_back(fmt::format(
            "<span><i class=\"{}\">{}</i> {}</span>", class_of(outcome), mark_of(outcome),
            outcome == Outcome::failed ? "failed" : test_tunnel::text_of(outcome)));
    }
    return fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">"
        "<link rel=\"icon\" href=\"data:,\"><title>{0}</title><style>{10}{1}</style></head>\n"
        "<body><h1>{0}</h1><p>{2} set-ups: {3}. A cell opens to what was seen; four marks are the "
        "combinations {4}, where the tool listens → where it connects. The columns on the right "
        "tell what a tool was seen to do its own way, whatever is declared.</p>\n"
        "<p class=\"legend\">{5}<span><i class=\"none\">–</i> not tested</span></p>\n"
        "<div id=\"controls\"></div><div class=\"scroll\"><table id=\"matrix\"><thead><tr>{6}</tr>"
        "</thead>\n<tbody>\n{7}</tbody></table></div>\n{8}<script>{9}</script></body></html>\n",
        html_text(title), style, runs.size(), counts(runs), joined(combinations, ", "),
        joined(legend, ""), head, rows, sheets, script, html_colours);
}

} // namespace matrix
