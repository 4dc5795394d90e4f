#pragma once

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/detail/suggestion.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/config/config.hpp"
#include "test_tunnel/config/detail/wording.hpp"
#include "test_tunnel/discovery/pairs.hpp"
#include "test_tunnel/report/report.hpp"
#include "test_tunnel/run/check.hpp"

namespace test_tunnel::detail {

/// Returns the text with a single blank wherever it has blanks or ends of lines.
inline std::string on_one_line(std::string_view text) {
    std::string result;
    for (const char character : text) {
        const bool is_blank = std::isspace(static_cast<unsigned char>(character)) != 0;
        if (!is_blank) {
            result += character;
        } else if (!result.empty() && result.back() != ' ') {
            result += ' ';
        }
    }
    return result;
}

/// Whether the failure tells that text.
inline bool tells(const CheckResult& failure, std::string_view text) {
    const auto wanted = on_one_line(text);
    return on_one_line(failure.step).find(wanted) != std::string::npos ||
           on_one_line(failure.expected).find(wanted) != std::string::npos ||
           on_one_line(failure.actual).find(wanted) != std::string::npos;
}

/// Returns what is known of a check on a pair of that name.
inline std::vector<KnownFailure> known_failures_of(const Config& config, std::string_view check,
                                                   std::string_view pair) {
    std::vector<KnownFailure> result;
    for (const auto& known : config.known_failures) {
        if (known.check == check && (known.pair.empty() || parse_pair_name(known.pair) == pair)) {
            result.push_back(known);
        }
    }
    return result;
}

/// Judges what has come of a check by what the tool is known for on a pair of that name: one that
/// was to fail and has passed fails now. `title` names tool, pair and check.
inline void judge_by_known(CheckResult& result, const Config& config, std::string_view pair,
                           std::string_view title) {
    const auto all = known_failures_of(config, result.id, pair);
    if (all.empty()) {
        return;
    }
    std::vector<std::string> quoted;
    quoted.reserve(all.size());
    for (const auto& known : all) {
        quoted.push_back(fmt::format("\"{}\"", known.text));
    }
    const auto known_as =
        fmt::format("{} ({})", joined(quoted, ", or "), wording_of_known_failures(config.dialect));
    const bool comes_always = std::all_of(
        all.begin(), all.end(), [](const KnownFailure& known) { return known.comes_always; });
    if (result.outcome == Outcome::failed) {
        const bool is_known = std::any_of(all.begin(), all.end(), [&](const KnownFailure& known) {
            return tells(result, known.text);
        });
        if (is_known) {
            result.outcome = Outcome::known_failure;
        } else {
            result.account += fmt::format("\n  known:    another failure: {}", known_as);
        }
    } else if (result.outcome == Outcome::passed && comes_always) {
        result.outcome = Outcome::failed;
        result.cause = Cause::unexpected;
        result.step = "known failure";
        result.expected = "the failure that the tool is known for: " + known_as;
        result.actual = "it has passed: it is no longer known to fail";
        result.account = fmt::format("{}: failed at step \"{}\"\n  expected: {}\n  actual:   {}",
                                     title, result.step, result.expected, result.actual);
    }
}

/// Returns the ids of checks.
inline std::vector<std::string> ids_of(const std::vector<Check>& checks) {
    std::vector<std::string> result;
    result.reserve(checks.size());
    for (const auto& check : checks) {
        result.emplace_back(check.id);
    }
    return result;
}

/// Throws InvalidConfig for a known failure of a check that is none of `all`, without a text, or
/// of a pair that is none.
inline void validate_known_failures(const Config& config, const std::vector<Check>& all) {
    for (const auto& known : config.known_failures) {
        const auto ids = ids_of(all);
        if (std::find(ids.begin(), ids.end(), known.check) == ids.end()) {
            throw InvalidConfig{fmt::format("known failure '{}': there is no such check{}",
                                            known.check, suggestion(known.check, ids))};
        }
        if (on_one_line(known.text).find_first_not_of(' ') == std::string::npos) {
            throw InvalidConfig{fmt::format(
                "known failure '{}': it needs a part of what the failure tells", known.check)};
        }
        if (!known.pair.empty()) {
            parse_pair_name(known.pair);
        }
    }
}

} // namespace test_tunnel::detail
