#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/config/trait_names.hpp"
#include "test_tunnel/report/detail/html_style.hpp"
#include "test_tunnel/report/detail/ladder_svg.hpp"
#include "test_tunnel/report/detail/matrix.hpp"
#include "test_tunnel/report/detail/report_text.hpp"
#include "test_tunnel/report/detail/soak_text.hpp"
#include "test_tunnel/report/detail/use_text.hpp"
#include "test_tunnel/report/html.hpp"
#include "test_tunnel/report/html_colours.hpp"
#include "test_tunnel/report/html_text.hpp"
#include "test_tunnel/report/report.hpp"

namespace test_tunnel {

namespace detail {

/// The outcome as a mark, "✓", with a word for those who can't see it.
inline std::string html_mark(Outcome outcome) {
    const auto* const mark = outcome == Outcome::passed          ? "✓"
                             : outcome == Outcome::failed        ? "✗"
                             : outcome == Outcome::skipped       ? "·"
                             : outcome == Outcome::known_failure ? "!"
                                                                 : "○";
    return fmt::format(R"(<span role="img" aria-label="{0}" title="{0}">{1}</span>)",
                       text_of(outcome), mark);
}

/// The name of the place on the page where a failure is told.
inline std::string html_anchor(std::size_t run, const PairResult& entry, const CheckResult& check) {
    return html_text(fmt::format("run{}-{}{}-{}", run, entry.pair.proxy_listen.family_id(),
                                 entry.pair.svc_listen.family_id(), check.id));
}

/// The table of pairs and groups of checks.
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
            if (is_failure(*cell.outcome)) {
                const auto first = std::find_if(
                    entry.checks.begin(), entry.checks.end(), [&](const CheckResult& check) {
                        return check.outcome == *cell.outcome &&
                               check_group(check.id) == matrix.groups[i];
                    });
                text =
                    fmt::format("<a href=\"#{}\">{} {} of {}</a>", html_anchor(run, entry, *first),
                                text, std::max(cell.failed, cell.known_failures), cell.checks);
            } else if (cell.passed > 0) {
                text += fmt::format(" {}", cell.passed);
            }
            result += fmt::format("<td class=\"{}\">{}</td>", word_of(*cell.outcome), text);
        }
        result += fmt::format("<td class=\"number\">{}</td></tr>\n", text_of(entry.duration));
    }
    return result + "</tbody></table></div>\n";
}

/// One failed check: what was expected, what came, the steps as a picture, and the account.
TEST_TUNNEL_INLINE std::string html_failure(const PairResult& entry, const CheckResult& check,
                                            std::string_view anchor) {
    const auto heading =
        fmt::format(R"(<article class="failure {}" id="{}"><h4>{} / {}{}</h4>)",
                    word_of(check.outcome), anchor, entry.pair.name(), html_text(check.id),
                    check.outcome == Outcome::known_failure ? ": known failure" : "");
    if (!check.same_as.empty()) {
        return heading + fmt::format(
                             "<p>In the same way as on {}.</p>"
                             "<dl class=\"against\"><dt>actual</dt>"
                             "<dd class=\"wrong\"><pre>{}</pre></dd></dl></article>\n",
                             check.same_as, html_text(check.actual));
    }
    return heading + fmt::format(
                         "<p class=\"weak\">{}</p>"
                         "<dl class=\"against\"><dt>step</dt><dd>{}</dd>"
                         "<dt>expected</dt><dd><pre>{}</pre></dd>"
                         "<dt>actual</dt><dd class=\"wrong\"><pre>{}</pre></dd></dl>\n"
                         "<div class=\"scroll\">{}</div>"
                         "<details><summary>The whole account</summary><pre "
                         "class=\"account\">{}</pre></details>"
                         "</article>\n",
                         html_text(check.title), html_text(check.step), html_text(check.expected),
                         html_text(check.actual), ladder_svg(check.steps),
                         html_text(check.account));
}

/// The table of all checks of one pair, folded up.
TEST_TUNNEL_INLINE std::string html_checks(const PairResult& entry) {
    const auto used = use_text(entry.use);
    auto result = fmt::format(
        "<details><summary>{}: {}</summary><p class=\"weak\">{}; seed {}{}</p>"
        "<div class=\"scroll\"><table><thead><tr>"
        "<th scope=\"col\">check</th><th scope=\"col\">what it demands</th>"
        "<th scope=\"col\">outcome</th><th scope=\"col\">time</th></tr></thead><tbody>",
        entry.pair.name(), html_text(entry.text()), html_text(entry.pair.text()), entry.seed,
        used.empty() ? "" : "; " + used);
    for (const auto& check : entry.checks) {
        const bool has_reason = !is_failure(check.outcome) && !check.account.empty();
        result += fmt::format(
            "\n<tr><td class=\"id\">{}</td><td>{}</td><td class=\"{}\">{}{}</td>"
            "<td class=\"number\">{}</td></tr>",
            html_text(check.id), html_text(check.title), word_of(check.outcome),
            text_of(check.outcome), has_reason ? ": " + html_text(check.account) : "",
            text_of(check.duration));
    }
    return result + "</tbody></table></div></details>\n";
}

/// The section of one run.
TEST_TUNNEL_INLINE std::string html_run(const Report& report, std::size_t run) {
    const auto tried = report.count(Outcome::passed) + report.count(Outcome::failed) +
                       report.count(Outcome::known_failure);
    // "2026-01-31 12:34:56 UTC": nobody needs more of it.
    constexpr std::size_t day_end = 10;
    constexpr std::size_t time_end = 19;
    auto began = utc_text(report.began).substr(0, time_end) + " UTC";
    began[day_end] = ' ';
    auto result = fmt::format(
        "<section id=\"run{}\"><h2>{} <span class=\"badge {}\">{} of {} combinations passed"
        "</span></h2>\n<p class=\"weak\"><code>{}</code> at {}: {} check{}, {}, {}</p>\n",
        run, html_text(report.slug), report.passed() ? "passed" : "failed", report.passed_pairs(),
        report.pairs.size(), html_text(report.program), text_of(report.level), tried,
        tried == 1 ? "" : "s", text_of(report.duration), began);
    if (const auto rate = report.rate(); !rate.empty()) {
        result += fmt::format("<p>{}</p>\n", html_text(rate));
    }
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
            if (is_failure(check.outcome)) {
                failures += html_failure(entry, check, html_anchor(run, entry, check));
            }
        }
        checks += html_checks(entry);
    }
    if (!failures.empty()) {
        result += "<h3>Failures</h3>\n" + failures;
    }
    for (const auto& entry : report.pairs) {
        if (entry.soak) {
            result += fmt::format("<h3>Soak, {}</h3>\n<ul>", entry.pair.name());
            for (const auto& line : soak_lines(*entry.soak)) {
                result += fmt::format("<li>{}</li>\n", html_text(line));
            }
            result += "</ul>\n";
        }
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
    if (const auto used = use_text(report.use()); !used.empty()) {
        result += fmt::format("<p class=\"weak\">Used: {}</p>\n", used);
    }
    return result + "</section>\n";
}

} // namespace detail

TEST_TUNNEL_INLINE std::string to_html(const std::vector<Report>& reports) {
    const auto tools = html_text(joined(detail::tools_of(reports), ", "));
    const auto passed = static_cast<std::size_t>(std::count_if(
        reports.begin(), reports.end(), [](const Report& run) { return run.passed(); }));
    const auto title = reports.size() == 1
                           ? fmt::format("{}: {}", tools, passed == 1 ? "passed" : "failed")
                           : fmt::format("{}: {} of {} runs passed", tools, passed, reports.size());
    auto result = fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
        "<meta http-equiv=\"Content-Security-Policy\" "
        "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
        "<link rel=\"icon\" href=\"data:,\">"
        "<title>{0}</title><style>{3}{1}</style></head>\n<body><main><h1>{0}</h1>\n"
        "<p class=\"weak\">test-tunnel {2}</p>\n",
        reports.empty() ? "Nothing was tested" : title, detail::html_style,
        detail::library_version(), html_colours);
    for (std::size_t run = 0; run < reports.size(); ++run) {
        result += detail::html_run(reports[run], run);
    }
    return result + "</main></body></html>\n";
}

} // namespace test_tunnel
