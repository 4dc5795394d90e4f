#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/checks/detail/proxy_trials.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Returns headers of version 2 with values behind the addresses, which a tool may use or pass over
/// (§2.2), the shorter ones first.
inline std::vector<HeaderTrial> extended_headers(PairRun& run) {
    constexpr unsigned protocol_name = 0x01;
    constexpr unsigned authority = 0x02;
    constexpr unsigned no_operation = 0x04;
    constexpr unsigned unique_id = 0x05;
    constexpr unsigned custom = 0xe0;
    const auto usual = usual_header(run, ProxyVersion::v2);
    const auto with = [&](std::string what, std::string header) {
        auto trial = usual;
        trial.what = fmt::format("a header of {} bytes with {}", header.size(), what);
        trial.header = std::move(header);
        return trial;
    };
    const auto value = [&](unsigned type, std::size_t size) {
        return detail::proxy_value(type, std::string(size, 'v'));
    };
    const auto plain = [&](std::string what, const std::string& values) {
        return with(std::move(what), detail::with_proxy_values(usual.header, values));
    };
    std::vector<HeaderTrial> result{
        plain("an empty value", value(no_operation, 0)),
        with("a checksum", detail::with_proxy_checksum(usual.header)),
        plain("three values", detail::proxy_value(protocol_name, "h2") +
                                  detail::proxy_value(authority, "proxy.test") +
                                  value(unique_id, 16)),
        plain("a value of an unknown type", value(custom, 100)),
        plain("padding", value(no_operation, 460)),
        plain("padding", value(no_operation, 1500)),
        with("padding and a checksum", detail::with_proxy_checksum(detail::with_proxy_values(
                                           usual.header, value(no_operation, 2000)))),
        plain("many values", [&] {
            std::string values;
            for (int i = 0; i < 125; ++i) {
                values += value(custom, 29);
            }
            return values;
        }())};
    std::stable_sort(result.begin(), result.end(), [](const auto& one, const auto& other) {
        return one.header.size() < other.header.size();
    });
    return result;
}

/// "Traits::longest_header = 107", or "--trait longest_header=107".
inline std::string wording_of_longest(PairRun& run, std::size_t longest) {
    const auto* const sign = run.config().dialect == Dialect::cpp ? " = " : "=";
    return fmt::format("{}{}{}", run.wording(trait::longest_header.name), sign, longest);
}

/// Judges a tool that has refused a header, of which the longest that it takes has `longest` bytes.
inline void judge_longest(PairRun& run, const HeaderTrial& refused, std::size_t longest) {
    const auto declared = run.traits().longest_header;
    if (declared && refused.header.size() > *declared) {
        run.note(
            fmt::format("a PROXY header of {} bytes is refused, one of {} bytes is not ({})",
                        refused.header.size(), longest, run.wording(trait::longest_header.name)),
            trait::longest_header.name);
        return;
    }
    throw Unexpected{
        run.expected(),
        fmt::format("it is refused; a tool that takes only shorter ones has to declare {}",
                    wording_of_longest(run, longest))};
}

/// Sends headers with values, and then one with a wrong checksum, which a tool must refuse that
/// knows of checksums (§2.2.3), and no other.
inline void send_extensions(PairRun& run) {
    HeaderTrials trials{run};
    const auto versions = versions_taken(run, trials);
    if (std::find(versions.begin(), versions.end(), ProxyVersion::v2) == versions.end()) {
        throw NotApplicable{"it takes version 1 of the PROXY protocol only"};
    }
    const auto usual = usual_header(run, ProxyVersion::v2);
    auto longest = usual.header.size();
    for (const auto& trial : extended_headers(run)) {
        const auto steps = run.steps();
        auto outcome = trials.outcome_of(trial, HeaderTrials::served, run.config().timeouts.io);
        if (outcome.fate == Fate::refused) {
            judge_longest(run, trial, longest);
            break;
        }
        trials.finish(trial, std::move(outcome));
        longest = trial.header.size();
        run.forget_steps(steps);
    }
    auto wrong = usual;
    wrong.what = "a header with a wrong checksum";
    wrong.header = detail::with_proxy_checksum(usual.header, 1);
    auto outcome =
        trials.outcome_of(wrong, "it is refused, or passed over", run.config().timeouts.io);
    if (outcome.fate == Fate::served) {
        run.note("it does not verify the checksum of a PROXY header");
    }
    // One that passes headers on as they are need not know what is in them.
    const bool is_passed_on = outcome.fate == Fate::leaked && run.server_header().has_value();
    if (outcome.fate != Fate::refused && !is_passed_on) {
        trials.finish(wrong, std::move(outcome));
    }
    run.sentinel();
}

inline constexpr Check proxy_extensions{
    .id = "proxy.extensions",
    .title = "PROXY headers of up to 4 KiB, with values behind the addresses, are taken",
    .level = Level::strict,
    .trait = trait::longest_header.name,
    .run = send_extensions};

} // namespace test_tunnel::check
