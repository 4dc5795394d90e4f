#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "../detail/fmt.hpp"
#include "../detail/html_text.hpp"
#include "../report.hpp"

namespace test_tunnel {

namespace detail {

/// What a tool has printed can't break it (XML 1.0 §2.2 and §2.4).
inline std::string xml_attribute(std::string_view name, std::string_view value) {
    std::string text;
    for (const char character : html_text(value)) {
        // A reader would make a blank of these.
        const bool is_blank = character == '\n' || character == '\t';
        text +=
            is_blank ? fmt::format("&#{};", static_cast<int>(character)) : std::string{character};
    }
    return fmt::format(" {}=\"{}\"", name, text);
}

/// Seconds, as JUnit has them.
inline std::string junit_time(Duration duration) {
    return fmt::format("{:.6f}", std::chrono::duration<double>{duration}.count());
}

struct JUnitCounts {
    std::size_t tests = 0;
    std::size_t failures = 0;
    std::size_t errors = 0;
    std::size_t skipped = 0;
    Duration time{};
};

/// The attributes of a suite that count its cases.
inline std::string junit_counts(const JUnitCounts& counts) {
    return fmt::format(R"( tests="{}" failures="{}" errors="{}" skipped="{}" time="{}")",
                       counts.tests, counts.failures, counts.errors, counts.skipped,
                       junit_time(counts.time));
}

inline std::string junit_case(const CheckResult& check, std::string_view class_name) {
    auto result = "    <testcase" + xml_attribute("name", check.id) +
                  xml_attribute("classname", class_name) +
                  fmt::format(" time=\"{}\"", junit_time(check.duration));
    std::string body;
    if (check.outcome == Outcome::failed) {
        body = "      <failure" +
               xml_attribute("message", fmt::format("{}: expected {}, got {}", check.step,
                                                    check.expected, check.actual)) +
               xml_attribute("type", check.step) + '>' + html_text(check.account) + "</failure>\n";
    } else if (check.outcome != Outcome::passed) {
        body =
            "      <skipped" +
            xml_attribute("message", fmt::format("{}: {}", text_of(check.outcome), check.account)) +
            "/>\n";
    }
    std::string notes;
    for (const auto& note : check.notes) {
        notes += html_text("note: " + note.text) + '\n';
    }
    if (!notes.empty()) {
        body += "      <system-out>" + notes + "</system-out>\n";
    }
    return result + (body.empty() ? "/>\n" : ">\n" + body + "    </testcase>\n");
}

/// The test case that stands for what did not come to its end, in a suite of its own.
inline std::string junit_not_run(std::string_view slug, bool is_error, std::string_view reason) {
    return fmt::format(
        "  <testsuite{}{}>\n    <testcase name=\"setup\"{}>\n"
        "      <{}{}/>\n    </testcase>\n  </testsuite>\n",
        xml_attribute("name", slug),
        junit_counts({.tests = 1, .errors = is_error ? 1U : 0U, .skipped = is_error ? 0U : 1U}),
        xml_attribute("classname", slug), is_error ? "error" : "skipped",
        xml_attribute("message", reason));
}

inline std::string junit_document(std::string_view slug, const JUnitCounts& counts,
                                  std::string_view suites) {
    return fmt::format(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites{}{}>\n{}</testsuites>\n",
        xml_attribute("name", slug), junit_counts(counts), suites);
}

} // namespace detail

/// The report in JUnit's XML, as CI systems read it: a test suite for each pair, "socat 4→6", and
/// in it a test case for each check, "data.bulk.up", of the class "socat.4→6". A failure has its
/// whole account; what was not tried, or is not applicable, is skipped and says why; what was noted
/// stands in the case's `system-out`. A run that was stopped ends with a test case "setup", an
/// error.
inline std::string junit_text(const Report& report) {
    detail::JUnitCounts all;
    std::string suites;
    for (const auto& entry : report.pairs) {
        const auto name = entry.pair.name();
        const detail::JUnitCounts counts{
            .tests = entry.checks.size(),
            .failures = entry.count(Outcome::failed),
            .skipped = entry.count(Outcome::skipped) + entry.count(Outcome::not_applicable),
            .time = entry.duration};
        suites +=
            "  <testsuite" +
            detail::xml_attribute("name", fmt::format("{} {}", report.slug, name)) +
            detail::junit_counts(counts) + ">\n    <properties>\n      <property name=\"pair\"" +
            detail::xml_attribute("value", entry.pair.text()) +
            "/>\n      <property name=\"seed\"" +
            detail::xml_attribute("value", std::to_string(report.seed)) + "/>\n    </properties>\n";
        for (const auto& check : entry.checks) {
            suites += detail::junit_case(check, fmt::format("{}.{}", report.slug, name));
        }
        suites += "  </testsuite>\n";
        all.tests += counts.tests;
        all.failures += counts.failures;
        all.skipped += counts.skipped;
        all.time += counts.time;
    }
    if (!report.error.empty()) {
        suites += detail::junit_not_run(report.slug, true, report.error);
        ++all.tests;
        ++all.errors;
    }
    return detail::junit_document(report.slug, all, suites);
}

/// Why a run has not begun, or has not come to its end.
enum class NotRun {
    /// There is nothing to test: no such tool, no such pair.
    skipped,
    /// A fault of the set-up.
    error
};

/// The same for such a run: one test case that says why.
inline std::string junit_text(std::string_view slug, NotRun kind, std::string_view reason) {
    const bool is_error = kind == NotRun::error;
    return detail::junit_document(
        slug, {.tests = 1, .errors = is_error ? 1U : 0U, .skipped = is_error ? 0U : 1U},
        detail::junit_not_run(slug, is_error, reason));
}

} // namespace test_tunnel
