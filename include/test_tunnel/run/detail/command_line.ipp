#pragma once

#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/detail/number.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/config/level.hpp"
#include "test_tunnel/discovery/pairs.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/command_line.hpp"

namespace test_tunnel {

namespace detail {

/// All of `text` as a number; throws InvalidConfig that names the option.
template <typename Number>
Number parse_number(std::string_view option, std::string_view text) {
    if (const auto number = read_number<Number>(text)) {
        return *number;
    }
    throw InvalidConfig{fmt::format("{} takes a number, not '{}'", option, text)};
}

/// The value of an option that takes 1 or more. Throws InvalidConfig.
inline std::size_t parse_count(std::string_view option, std::string_view text) {
    constexpr std::size_t most = 1'000'000;
    const auto number = read_number<std::size_t>(text).value_or(0);
    if (number < 1 || number > most) {
        throw InvalidConfig{fmt::format("{} takes 1 to 1000000, not '{}'", option, text)};
    }
    return number;
}

/// The value of an option that takes seconds, up to a day. Throws InvalidConfig.
inline Duration parse_seconds(std::string_view option, std::string_view text) {
    const auto seconds = parse_number<double>(option, text);
    constexpr double a_day = 86400;
    if (std::isnan(seconds) || seconds < 0 || seconds > a_day) {
        throw InvalidConfig{fmt::format("{} takes 0 to 86400 seconds, not '{}'", option, text)};
    }
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>{seconds});
}

/// The value of an option that takes a size: "5G". Throws InvalidConfig.
inline std::uint64_t parse_size(std::string_view option, std::string_view text) {
    constexpr std::string_view letters = "KMG";
    const auto end = text.find_last_not_of(letters);
    const auto digits = text.substr(0, end == std::string_view::npos ? 0 : end + 1);
    const auto unit = text.substr(digits.size());
    const auto shift = unit.empty() ? 0 : 10 * (letters.find(unit) + 1);
    const auto number = read_number<std::uint64_t>(digits).value_or(0);
    constexpr std::uint64_t most = std::uint64_t{1} << 60U;
    if (number == 0 || unit.size() > 1 || number > (most >> shift)) {
        throw InvalidConfig{fmt::format(
            "{} takes a number of bytes, such as 4096, 500M or 5G, not '{}'", option, text)};
    }
    return number << shift;
}

/// The value of an option that takes a time with a unit, up to 30 days: "10m". Throws
/// InvalidConfig.
inline Duration parse_time(std::string_view option, std::string_view text) {
    constexpr std::string_view letters = "smh";
    constexpr std::array<double, 3> seconds{1, 60, 3600};
    constexpr double most = 30.0 * 86400;
    const auto letter = text.empty() ? std::string_view::npos : letters.find(text.back());
    const bool has_unit = letter != std::string_view::npos;
    const auto digits = has_unit ? text.substr(0, text.size() - 1) : text;
    const auto time = read_number<double>(digits).value_or(0) * (has_unit ? seconds.at(letter) : 1);
    const bool is_time = time > 0 && time <= most; // nor a NaN
    if (!is_time) {
        throw InvalidConfig{
            fmt::format("{} takes a time, such as 90s, 10m or 2h, not '{}'", option, text)};
    }
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>{time});
}

/// The value of --known-failure. Throws InvalidConfig.
inline KnownFailure parse_known_failure(std::string_view text) {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) {
        throw InvalidConfig{
            fmt::format("a known failure is ID=TEXT or PAIR/ID=TEXT, not '{}'", text)};
    }
    const auto name = text.substr(0, equals);
    const auto slash = name.find('/');
    const auto has_pair = slash != std::string_view::npos;
    return {.check = std::string{has_pair ? name.substr(slash + 1) : name},
            .text = std::string{text.substr(equals + 1)},
            .pair = has_pair ? parse_pair_name(name.substr(0, slash)) : std::string{}};
}

/// Takes the value of --timeout-scale. Throws InvalidConfig.
inline void scale_timeouts(std::string_view text) {
    try {
        set_timeout_scale(read_number<double>(text).value_or(0));
    } catch (const InvalidConfig&) {
        throw InvalidConfig{
            fmt::format("--timeout-scale takes a number above 0 and up to 1000, not '{}'", text)};
    }
}

} // namespace detail

TEST_TUNNEL_INLINE std::vector<RunOption> run_options() {
    return {
        {"--level", "level", "how thoroughly: hello, standard (the default) or strict", false,
         [](auto& settings, const auto& text) {
             settings.config.level = choose<Level>("level", text,
                                                   {{"hello", Level::hello},
                                                    {"standard", Level::standard},
                                                    {"strict", Level::strict}});
         }},
        {"--check", "pattern", "only the checks whose id matches, such as 'data.*'", true,
         [](auto& settings, const auto& text) { settings.config.only.push_back(text); }},
        {"--not-check", "pattern", "all but the checks whose id matches", true,
         [](auto& settings, const auto& text) { settings.config.except.push_back(text); }},
        {"--known-failure", "id=text",
         "a failure that the tool is known for, by its check and a part of what it tells: it does "
         "not count, but has to come; 4-6/id=text where it is known on that combination only",
         true,
         [](auto& settings, const auto& text) {
             settings.config.known_failures.push_back(detail::parse_known_failure(text));
         }},
        {"--occasional-failure", "id=text",
         "the same for a failure that comes in some runs only: the check may pass", true,
         [](auto& settings, const auto& text) {
             auto known = detail::parse_known_failure(text);
             known.comes_always = false;
             settings.config.known_failures.push_back(std::move(known));
         }},
        {"--pair", "pair",
         "only this combination of address families, such as 4-6: the tool listens on IPv4 and "
         "connects on IPv6, or 4-4 for a tool that has IPv4 only; skipped where this machine lacks "
         "one of those that are asked for",
         true,
         [](auto& settings, const auto& text) {
             settings.config.pairs.push_back(parse_pair_name(text));
         }},
        {"--seed", "number",
         "makes the data of an earlier run again; its report has the number (default: another one "
         "each time)",
         false,
         [](auto& settings, const auto& text) {
             settings.config.seed = detail::parse_number<std::uint64_t>("--seed", text);
         }},
        {"--idle", "seconds",
         "how long a connection is left silent by the check idle, at the level strict (default: "
         "70)",
         false,
         [](auto& settings, const auto& text) {
             settings.config.idle = detail::parse_seconds("--idle", text);
         }},
        {"--volume", "size",
         "how much the check data.volume carries each way in one connection, such as 500M or 5G "
         "(default: the check is not run)",
         false,
         [](auto& settings, const auto& text) {
             settings.config.volume = detail::parse_size("--volume", text);
         }},
        {"--soak", "time",
         "tests each combination that has passed again and again with one tool for so long, such "
         "as 90s, 10m or 2h, and tells how long connections took and what the tool held (default: "
         "not at all)",
         false,
         [](auto& settings, const auto& text) {
             settings.config.soak = detail::parse_time("--soak", text);
         }},
        {"--jobs", "number",
         "how many combinations are tested at once, each in a process of its own, where hooks "
         "change and "
         "assert nothing for the others (default: 1; of check_command, which has no hooks, twice "
         "the "
         "number of processors)",
         false,
         [](auto& settings, const auto& text) {
             settings.config.jobs = detail::parse_count("--jobs", text);
         }},
        {"--repeat", "number",
         "tests each combination so often, with another seed each time, and tells how many rounds "
         "failed",
         false,
         [](auto& settings, const auto& text) {
             settings.config.rounds = detail::parse_count("--repeat", text);
         }},
        {"--until-failure", "",
         "ends after the first round that fails; without --repeat after a million rounds", false,
         [](auto& settings, const auto& /*text*/) { settings.config.until_failure = true; }},
        {"--fail-fast", "", "tries nothing more where a check has failed, on any combination",
         false,
         [](auto& settings, const auto& /*text*/) {
             settings.config.on_failure = OnFailure::stop;
         }},
        {"--keep-going", "",
         "tries all checks with full patience, however many have failed (default: none that would "
         "fail for the same reason, and none when failures have taken 12 seconds)",
         false,
         [](auto& settings, const auto& /*text*/) {
             settings.config.on_failure = OnFailure::go_on;
         }},
        {"--time-limit", "seconds",
         "how long the whole run may take: then what was not tested has not passed", false,
         [](auto& settings, const auto& text) {
             settings.time_limit = detail::parse_seconds("--time-limit", text);
         }},
        {"--network", "network",
         "where it is tested: private, in a network of its own; host, in that of the machine; or "
         "auto, private where the system allows it (default: the variable TEST_TUNNEL_NETWORK, "
         "else auto)",
         false,
         [](auto& settings, const auto& text) {
             settings.network = choose<NetworkMode>("network", text,
                                                    {{"auto", NetworkMode::automatic},
                                                     {"private", NetworkMode::isolated},
                                                     {"host", NetworkMode::host}});
         }},
        {"--offset", "number",
         "added to the first port that is tried, 6374; where it is negative: --offset=-100", false,
         [](auto& settings, const auto& text) {
             settings.config.offset = detail::parse_number<int>("--offset", text);
         }},
        {"--timeout-scale", "number", "multiplies all timeouts, for a slow machine", false,
         [](auto& /*settings*/, const auto& text) { detail::scale_timeouts(text); }},
        {"--json", "file", "writes a report for programs", false,
         [](auto& settings, const auto& text) { settings.reports.json = text; }},
        {"--html", "file", "writes a report for a browser", false,
         [](auto& settings, const auto& text) { settings.reports.html = text; }},
        {"--junit", "file", "writes a report in JUnit's XML, for a CI system", false,
         [](auto& settings, const auto& text) { settings.reports.junit = text; }},
        {"--keep", "", "leaves the files of a tool that has failed where they are", false,
         [](auto& settings, const auto& /*text*/) { settings.config.keep = true; }},
        {"--verbose", "", "logs all details, and what the tool prints", false,
         [](auto& settings, const auto& /*text*/) { settings.config.verbose = true; }},
    };
}

TEST_TUNNEL_INLINE std::string list_of_checks() {
    std::string text;
    for (const auto& check : checks()) {
        text += fmt::format("{:<24} {:<9} {}\n", check.id, text_of(check.level), check.title);
    }
    return text;
}

TEST_TUNNEL_INLINE std::string list_of_pairs(const Config& config) {
    std::string text;
    for (const auto& pair : discover_pairs(config)) {
        text += fmt::format("{}  {}\n", pair.name(), pair.text());
    }
    return text;
}

} // namespace test_tunnel
