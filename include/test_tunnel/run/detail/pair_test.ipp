#pragma once

// How one pair is tested, check by check.

#include <algorithm>
#include <chrono>
#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/base/interruption.hpp"
#include "test_tunnel/config/observer.hpp"
#include "test_tunnel/report/detail/ladder.hpp"
#include "test_tunnel/run/detail/account.hpp"
#include "test_tunnel/run/detail/known_failures.hpp"
#include "test_tunnel/run/detail/pair_test.hpp"

namespace test_tunnel::detail {

TEST_TUNNEL_INLINE PairTest::PairTest(TestTunnel& tunnel, const Pair& pair, std::uint64_t seed,
                                      const PairNews& news)
    : checks_{select(tunnel.config(), tunnel.checks(), tunnel.transports())},
      result_{.pair = pair, .checks = {}, .seed = seed},
      news_{news},
      state_{tunnel, pair, seed},
      run_{state_},
      patience_{tunnel.config().on_failure, tunnel.config().timeouts.failures} {}

TEST_TUNNEL_INLINE PairResult PairTest::run() {
    auto& log = *state_.config.log;
    const auto slug = state_.tunnel.slug();
    const auto started = Clock::now();
    log.info(fmt::format("{} {}: {}", slug, result_.pair.name(), result_.pair.text()));
    try {
        run_checks();
        soak();
    } catch (const Interrupted& error) {
        for (auto i = result_.checks.size(); i < checks_.size(); ++i) {
            skip(checks_[i], error.what());
        }
    }
    state_.life.stop_unjudged();
    result_.duration = Clock::now() - started;
    result_.start = state_.life.time_to_start();
    result_.stop = state_.life.time_to_stop();
    result_.use = state_.life.use();
    log.info(fmt::format("{} {}: {}", slug, result_.pair.name(), result_.text()));
    return std::move(result_);
}

TEST_TUNNEL_INLINE void PairTest::run_checks() {
    auto next = checks_.begin();
    const auto is_hello = [](const Check& check) {
        return check.level == Level::hello && check.needs != Transports{};
    };
    struct Failed {
        const Check* hello;
        Outcome outcome;
    };
    std::vector<Failed> failed; // one failure, and not forty
    for (; next != checks_.end() && is_hello(*next); ++next) {
        run_one(*next);
        if (const auto outcome = result_.checks.back().outcome; is_failure(outcome)) {
            failed.push_back({.hello = &*next, .outcome = outcome});
        }
    }
    const auto blocks = [&](const Check& check) -> const Failed* {
        const auto found = std::find_if(failed.begin(), failed.end(), [&](const Failed& each) {
            return check.needs == Transports{} || check.needs.include(each.hello->needs);
        });
        return found == failed.end() ? nullptr : &*found;
    };
    if (next != checks_.begin()) {
        for (auto later = next; later != checks_.end(); ++later) {
            if (blocks(*later) == nullptr) {
                prepare(*later);
            }
        }
    }
    for (; next != checks_.end(); ++next) {
        if (const auto* reason = blocks(*next)) {
            // What is known to fail is no failure, and what can't be tried for it is none, either.
            const bool is_known = reason->outcome == Outcome::known_failure;
            skip(*next,
                 fmt::format("not tried, since {} {}", reason->hello->id,
                             is_known ? "is known to fail" : "failed"),
                 is_known ? Outcome::not_applicable : Outcome::skipped);
        } else {
            run_one(*next);
        }
    }
}

/// Whether the tool did not serve a connection: with what was done ahead there may have been more
/// of them than it serves at once.
inline bool was_not_served(const CheckResult& result) {
    const auto kind = result.step_kind;
    return result.outcome == Outcome::failed &&
           (kind == StepKind::connect || kind == StepKind::handshake || kind == StepKind::accept);
}

TEST_TUNNEL_INLINE void PairTest::prepare(const Check& check) {
    if (check.prepare == nullptr) {
        return;
    }
    if (!patience_.reason_to_skip(check).empty()) {
        return;
    }
    auto result = attempt(check, [&] {
        // One that ends silent connections would have ended them by the time that they are looked
        // at.
        const bool may_wait = check.needs.tcp ? !state_.traits.idle_timeout && run_.is_concurrent()
                                              : state_.traits.concurrent.value_or(true);
        if (state_.prepared.is_possible() && may_wait) {
            auto prepared = check.prepare(run_);
            state_.prepared.keep(check.id, {.state = std::move(prepared),
                                            .start = state_.life.starts(),
                                            .entries = state_.journal.take()});
        }
    });
    if (was_not_served(result)) {
        state_.prepared.give_up();
    } else if (result.outcome == Outcome::failed) {
        take(check, result);
        failed_ahead_.emplace(check.id, std::move(result));
    }
}

TEST_TUNNEL_INLINE void PairTest::run_one(const Check& check) {
    if (const auto failed = failed_ahead_.find(check.id); failed != failed_ahead_.end()) {
        add(check, std::move(failed->second));
        return;
    }
    if (const auto reason = patience_.reason_to_skip(check); !reason.empty()) {
        patience_.take_skip(check);
        skip(check, fmt::format("not tried, since {}", reason));
        return;
    }
    tell_begin(check);
    const auto act = [&] { check.run(run_); };
    auto result = attempt(check, act);
    if (was_not_served(result) && state_.prepared.give_up()) {
        result = attempt(check, act);
    }
    take(check, result);
    add(check, std::move(result));
}

/// Judges a result by what the tool is known for, and becomes less patient where it is a failure.
TEST_TUNNEL_INLINE void PairTest::take(const Check& check, CheckResult& result) {
    judge_by_known(result, state_.config, result_.pair.name(), heading_of(check));
    if (result.outcome == Outcome::failed) {
        patience_.take_failure(check, result, state_.config.timeouts, state_.life.time_to_start());
    }
}

/// "socat 4→6 / data.duplex"
TEST_TUNNEL_INLINE std::string PairTest::heading_of(const Check& check) const {
    return fmt::format("{} {} / {}", state_.tunnel.slug(), state_.pair().name(), check.id);
}

TEST_TUNNEL_INLINE void PairTest::skip(const Check& check, std::string_view reason,
                                       Outcome outcome) {
    CheckResult result;
    result.outcome = outcome;
    result.account = reason;
    add(check, std::move(result));
}

TEST_TUNNEL_INLINE void PairTest::tell_begin(const Check& check) const {
    const auto slug = state_.tunnel.slug();
    const auto pair = result_.pair.name();
    news_.check_begins({.slug = slug,
                        .pair = pair,
                        .id = check.id,
                        .index = result_.checks.size(),
                        .count = std::max(checks_.size(), result_.checks.size() + 1)});
}

TEST_TUNNEL_INLINE void PairTest::add(const Check& check, CheckResult result) {
    result.id = check.id;
    result.title = check.title;
    if (result.outcome == Outcome::failed) {
        news_.check_failed(result, result_.pair.name());
    } else if (result.outcome == Outcome::known_failure) {
        // What is known is told in short; reports have all of it.
        state_.config.log->warn("known failure: {}",
                                result.account.substr(0, result.account.find("\n  pair:")));
    }
    result_.checks.push_back(std::move(result));
}

/// What comes of `act`, which does something for `check`, and of the tool afterwards.
TEST_TUNNEL_INLINE CheckResult PairTest::attempt(const Check& check,
                                                 const std::function<void()>& act) {
    const auto started = Clock::now();
    const auto heading = heading_of(check);
    state_.check = check;
    state_.pattern = state_.seed.derive(check.id);
    state_.patience.reset();
    state_.supervisor.reset();
    state_.strays.clear();
    state_.granted.clear();
    state_.upstream_answer = nullptr;
    state_.wrong_request.reset();
    state_.may_ask_otherwise = false;
    state_.journal.begin(heading);
    state_.life.begin_check();
    state_.life.discard_datagrams();

    auto result = judged(act);
    result.id = check.id;
    auto entries = state_.journal.take();
    result.notes = std::move(entries.notes);
    result.shown = std::move(entries.shown);
    result.steps = std::move(entries.steps);
    result.duration = Clock::now() - started;
    auto& log = *state_.config.log;
    if (log.should_log(spdlog::level::debug)) {
        log.debug(
            fmt::format("{}: {}: {}", heading, text_of(result.outcome), timeline(result.steps)));
    }
    return result;
}

TEST_TUNNEL_INLINE CheckResult PairTest::judged(const std::function<void()>& act) {
    CheckResult result;
    try {
        try {
            act();
        } catch (const NotApplicable& reason) {
            result.outcome = Outcome::not_applicable;
            result.account = reason.what();
        }
        state_.strays.clear();
        state_.granted.clear();
        state_.upstream_answer = nullptr;
        run_.settle();
        return result;
    } catch (const SetupError&) {
        throw;
    } catch (const SystemError& error) {
        // The machine's fault: no descriptors, no processes, a port that was taken.
        if (!state_.life.has_tool() || is_own_fault(error.code())) {
            const auto& steps = state_.journal.entries().steps;
            throw SetupError{fmt::format("{} {}: {}: {}", state_.tunnel.slug(),
                                         state_.pair().name(),
                                         steps.empty() ? "" : steps.back().name, error.what())};
        }
        return failure(Cause::system_error, run_.expected(), error.what());
    } catch (const Unexpected& error) {
        return failure(error.cause(), error.expected(), error.actual());
    } catch (const std::exception& error) {
        return failure(cause_of(error), run_.expected(), error.what());
    }
}

/// Ends the tool: the next check gets a new one, so that one failure does not become ten.
TEST_TUNNEL_INLINE CheckResult PairTest::failure(Cause cause, std::string expected,
                                                 std::string actual) {
    auto& life = state_.life;
    if (life.has_tool()) {
        auto& tool = life.tool();
        // A connection that breaks is often the first that is seen of a crash.
        constexpr auto grace = std::chrono::milliseconds{50};
        tool.wait_for_end(Deadline::after(grace));
        try {
            tool.supervisor()->require_running();
        } catch (const ToolEnded& error) {
            actual += cause == Cause::tool_ended ? "" : fmt::format("\n{}", error.what());
        }
        life.stop_unjudged();
        if (state_.config.keep) {
            tool.keep_files();
        }
    }
    const auto& entries = state_.journal.entries();
    CheckResult result;
    result.outcome = Outcome::failed;
    result.step = entries.steps.empty() ? "" : entries.steps.back().name;
    result.step_kind = entries.steps.empty() ? StepKind::other : entries.steps.back().kind;
    result.cause = cause;
    result.expected = std::move(expected);
    result.actual = std::move(actual);
    result.steps = entries.steps;
    result.account = account_of({.title = heading_of(state_.check),
                                 .pair = state_.pair(),
                                 .failed = result,
                                 .hint = entries.hint,
                                 .tool = life.has_tool() ? &life.tool() : nullptr,
                                 .seed = result_.seed,
                                 .dialect = state_.config.dialect});
    life.forget();
    return result;
}

} // namespace test_tunnel::detail
