#pragma once

#include <fmt/core.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

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

/// The attributes of a suite that count its cases.
inline std::string junit_counts(std::size_t tests, std::size_t failures, std::size_t skipped,
                                Duration time) {
    return fmt::format(R"( tests="{}" failures="{}" errors="0" skipped="{}" time="{}")", tests,
                       failures, skipped, junit_time(time));
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

inline constexpr std::string_view xml_declaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

} // namespace detail

/// The report in JUnit's XML, as CI systems read it: a test suite for each pair, "socat 4→6", and
/// in it a test case for each check, "data.bulk.up", of the class "socat.4→6". A failure has its
/// whole account; what was not tried, or is not applicable, is skipped and says why; what was noted
/// stands in the case's `system-out`.
inline std::string junit_text(const Report& report) {
    std::size_t tests = 0;
    std::size_t failures = 0;
    std::size_t skipped = 0;
    Duration time{};
    std::string suites;
    for (const auto& entry : report.pairs) {
        const auto name = entry.pair.name();
        const auto failed = entry.count(Outcome::failed);
        const auto not_run = entry.count(Outcome::skipped) + entry.count(Outcome::not_applicable);
        suites += "  <testsuite" +
                  detail::xml_attribute("name", fmt::format("{} {}", report.slug, name)) +
                  detail::junit_counts(entry.checks.size(), failed, not_run, entry.duration) +
                  ">\n    <properties>\n      <property name=\"pair\"" +
                  detail::xml_attribute("value", entry.pair.text()) +
                  "/>\n      <property name=\"seed\"" +
                  detail::xml_attribute("value", std::to_string(report.seed)) +
                  "/>\n    </properties>\n";
        for (const auto& check : entry.checks) {
            suites += detail::junit_case(check, fmt::format("{}.{}", report.slug, name));
        }
        suites += "  </testsuite>\n";
        tests += entry.checks.size();
        failures += failed;
        skipped += not_run;
        time += entry.duration;
    }
    return std::string{detail::xml_declaration} + "<testsuites" +
           detail::xml_attribute("name", report.slug) +
           detail::junit_counts(tests, failures, skipped, time) + ">\n" + suites +
           "</testsuites>\n";
}

/// Why a run has not begun, or has not come to its end.
enum class NotRun { skipped, error };

/// The same for such a run: one test case that says why.
inline std::string junit_text(std::string_view slug, NotRun kind, std::string_view reason) {
    const bool is_error = kind == NotRun::error;
    const auto counts = fmt::format(R"( tests="1" failures="0" errors="{}" skipped="{}" time="0")",
                                    is_error ? 1 : 0, is_error ? 0 : 1);
    return fmt::format(
        "{}<testsuites{}{}>\n  <testsuite{}{}>\n    <testcase name=\"setup\"{}>\n"
        "      <{}{}/>\n    </testcase>\n  </testsuite>\n</testsuites>\n",
        detail::xml_declaration, detail::xml_attribute("name", slug), counts,
        detail::xml_attribute("name", slug), counts, detail::xml_attribute("classname", slug),
        is_error ? "error" : "skipped", detail::xml_attribute("message", reason));
}

} // namespace test_tunnel
