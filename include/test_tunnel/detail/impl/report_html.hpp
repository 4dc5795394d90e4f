#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "../../report.hpp"
#include "../../report/html.hpp"
#include "../../trait_names.hpp"
#include "../fmt.hpp"
#include "../html_text.hpp"
#include "../inline.hpp"
#include "../ladder_svg.hpp"
#include "../matrix.hpp"
#include "../report_text.hpp"

namespace test_tunnel {

namespace detail {

/// How the page looks. The colours of text on its ground have a contrast of 4.5 at least (WCAG 2.2
/// §1.4.3), and no outcome is told by colour alone.
inline constexpr std::string_view html_style = R"css(
:root { color-scheme: light dark;
  --ground: #fff; --sheet: #f6f7f9; --line: #d5d9e0; --text: #1c2330; --weak: #586174;
  --good: #17663a; --good-ground: #e3f4e8; --bad: #b3141d; --bad-ground: #fdeaea;
  --note: #7a4b00; --note-ground: #fdf3dc; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #14171c; --sheet: #1c2027; --line: #373e4a; --text: #e4e8ef; --weak: #a1abbc;
  --good: #7bd69b; --good-ground: #17301f; --bad: #ff9a9a; --bad-ground: #3a1a1c;
  --note: #f0c674; --note-ground: #33290f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1.5rem 1.25rem 4rem; background: var(--ground);
  color: var(--text); font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .25rem; display: flex; gap: .75rem; align-items: center;
  flex-wrap: wrap; }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
h4 { font-size: 1rem; margin: 0; }
p { margin: .25rem 0; }
a { color: inherit; }
code, pre, td.id { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .86em; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.weak { color: var(--weak); }
.badge { font-size: .85rem; font-weight: 600; border-radius: 1rem; padding: .1rem .7rem; }
.passed { color: var(--good); background: var(--good-ground); }
.failed { color: var(--bad); background: var(--bad-ground); }
.not_applicable, .skipped { color: var(--weak); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; text-align: left;
  vertical-align: top; }
thead th { background: var(--sheet); font-weight: 600; }
.matrix td { text-align: center; white-space: nowrap; }
.matrix th[scope=row] { white-space: nowrap; }
td.number, .matrix td.number { text-align: right; white-space: nowrap; }
.chips { display: flex; flex-wrap: wrap; gap: .4rem; list-style: none; margin: .5rem 0; padding: 0; }
.chips li { background: var(--sheet); border: 1px solid var(--line); border-radius: .3rem;
  padding: .05rem .5rem; }
.notes { margin: .25rem 0; padding-left: 1.2rem; }
.failure { border: 1px solid var(--line); border-left: 4px solid var(--bad); border-radius: .4rem;
  padding: .9rem 1rem 1rem; margin: .9rem 0; background: var(--sheet); }
.against { display: grid; grid-template-columns: max-content 1fr; gap: .4rem .9rem; margin: .7rem 0; }
.against dt { color: var(--weak); }
.against dd { margin: 0; }
.against .wrong { color: var(--bad); }
details { margin: .6rem 0; }
summary { cursor: pointer; }
details[open] > summary { margin-bottom: .5rem; }
.account { border: 1px solid var(--line); background: var(--ground); border-radius: .3rem;
  padding: .6rem .8rem; }
.error { color: var(--bad); background: var(--bad-ground); padding: .6rem .8rem;
  border-radius: .3rem; }
.ladder { display: block; width: 100%; min-width: 40rem; max-width: 54rem; font-size: 13px; }
.ladder text { fill: var(--text); }
.ladder .party { font-weight: 600; text-anchor: middle; }
.ladder .time { fill: var(--weak); text-anchor: end; font-variant-numeric: tabular-nums; }
.ladder .lane { stroke: var(--line); stroke-width: 2; }
.ladder .step line { stroke: var(--text); stroke-width: 1.6; }
.ladder .step polygon, .ladder .step circle { fill: var(--text); }
.ladder .last line { stroke: var(--bad); stroke-width: 2.4; }
.ladder .last polygon, .ladder .last circle { fill: var(--bad); }
.ladder .last text { fill: var(--bad); font-weight: 600; }
@media (max-width: 40rem) { .against { grid-template-columns: 1fr; gap: .1rem; }
  .against dd { margin-bottom: .5rem; } }
@media print { body { max-width: none; } .failure { break-inside: avoid; } }
)css";

/// "✓", with a word for those who can't see it.
inline std::string html_mark(Outcome outcome) {
    const auto* const mark = outcome == Outcome::passed    ? "✓"
                             : outcome == Outcome::failed  ? "✗"
                             : outcome == Outcome::skipped ? "·"
                                                           : "○";
    return fmt::format(R"(<span role="img" aria-label="{0}" title="{0}">{1}</span>)",
                       test_tunnel::text_of(outcome), mark);
}

/// Where the page has the account of a failure.
inline std::string html_anchor(std::size_t run, const PairResult& entry, const CheckResult& check) {
    return html_text(fmt::format("run{}-{}{}-{}", run, entry.pair.proxy_listen.family_id(),
                                 entry.pair.svc_listen.family_id(), check.id));
}

TEST_TUNNEL_INLINE std::string html_matrix(const Report& report, std::size_t run) {
    const auto matrix = matrix_of(report);
    std::string result =
        "<div class=\"scroll\"><table class=\"matrix\"><thead><tr>"
        "<th scope=\"col\">pair</th>";
    for (const auto& group : matrix.groups) {
        result += fmt::format("<th scope=\"col\">{}</th>", html_text(group));
    }
    result += "<th scope=\"col\">time</th></tr></thead><tbody>\n";
    for (std::size_t row = 0; row < report.pairs.size(); ++row) {
        const auto& entry = report.pairs[row];
        result += fmt::format("<tr><th scope=\"row\">{}</th>", entry.pair.name());
        for (std::size_t i = 0; i < matrix.groups.size(); ++i) {
            const auto& cell = matrix.rows[row][i];
            if (!cell.outcome) {
                result += "<td></td>";
                continue;
            }
            auto text = html_mark(*cell.outcome);
            if (cell.failed > 0) {
                const auto first = std::find_if(entry.checks.begin(), entry.checks.end(),
                                                [&](const CheckResult& check) {
                                                    return check.outcome == Outcome::failed &&
                                                           check_group(check) == matrix.groups[i];
                                                });
                text = fmt::format("<a href=\"#{}\">{} {} of {}</a>",
                                   html_anchor(run, entry, *first), text, cell.failed, cell.checks);
            } else if (cell.passed > 0) {
                text += fmt::format(" {}", cell.passed);
            }
            result += fmt::format("<td class=\"{}\">{}</td>", word_of(*cell.outcome), text);
        }
        result += fmt::format("<td class=\"number\">{}</td></tr>\n", text_of(entry.duration));
    }
    return result + "</tbody></table></div>\n";
}

TEST_TUNNEL_INLINE std::string html_failure(const PairResult& entry, const CheckResult& check,
                                            std::string_view anchor) {
    return fmt::format(
        "<article class=\"failure\" id=\"{}\"><h4>{} / {}</h4><p class=\"weak\">{}</p>"
        "<dl class=\"against\"><dt>step</dt><dd>{}</dd>"
        "<dt>expected</dt><dd><pre>{}</pre></dd>"
        "<dt>actual</dt><dd class=\"wrong\"><pre>{}</pre></dd></dl>\n"
        "<div class=\"scroll\">{}</div>"
        "<details><summary>The whole account</summary><pre class=\"account\">{}</pre></details>"
        "</article>\n",
        anchor, entry.pair.name(), html_text(check.id), html_text(check.title),
        html_text(check.step), html_text(check.expected), html_text(check.actual),
        ladder_svg(check.steps), html_text(check.account));
}

/// All checks of one pair, folded up.
TEST_TUNNEL_INLINE std::string html_checks(const PairResult& entry) {
    auto result = fmt::format(
        "<details><summary>{}: {}</summary><p class=\"weak\">{}; seed {}</p>"
        "<div class=\"scroll\"><table><thead><tr>"
        "<th scope=\"col\">check</th><th scope=\"col\">what it demands</th>"
        "<th scope=\"col\">outcome</th><th scope=\"col\">time</th></tr></thead><tbody>",
        entry.pair.name(), html_text(entry.text()), html_text(entry.pair.text()), entry.seed);
    for (const auto& check : entry.checks) {
        const bool has_reason = check.outcome != Outcome::failed && !check.account.empty();
        result += fmt::format(
            "\n<tr><td class=\"id\">{}</td><td>{}</td><td class=\"{}\">{}{}</td>"
            "<td class=\"number\">{}</td></tr>",
            html_text(check.id), html_text(check.title), word_of(check.outcome),
            test_tunnel::text_of(check.outcome), has_reason ? ": " + html_text(check.account) : "",
            text_of(check.duration));
    }
    return result + "</tbody></table></div></details>\n";
}

TEST_TUNNEL_INLINE std::string html_run(const Report& report, std::size_t run) {
    const auto tried = report.count(Outcome::passed) + report.count(Outcome::failed);
    // "2026-01-31 12:34:56 UTC": nobody needs more of it.
    constexpr std::size_t day_end = 10;
    constexpr std::size_t time_end = 19;
    auto began = utc_text(report.began).substr(0, time_end) + " UTC";
    began[day_end] = ' ';
    auto result = fmt::format(
        "<section id=\"run{}\"><h2>{} <span class=\"badge {}\">{} of {} combinations passed"
        "</span></h2>\n<p class=\"weak\"><code>{}</code> at {}: {} check{}, {}, {}</p>\n",
        run, html_text(report.slug), report.passed() ? "passed" : "failed", report.passed_pairs(),
        report.pairs.size(), html_text(report.program), test_tunnel::text_of(report.level), tried,
        tried == 1 ? "" : "s", text_of(report.duration), began);
    if (!report.error.empty()) {
        result += fmt::format("<pre class=\"error\">The run was stopped: {}</pre>\n",
                              html_text(report.error));
    }
    if (const auto traits = declared_traits(report.traits); !traits.empty()) {
        result += R"(<ul class="chips" aria-label="declared traits">)";
        for (const auto& [name, value] : traits) {
            result +=
                fmt::format("<li><code>{} = {}</code></li>", html_text(name), html_text(value));
        }
        result += "</ul>\n";
    }
    if (!report.pairs.empty()) {
        result += html_matrix(report, run);
    }
    std::string failures;
    std::string checks;
    for (const auto& entry : report.pairs) {
        for (const auto& check : entry.checks) {
            if (check.outcome == Outcome::failed) {
                failures += html_failure(entry, check, html_anchor(run, entry, check));
            }
        }
        checks += html_checks(entry);
    }
    if (!failures.empty()) {
        result += "<h3>Failures</h3>\n" + failures;
    }
    if (const auto notes = report.notes(); !notes.empty()) {
        result += "<h3>Noted</h3>\n<ul class=\"notes\">";
        for (const auto& [text, names] : notes) {
            result +=
                fmt::format("<li>{}{}</li>\n", html_text(text),
                            names.size() == report.pairs.size()
                                ? ""
                                : " <span class=\"weak\">(" + joined(names, ", ") + ")</span>");
        }
        result += "</ul>\n";
    }
    if (!checks.empty()) {
        result += "<h3>All checks</h3>\n" + checks;
    }
    if (const auto slowest = slowest_of(report); !slowest.empty()) {
        std::vector<std::string> texts;
        texts.reserve(slowest.size());
        for (const auto& check : slowest) {
            texts.push_back(fmt::format("{} {} ({})", html_text(check.id), text_of(check.duration),
                                        check.pair));
        }
        result += fmt::format("<p class=\"weak\">Slowest: {}</p>\n", joined(texts, ", "));
    }
    return result + "</section>\n";
}

} // namespace detail

TEST_TUNNEL_INLINE std::string to_html(const std::vector<Report>& reports) {
    std::vector<std::string> tools;
    for (const auto& report : reports) {
        const auto name = detail::html_text(report.slug);
        if (std::find(tools.begin(), tools.end(), name) == tools.end()) {
            tools.push_back(name);
        }
    }
    const auto passed = static_cast<std::size_t>(std::count_if(
        reports.begin(), reports.end(), [](const Report& run) { return run.passed(); }));
    const auto title =
        reports.size() == 1
            ? fmt::format("{}: {}", detail::joined(tools, ", "), passed == 1 ? "passed" : "failed")
            : fmt::format("{}: {} of {} runs passed", detail::joined(tools, ", "), passed,
                          reports.size());
    auto result = fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
        "<meta http-equiv=\"Content-Security-Policy\" "
        "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
        "<link rel=\"icon\" href=\"data:,\">"
        "<title>{0}</title><style>{1}</style></head>\n<body><main><h1>{0}</h1>\n"
        "<p class=\"weak\">test-tunnel {2}</p>\n",
        reports.empty() ? "Nothing was tested" : title, detail::html_style,
        detail::library_version());
    for (std::size_t run = 0; run < reports.size(); ++run) {
        result += detail::html_run(reports[run], run);
    }
    return result + "</main></body></html>\n";
}

} // namespace test_tunnel
