#pragma once

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/interruption.hpp"
#include "test_tunnel/config/config.hpp"
#include "test_tunnel/config/observer.hpp"
#include "test_tunnel/kernel/processes.hpp"
#include "test_tunnel/kernel/usage.hpp"
#include "test_tunnel/run/detail/pair_test.hpp"
#include "test_tunnel/run/detail/rounds.hpp"
#include "test_tunnel/run/detail/workers.hpp"
#include "test_tunnel/run/tunnel.hpp"

namespace test_tunnel::detail {

TEST_TUNNEL_INLINE Report begin_report(const TestTunnel& tunnel) {
    return {.slug = tunnel.slug(),
            .pairs = {},
            .seed = tunnel.seed(),
            .program = tunnel.config().prog,
            .version = tunnel.version(),
            .command = own_command_line(),
            .level = tunnel.config().level,
            .traits = tunnel.traits(),
            .began = std::chrono::system_clock::now()};
}

/// How many rounds there are at most.
inline std::size_t rounds_of(const Config& config) {
    constexpr std::size_t without_a_number = 1'000'000;
    return config.until_failure && config.rounds <= 1 ? without_a_number
                                                      : std::max<std::size_t>(config.rounds, 1);
}

TEST_TUNNEL_INLINE Rounds::Rounds(TestTunnel& tunnel, Failures& failures)
    : tunnel_{tunnel},
      failures_{failures},
      rounds_{rounds_of(tunnel.config())},
      news_{.check_begins =
                [this](const Observer::Progress& progress) {
                    for (const auto& observer : tunnel_.config().observers) {
                        observer->check_begins(progress);
                    }
                },
            .check_failed =
                [this](CheckResult& failure, const std::string& pair) {
                    failures_.tell(failure, pair, *tunnel_.config().log);
                }} {}

TEST_TUNNEL_INLINE void Rounds::run(const std::vector<Pair>& pairs,
                                    std::vector<PairResult>& results) {
    results_ = &results;
    const auto& config = tunnel_.config();
    const auto tell_all = [&] {
        if (rounds_ > 1) { // else each was told when it was known
            std::for_each(results.begin(), results.end(),
                          [&](const PairResult& result) { tell(result); });
        }
    };
    try {
        for (std::size_t round = 0; round < rounds_; ++round) {
            run_round(pairs, tunnel_.seed() + round);
            Interruption::throw_if_any();
            if (has_failed_ && (config.until_failure || config.on_failure == OnFailure::stop)) {
                break;
            }
        }
    } catch (const SetupError&) {
        tell_all();
        throw;
    }
    tell_all();
}

/// Whether pairs can be tested in processes of their own.
TEST_TUNNEL_INLINE bool Rounds::may_be_at_once(std::size_t count) {
    const auto& config = tunnel_.config();
    if (config.jobs < 2 || count < 2) {
        return false;
    }
    const auto own = usage_of(::getpid());
    if (own && own->threads > 1) {
        if (std::exchange(has_warned_, true)) {
            return false;
        }
        config.log->warn(
            "the combinations are tested in turn and not {} at once: this process has "
            "{} threads, and can't be forked",
            config.jobs, own->threads);
        return false;
    }
    return true;
}

TEST_TUNNEL_INLINE void Rounds::run_round(const std::vector<Pair>& pairs, std::uint64_t seed) {
    if (may_be_at_once(pairs.size())) {
        const Workers::Told told{
            .news = news_, .pair_ended = [this](PairResult result) { take(std::move(result)); }};
        Workers{tunnel_, pairs, seed, told}.run();
        return;
    }
    for (const auto& pair : pairs) {
        take(PairTest{tunnel_, pair, seed, news_}.run());
        Interruption::throw_if_any();
        if (has_failed_ && tunnel_.config().on_failure == OnFailure::stop) {
            return;
        }
    }
}

/// Keeps what has come of a pair in this round: of several rounds the first in which it failed, or
/// else the last.
TEST_TUNNEL_INLINE void Rounds::take(PairResult result) {
    for (auto& check : result.checks) {
        if (check.outcome == Outcome::failed) {
            failures_.recognize(check, result.pair.name());
        }
    }
    const bool has_failed = result.count(Outcome::failed) > 0;
    has_failed_ = has_failed_ || has_failed;
    const bool has_rounds = rounds_ > 1;
    if (has_rounds && has_failed) {
        result.failed_seeds = {result.seed};
    }
    const auto known = std::find_if(results_->begin(), results_->end(), [&](const auto& other) {
        return other.pair.name() == result.pair.name();
    });
    const bool is_cut_short = !has_failed && result.count(Outcome::skipped) > 0;
    if (known != results_->end() && is_cut_short) {
        return; // what was known of it is worth more
    }
    if (known == results_->end()) {
        results_->push_back(std::move(result));
    } else {
        auto seeds = known->failed_seeds;
        const bool had_failed = !seeds.empty();
        seeds.insert(seeds.end(), result.failed_seeds.begin(), result.failed_seeds.end());
        const auto rounds = known->rounds + 1;
        if (!had_failed) {
            *known = std::move(result);
        }
        known->rounds = rounds;
        known->failed_seeds = std::move(seeds);
    }
    if (!has_rounds) {
        tell(results_->back());
    }
}

TEST_TUNNEL_INLINE void Rounds::tell(const PairResult& result) {
    auto report = begin_report(tunnel_);
    report.began = began_;
    report.pairs.push_back(result);
    // One behind the other, they have taken as long as all together.
    const auto now = Clock::now();
    report.duration = now - std::exchange(told_at_, now);
    for (const auto& observer : tunnel_.config().observers) {
        observer->pair_ended(report);
    }
}

} // namespace test_tunnel::detail
