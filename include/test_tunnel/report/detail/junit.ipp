#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/report/detail/report_text.hpp"
#include "test_tunnel/report/html_text.hpp"
#include "test_tunnel/report/junit.hpp"
#include "test_tunnel/report/report.hpp"

namespace test_tunnel {

namespace detail {

/// ` name="value"`. What a tool has printed can't break it (XML 1.0 §2.2 and §2.4).
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

/// The duration in seconds, as JUnit has it.
inline std::string junit_time(Duration duration) {
    return fmt::format("{:.6f}", std::chrono::duration<double>{duration}.count());
}

struct JUnitCounts {
    std::size_t tests = 0;
    std::size_t failures = 0;
    std::size_t errors = 0;
    std::size_t skipped = 0;
    Duration time{};

    void add(const JUnitCounts& more) {
        tests += more.tests;
        failures += more.failures;
        errors += more.errors;
        skipped += more.skipped;
        time += more.time;
    }

    /// The attributes of a suite that has such cases.
    [[nodiscard]] std::string attributes() const {
        return fmt::format(R"( tests="{}" failures="{}" errors="{}" skipped="{}" time="{}")", tests,
                           failures, errors, skipped, junit_time(time));
    }
};

inline std::string junit_case(const CheckResult& check, std::string_view class_name) {
    auto result = "    <testcase" + xml_attribute("name", check.id) +
                  xml_attribute("classname", class_name) +
                  fmt::format(" time=\"{}\"", junit_time(check.duration));
    std::string body;
    if (check.outcome == Outcome::failed) {
        body = "      <failure" +
               xml_attribute("message", fmt::format("{}: expected {}, got {}", check.step,
                                                    check.expected, check.actual)) +
               xml_attribute("type", check.step) + '>' + html_text(check.told()) + "</failure>\n";
    } else if (check.outcome != Outcome::passed) {
        body =
            "      <skipped" +
            xml_attribute("message", fmt::format("{}: {}", text_of(check.outcome), check.told())) +
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

/// The suite of a pair; what is in it is added to `all`.
inline std::string junit_pair(const Report& report, const PairResult& entry, JUnitCounts& all) {
    const auto name = entry.pair.name();
    const JUnitCounts counts{.tests = entry.checks.size(),
                             .failures = entry.count(Outcome::failed),
                             .skipped = entry.count(Outcome::skipped) +
                                        entry.count(Outcome::not_applicable) +
                                        entry.count(Outcome::known_failure),
                             .time = entry.duration};
    all.add(counts);
    auto result = "  <testsuite" + xml_attribute("name", fmt::format("{} {}", report.slug, name)) +
                  counts.attributes() + ">\n    <properties>\n      <property name=\"pair\"" +
                  xml_attribute("value", entry.pair.text()) + "/>\n      <property name=\"seed\"" +
                  xml_attribute("value", std::to_string(entry.seed)) + "/>\n";
    if (entry.rounds > 1) {
        result += "      <property name=\"rounds\"" +
                  xml_attribute("value", std::to_string(entry.rounds)) +
                  "/>\n      <property name=\"failed_seeds\"" +
                  xml_attribute("value", joined(entry.failed_seeds, " ")) + "/>\n";
    }
    result += "    </properties>\n";
    for (const auto& check : entry.checks) {
        result += junit_case(check, fmt::format("{}.{}", report.slug, name));
    }
    return result + "  </testsuite>\n";
}

/// Whether a run was stopped since this machine lacks what it takes, before anything was tested.
inline bool was_skipped(const Report& report) {
    return report.pairs.empty() && report.stop_cause != StopCause::none &&
           report.stop_cause != StopCause::other && report.stop_cause != StopCause::interrupted;
}

/// The suite that stands for what was not tested in a run that was stopped.
inline std::string junit_stop(const Report& report, JUnitCounts& all) {
    const bool is_skipped = was_skipped(report);
    const JUnitCounts counts{
        .tests = 1, .errors = is_skipped ? 0U : 1U, .skipped = is_skipped ? 1U : 0U};
    all.add(counts);
    return fmt::format(
        "  <testsuite{}{}>\n    <testcase name=\"setup\"{}>\n"
        "      <{}{}/>\n    </testcase>\n  </testsuite>\n",
        xml_attribute("name", report.slug), counts.attributes(),
        xml_attribute("classname", report.slug), is_skipped ? "skipped" : "error",
        xml_attribute("message", report.error));
}

} // namespace detail

TEST_TUNNEL_INLINE std::string to_junit(const std::vector<Report>& reports) {
    detail::JUnitCounts all;
    std::string suites;
    for (const auto& report : reports) {
        for (const auto& entry : report.pairs) {
            suites += detail::junit_pair(report, entry, all);
        }
        if (!report.error.empty()) {
            suites += detail::junit_stop(report, all);
        }
    }
    return fmt::format(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites{}{}>\n{}</testsuites>\n",
        detail::xml_attribute("name", joined(detail::tools_of(reports), ", ")), all.attributes(),
        suites);
}

} // namespace test_tunnel
