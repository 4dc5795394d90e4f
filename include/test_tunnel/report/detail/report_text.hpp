#pragma once

// What the reports for programs, for browsers and for CI systems have in common.

#include <algorithm>
#include <chrono>
#include <ctime>
#include <string>
#include <vector>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/report/report.hpp"
#include "test_tunnel/version.hpp"

namespace test_tunnel::detail {

/// The outcome in one word, for programs.
constexpr const char* word_of(Outcome outcome) {
    switch (outcome) {
        case Outcome::passed:
            return "passed";
        case Outcome::failed:
            return "failed";
        case Outcome::skipped:
            return "skipped";
        case Outcome::not_applicable:
            return "not_applicable";
        case Outcome::known_failure:
            return "known_failure";
    }
    return "unknown";
}

/// The version as "0.1.0".
inline std::string library_version() {
    return fmt::format("{}.{}.{}", TEST_TUNNEL_VERSION_MAJOR, TEST_TUNNEL_VERSION_MINOR,
                       TEST_TUNNEL_VERSION_PATCH);
}

/// The time as "2026-01-31T12:34:56.789Z" (RFC 3339).
inline std::string utc_text(std::chrono::system_clock::time_point when) {
    const auto since = when.time_since_epoch();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
    const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(since - seconds);
    const auto time = static_cast<std::time_t>(seconds.count());
    std::tm parts{};
    ::gmtime_r(&time, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                       parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                       rest.count());
}

/// The names of the tools, each once.
inline std::vector<std::string> tools_of(const std::vector<Report>& reports) {
    std::vector<std::string> result;
    for (const auto& report : reports) {
        if (std::find(result.begin(), result.end(), report.slug) == result.end()) {
            result.push_back(report.slug);
        }
    }
    return result;
}

/// Whether there was a run and all passed.
inline bool all_passed(const std::vector<Report>& reports) {
    return !reports.empty() && std::all_of(reports.begin(), reports.end(),
                                           [](const Report& report) { return report.passed(); });
}

} // namespace test_tunnel::detail
