#pragma once

// How one pair is tested, check by check.

#include <chrono>
#include <exception>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "../../observer.hpp"
#include "../../tunnel.hpp"
#include "../account.hpp"
#include "../inline.hpp"
#include "../ladder.hpp"
#include "../text.hpp"
#include "tunnel.hpp" // TestTunnel::observed, a template

namespace test_tunnel {

TEST_TUNNEL_INLINE PairResult TestTunnel::run_pair(const Pair& pair) {
    auto report = empty_report();
    report.pairs.push_back(observed([&] { return test_pair(pair); }));
    report.duration = report.pairs.back().duration;
    for (const auto& observer : config_.observers) {
        observer->pair_ended(report);
    }
    return std::move(report.pairs.back());
}

TEST_TUNNEL_INLINE PairResult TestTunnel::test_pair(const Pair& pair) {
    const auto selected = select(config_, checks());
    const auto started = Clock::now();
    PairResult result{.pair = pair, .checks = {}, .seed = seed_};
    config_.log->info(fmt::format("{} {}: {}", slug(), pair.name(), pair.text()));
    PairRun run{*this, pair, seed_};
    const auto act = [&](const Check& check) { check.run(run); };
    const auto act_ahead = [&](const Check& /*check*/) { run.prepare(); };
    // With what was done ahead there may have been more connections than the tool serves at once.
    const auto was_not_served = [](const CheckResult& entry) {
        return entry.outcome == Outcome::failed &&
               (entry.step == "connect" || entry.step == "handshake" || entry.step == "accept");
    };
    const auto tool = slug();
    const auto name = pair.name();
    bool is_tunnel = true;
    std::map<std::string_view, CheckResult> failed_ahead;
    for (const auto& check : selected) {
        CheckResult entry;
        if (is_tunnel) {
            for (const auto& observer : config_.observers) {
                observer->check_begins({.slug = tool,
                                        .pair = name,
                                        .id = check.id,
                                        .index = result.checks.size(),
                                        .count = selected.size()});
            }
        }
        if (const auto failed = failed_ahead.find(check.id); failed != failed_ahead.end()) {
            entry = std::move(failed->second);
        } else if (is_tunnel) {
            entry = run_check(run, check, act);
            if (was_not_served(entry) && run.drop_prepared()) {
                entry = run_check(run, check, act);
            }
        } else {
            entry.outcome = Outcome::skipped;
            entry.account = fmt::format("not tried, since {} failed", selected.front().id);
        }
        entry.id = check.id;
        entry.title = check.title;
        const bool passed = entry.outcome != Outcome::failed;
        result.checks.push_back(std::move(entry));
        if (&check != &selected.front() || check.level != Level::hello) {
            continue;
        }
        is_tunnel = passed; // one failure, and not forty
        for (const auto& later : selected) {
            if (is_tunnel && later.prepare != nullptr) {
                auto ahead = run_check(run, later, act_ahead);
                if (was_not_served(ahead)) {
                    static_cast<void>(run.drop_prepared());
                } else if (ahead.outcome == Outcome::failed) {
                    failed_ahead.emplace(later.id, std::move(ahead));
                }
            }
        }
    }
    if (run.has_server()) {
        run.server().stop(config_.timeouts.stop, config_.timeouts.linger);
    }
    result.duration = Clock::now() - started;
    config_.log->info(fmt::format("{} {}: {}", slug(), pair.name(), result.text()));
    return result;
}

template <typename Act>
CheckResult TestTunnel::run_check(PairRun& run, const Check& check, Act act) {
    CheckResult result;
    const auto started = Clock::now();
    run.begin(check);
    try {
        try {
            act(check);
        } catch (const NotApplicable& reason) {
            result.outcome = Outcome::not_applicable;
            result.account = reason.what();
        }
        run.settle();
    } catch (const SetupError&) {
        throw;
    } catch (const SystemError& error) {
        // The machine's fault: no descriptors, no processes, a port that was taken.
        if (!run.has_server() || detail::is_own_fault(error.code())) {
            throw SetupError{fmt::format("{} {}: {}: {}", slug(), run.pair().name(),
                                         run.steps_.empty() ? "" : run.steps_.back().name,
                                         error.what())};
        }
        result = failure(run, run.expected(), error.what());
    } catch (const Unexpected& error) {
        result = failure(run, error.expected(), error.actual());
    } catch (const std::exception& error) {
        result = failure(run, run.expected(), error.what());
    }
    result.id = check.id;
    result.notes = std::move(run.notes_);
    result.steps = std::move(run.steps_);
    result.duration = Clock::now() - started;
    if (config_.log->should_log(spdlog::level::debug)) {
        config_.log->debug(fmt::format("{} {} / {}: {}: {}", slug(), run.pair().name(), check.id,
                                       text_of(result.outcome), detail::timeline(result.steps)));
    }
    return result;
}

/// Ends the tool: the next check gets a new one, so that one failure does not become ten.
TEST_TUNNEL_INLINE CheckResult TestTunnel::failure(PairRun& run, std::string expected,
                                                   std::string actual) const {
    if (auto& server = run.server_) {
        // A connection that breaks is often the first that is seen of a crash.
        constexpr auto grace = std::chrono::milliseconds{50};
        server->wait_for_end(Deadline::after(grace));
        try {
            server->watch().lock()->require_running();
        } catch (const ToolEnded& error) {
            const bool is_told = actual.find(error.what()) != std::string::npos;
            actual += is_told ? "" : fmt::format("\n{}", error.what());
        }
        server->stop(config_.timeouts.stop, config_.timeouts.linger);
        if (config_.keep) {
            server->keep_files();
        }
    }
    CheckResult result;
    result.outcome = Outcome::failed;
    result.step = run.steps_.empty() ? "" : run.steps_.back().name;
    result.expected = std::move(expected);
    result.actual = std::move(actual);
    result.steps = run.steps_;
    result.account = detail::account_of(
        {.title = fmt::format("{} {} / {}", slug(), run.pair().name(), run.check_.id),
         .pair = run.pair(),
         .failed = result,
         .server = run.server_ ? &*run.server_ : nullptr,
         .seed = seed_});
    run.server_.reset();
    config_.log->error(result.account);
    return result;
}

} // namespace test_tunnel
