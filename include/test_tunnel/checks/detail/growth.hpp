#pragma once

// Whether a tool comes to hold more and more.

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/process/tool_usage.hpp"
#include "test_tunnel/run/detail/trends.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Waits until the tool has no more open than `before`, give or take `slack`, but for `longest` at
/// most. Returns what it has open then; nothing where the system can't tell.
inline std::optional<ToolUsage> settled_usage(PairRun& run, const ToolUsage& before,
                                              std::size_t slack, Duration longest) {
    constexpr auto pause = std::chrono::milliseconds{20};
    const auto deadline = Deadline::after(longest);
    auto now = usage_of(run.tool());
    while (now && !now->is_near(before, slack) && !deadline.passed()) {
        run.pause(pause, "the tool to release what its connections needed");
        now = usage_of(run.tool());
    }
    return now;
}

using detail::Held;

/// One client in twenty that leaves something open is a leak; a pool that is filled up slowly adds
/// less. As for memory, what users notice begins at a kilobyte a client, and an allocator may take
/// some hundred at once.
inline constexpr std::array all_held{
    Held{"descriptors", [](const ToolUsage& usage) { return double(usage.descriptors()); }, 0.05,
         5},
    Held{"threads", [](const ToolUsage& usage) { return double(usage.threads); }, 0.05, 5},
    Held{"processes", [](const ToolUsage& usage) { return double(usage.processes); }, 0.05, 5},
    Held{"zombies", [](const ToolUsage& usage) { return double(usage.zombies); }, 0.05, 5},
    Held{"bytes of memory", detail::memory_of, 1024, 256 << 10}};

/// All but the memory.
inline constexpr std::span descriptors_and_processes{all_held.data(), all_held.size() - 1};

/// How growth is looked for.
struct GrowthOptions {
    /// How many clients there are in a round: fewer where these take a slow tool more than 2 s, but
    /// never fewer than `least_clients`.
    int clients = 60;
    int least_clients = 5;
    /// Of what the tool may hold no more and more.
    std::span<const Held> held = all_held;
};

/// The median of the slopes between each two of `values`, which are of one round after the other.
inline double median_slope(const std::vector<double>& values) {
    std::vector<detail::Point> points;
    points.reserve(values.size());
    for (const double value : values) {
        points.push_back({double(points.size()), value});
    }
    return detail::median_slope_of(points);
}

/// What a tool held after each of several rounds of as many clients.
class Growth {
public:
    explicit Growth(int clients_per_round, std::span<const Held> held = all_held)
        : clients_{clients_per_round}, held_{held} {}

    void add(const ToolUsage& usage) { samples_.push_back(usage); }
    [[nodiscard]] std::size_t rounds() const { return samples_.size(); }

    /// Of what it holds more and more, and that part of `Held::most` at least in all; nothing where
    /// it does not. The first rounds don't count: what a tool needs for its first clients it may
    /// keep for the next.
    [[nodiscard]] std::optional<Held> find(double part = 1) const {
        for (const auto& held : held_) {
            const auto values = counted(held);
            const bool are_known = std::none_of(values.begin(), values.end(),
                                                [](double value) { return std::isnan(value); });
            if (are_known && values.size() > 1 &&
                values.back() - values.front() > part * held.most &&
                median_slope(values) > held.most_per_connection * clients_ &&
                has_not_paused(values)) {
                return held;
            }
        }
        return std::nullopt;
    }

    /// "7, 57, 107": after each round.
    [[nodiscard]] std::string text(const Held& held) const {
        std::string result;
        for (const auto& sample : samples_) {
            result += fmt::format("{}{:.0f}", result.empty() ? "" : ", ", held.of(sample));
        }
        return result;
    }

private:
    static constexpr std::size_t first_rounds = 2;

    [[nodiscard]] std::vector<double> counted(const Held& held) const {
        std::vector<double> values;
        for (std::size_t i = first_rounds; i < samples_.size(); ++i) {
            values.push_back(held.of(samples_[i]));
        }
        return values;
    }

    /// Whether there is more of it after nearly every round. Where garbage is collected now and
    /// then, or what has ended is put away by and by, there is not.
    [[nodiscard]] static bool has_not_paused(const std::vector<double>& values) {
        std::size_t pauses = 0;
        for (std::size_t i = 1; i < values.size(); ++i) {
            pauses += values[i] <= values[i - 1] ? 1 : 0;
        }
        constexpr std::size_t one_in = 4;
        return pauses <= values.size() / one_in;
    }

    int clients_;
    std::span<const Held> held_;
    std::vector<ToolUsage> samples_;
};

/// Has `client()` do what one client does, again and again, and throws Unexpected where the tool
/// holds more and more of anything; `whose` names the clients.
///
/// Takes six rounds of as many clients as `options` say, or of as many as a slow tool serves in 2
/// s. Where it seems to grow, another six: whoever collects garbage, or fills a pool, comes to an
/// end with that. And it has 10 s, scaled, to release what it holds: that it does so late is no
/// leak.
template <typename Client>
void demand_no_growth(PairRun& run, std::string_view whose, Client client,
                      const GrowthOptions& options = {}) {
    using namespace std::chrono_literals;
    constexpr std::size_t usual_rounds = 6;
    constexpr std::size_t most_rounds = 12;
    constexpr double however_little = 0;
    run.step("rounds",
             fmt::format("the tool serves {}, and holds no more after each round of them", whose),
             Party::client, Party::tool);
    const auto expected = run.expected();
    const auto steps = run.steps();
    int clients = 0;
    const auto serve_one = [&] {
        run.forget_steps(steps);
        client();
    };
    // By the median: that one had to wait, as where the machine stood still, tells nothing.
    std::vector<double> seconds;
    const auto takes_long = [&] { return clients * detail::median_of(seconds) > 2; };
    const auto first_end = Deadline::unscaled(10s);
    while (clients < options.clients &&
           (clients < options.least_clients || (!takes_long() && !first_end.passed()))) {
        const auto began = Clock::now();
        serve_one();
        seconds.push_back(std::chrono::duration<double>(Clock::now() - began).count());
        ++clients;
    }
    Growth growth{clients, options.held};
    std::optional<ToolUsage> before;
    for (bool is_over = false; !is_over;) {
        run.settle();
        const auto now = settled_usage(run, before.value_or(ToolUsage{}), 0, before ? 500ms : 50ms);
        if (!now) {
            throw NotApplicable{"the system does not tell what a process holds"};
        }
        growth.add(*now);
        before = before.value_or(*now);
        is_over = growth.rounds() >= most_rounds ||
                  (growth.rounds() >= usual_rounds && !growth.find(however_little));
        for (int i = 0; !is_over && i < clients; ++i) {
            serve_one();
        }
    }
    const auto held = growth.find();
    if (!held) {
        return;
    }
    run.step("what is held", expected);
    // Half of it would have to go: what the last rounds have left may be on its way out.
    const auto after = usage_of(run.tool()).value_or(ToolUsage{});
    const auto half = (held->of(*before) + held->of(after)) / 2;
    const auto deadline = Deadline::after(10s);
    while (!deadline.passed()) {
        if (held->of(usage_of(run.tool()).value_or(ToolUsage{})) < half) {
            run.note(
                fmt::format("after {}, it takes a while to release its {}", whose, held->name));
            return;
        }
        run.pause(50ms, "the tool to release what its connections needed");
    }
    throw Unexpected{expected,
                     fmt::format("{} after each round of {} clients, all of which have gone: {}",
                                 held->name, clients, growth.text(*held))};
}

} // namespace test_tunnel::check
