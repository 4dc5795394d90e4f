#pragma once

// What the reports for programs and for browsers have in common.

#include <algorithm>
#include <chrono>
#include <ctime>
#include <string>
#include <vector>

#include "../report.hpp"
#include "../version.hpp"
#include "fmt.hpp"

namespace test_tunnel::detail {

/// In one word, for programs.
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
    }
    return "unknown";
}

constexpr const char* text_of(Party party) {
    switch (party) {
        case Party::client:
            return "client";
        case Party::tool:
            return "tool";
        case Party::server:
            return "server";
    }
    return "unknown";
}

/// "0.1.0"
inline std::string library_version() {
    return fmt::format("{}.{}.{}", TEST_TUNNEL_VERSION_MAJOR, TEST_TUNNEL_VERSION_MINOR,
                       TEST_TUNNEL_VERSION_PATCH);
}

/// "2026-01-31T12:34:56.789Z": RFC 3339.
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

/// Whether there was a run and all passed.
inline bool all_passed(const std::vector<Report>& reports) {
    return !reports.empty() && std::all_of(reports.begin(), reports.end(),
                                           [](const Report& report) { return report.passed(); });
}

} // namespace test_tunnel::detail
