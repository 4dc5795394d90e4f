#pragma once

// One tool, tested again and again.

#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/interruption.hpp"
#include "test_tunnel/process/tool_usage.hpp"
#include "test_tunnel/run/detail/known_failures.hpp"
#include "test_tunnel/run/detail/pair_test.hpp"
#include "test_tunnel/run/detail/time_histogram.hpp"
#include "test_tunnel/run/detail/trends.hpp"

namespace test_tunnel::detail {

inline constexpr Check soak_row{
    .id = "soak",
    .title =
        "for as long as was asked for, the same tool does it again and again, and comes to "
        "hold no more"};

/// What is gathered during a soak; it does not grow.
struct Soaking {
    Soak result;
    Trends trends;
    TimeHistogram connecting;
    TimeHistogram turning;
    /// What the tool held after the first of the rounds that the trends are about.
    std::optional<ToolUsage> before;
    /// The number of the tool's start that the trends are about.
    int start = 0;
    Clock::time_point began = Clock::now();
};

/// Whether a check can be made again and again with the same tool: about data, ends, resets and
/// the processor, at `Level::standard`, and without long waits.
inline bool can_be_soaked(const Check& check) {
    constexpr std::array groups{"data.", "close.", "reset.", "resources."};
    return check.level <= Level::standard && check.prepare == nullptr &&
           check.is_asked_for == nullptr &&
           std::any_of(groups.begin(), groups.end(),
                       [&](std::string_view group) { return check.id.starts_with(group); });
}

/// Has clients come and go while others stay, and takes the time of each.
inline void load(PairRun& run, Soaking& soaking) {
    using namespace std::chrono_literals;
    constexpr int most_clients = 400;
    constexpr int least_clients = 20;
    constexpr std::size_t most_at_once = 16;
    auto width =
        run.is_concurrent() ? std::min(run.most_at_once().value_or(most_at_once), most_at_once) : 1;
    const auto enough = Deadline::unscaled(1s);
    const auto steps = run.steps();
    std::vector<Connection> open;
    unsigned ended = 0;
    const auto end_oldest = [&] {
        auto& [client, server] = open.front();
        const bool is_clients_turn = ++ended % 2 == 1;
        auto& first = is_clients_turn ? client : server;
        auto& second = is_clients_turn ? server : client;
        if (ended % 8 < 2) {
            first.reset();
        } else {
            first.close();
        }
        // That it must end is for other checks; but then the tool has room for another one.
        if (run.expects_end(is_clients_turn ? Direction::up : Direction::down)) {
            run.wait_for(second.event(POLLIN), Deadline::after(1s), "the end of the connection");
        }
        open.erase(open.begin());
    };
    for (int made = 0; made < most_clients && (made < least_clients || !enough.passed()); ++made) {
        run.forget_steps(steps);
        while (open.size() >= width) {
            end_oldest();
        }
        const auto began = Clock::now();
        constexpr std::size_t known = 2; // are served at once
        if (open.size() < known) {
            open.push_back(run.connect());
        } else if (!run.add_connection(open)) {
            width = open.size();
            continue;
        }
        const auto connected = Clock::now();
        soaking.connecting.add(connected - began);
        run.step("round trip", "the tool carries a few bytes each way", Party::client,
                 Party::server);
        auto& [client, server] = open.back();
        run.say(client, server, Party::client);
        run.say(server, client, Party::server);
        soaking.turning.add(Clock::now() - connected);
    }
}

/// What a failure says of where in the soak it came.
inline std::string place_in(const Soaking& soaking, std::string_view check, std::uint64_t seed) {
    return fmt::format("\nin round {} of the soak, after {}, by {}, with the seed {}",
                       soaking.result.rounds, text_of(Clock::now() - soaking.began), check, seed);
}

TEST_TUNNEL_INLINE void PairTest::soak() {
    if (state_.config.soak <= Duration::zero()) {
        return;
    }
    if (result_.count(Outcome::failed) > 0) {
        skip(soak_row, "not tried, since a check failed");
        return;
    }
    tell_begin(soak_row);
    const auto seed = result_.seed;
    const auto level = std::exchange(state_.config.level, Level::standard);
    Soaking soaking;
    CheckResult result;
    try {
        result = soak_rounds(soaking);
    } catch (const Interrupted& error) {
        result.outcome = Outcome::skipped;
        result.account = error.what();
    }
    soaking.result.duration = Clock::now() - soaking.began;
    soaking.result.trends = soaking.trends.all();
    soaking.result.times = {soaking.connecting.result("connect"),
                            soaking.turning.result("round trip")};
    result.duration = soaking.result.duration;
    result_.soak = std::move(soaking.result);
    result_.seed = seed;
    state_.config.level = level;
    add(soak_row, std::move(result));
    Interruption::throw_if_any();
}

/// Returns what came of the round that failed, or of the last one.
TEST_TUNNEL_INLINE CheckResult PairTest::soak_rounds(Soaking& soaking) {
    std::vector<Check> checks;
    std::copy_if(checks_.begin(), checks_.end(), std::back_inserter(checks), can_be_soaked);
    const auto end = Deadline::unscaled(state_.config.soak);
    const auto seed = result_.seed;
    const auto tried = [&](const Check& check, const std::function<void()>& act) {
        auto result = attempt(check, act);
        judge_by_known(result, state_.config, result_.pair.name(), heading_of(check));
        // It may be noted again, each time in other words.
        state_.journal.forget({.notes = std::exchange(result.notes, {})});
        result.shown.clear();
        if (result.outcome == Outcome::failed) {
            const auto place = place_in(soaking, check.id, result_.seed);
            result.actual += place;
            result.account += fmt::format("\n  soak:     {}", place.substr(1));
        }
        return result;
    };
    // Whether it is the same tool afterwards. A check that ends one, since it has asked too much of
    // it, has been tried: it is not tried again.
    const auto leaves_tool = [&](const Check& check, CheckResult& result) {
        auto& life = state_.life;
        if (!life.has_tool()) {
            result = tried(soak_row, [&] { static_cast<void>(life.tool()); });
            if (result.outcome == Outcome::failed) {
                return true;
            }
        }
        const auto start = life.starts();
        result = tried(check, [&] { check.run(run_); });
        return life.has_tool() && life.starts() == start;
    };
    for (;;) {
        const auto round = ++soaking.result.rounds;
        // By this seed, the round's checks have the same data in a run of their own.
        result_.seed = seed + round;
        state_.seed = Pattern{result_.seed}.derive(result_.pair.name());
        for (auto check = checks.begin(); check != checks.end() && !end.passed();) {
            CheckResult result;
            check = leaves_tool(*check, result) ? std::next(check) : checks.erase(check);
            if (result.outcome == Outcome::failed) {
                return result;
            }
        }
        auto result = tried(soak_row, [&] { load(run_, soaking); });
        if (result.outcome != Outcome::failed) {
            result = tried(soak_row, [&] { take_sample(soaking); });
        }
        if (result.outcome == Outcome::failed) {
            return result;
        }
        if (end.passed()) {
            return tried(soak_row, [&] { judge(soaking); });
        }
    }
}

/// Looks at what the tool holds when all clients of a round have gone.
TEST_TUNNEL_INLINE void PairTest::take_sample(Soaking& soaking) {
    using namespace std::chrono_literals;
    if (!state_.life.has_tool()) {
        return;
    }
    if (std::exchange(soaking.start, state_.life.starts()) != state_.life.starts()) {
        soaking.trends.clear();
        soaking.before = usage_of(state_.life.tool());
    }
    soaking.result.connections = std::size_t(state_.life.connections());
    // What the last clients have left may be on its way out.
    auto usage = usage_of(state_.life.tool());
    for (const auto deadline = Deadline::unscaled(500ms);
         usage && !usage->is_near(soaking.before.value_or(*usage), 0) && !deadline.passed();) {
        run_.pause(20ms, "the tool to release what its connections needed");
        usage = usage_of(state_.life.tool());
    }
    if (usage) {
        if (!soaking.before || soaking.before->descriptors() > usage->descriptors()) {
            soaking.before = usage; // the least that it holds
        }
        soaking.trends.add(soaking.result.connections, *usage);
    }
}

/// Demands that the tool does not hold more and more. It has ten seconds, scaled, to release half
/// of what has come: that it does so late is no leak.
TEST_TUNNEL_INLINE void PairTest::judge(const Soaking& soaking) {
    using namespace std::chrono_literals;
    const auto* const growing = soaking.trends.growing();
    if (growing == nullptr || !state_.life.has_tool()) {
        return;
    }
    run_.step("what is held", "the tool holds no more after many clients than after some");
    const auto first = soaking.trends.level_at_first(*growing);
    const auto now = [&] { return growing->of(usage_of(run_.tool()).value_or(ToolUsage{})); };
    const auto half = (first + now()) / 2;
    for (const auto deadline = Deadline::after(10s); !deadline.passed();) {
        if (now() < half) {
            run_.note(
                fmt::format("after the soak, it takes a while to release its {}", growing->name));
            return;
        }
        run_.pause(50ms, "the tool to release what its connections needed");
    }
    for (const auto& trend : soaking.trends.all()) {
        if (trend.name == growing->name) {
            throw Unexpected{run_.expected(),
                             fmt::format("{}: {:.0f}, then {:.0f} after {} connections, and more "
                                         "all the time: {:.3g} with each",
                                         trend.name, trend.first, trend.last,
                                         soaking.result.connections, trend.per_thousand / 1000)};
        }
    }
}

} // namespace test_tunnel::detail
