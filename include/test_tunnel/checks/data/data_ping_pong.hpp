#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "test_tunnel/checks/detail/view.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/net/expect.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// How long two messages were on their way, the second of which was written when the first had
/// arrived.
struct TwoMessages {
    Duration first;
    Duration second;

    [[nodiscard]] Duration both() const { return first + second; }
};

/// Two messages that were sent in three ways, one after the other.
struct DelayTrial {
    /// Small ones, to a reader that acknowledges late.
    TwoMessages late;
    /// Small ones, to a reader that acknowledges at once.
    TwoMessages prompt;
    /// Large ones, to a reader that acknowledges at once.
    TwoMessages large;
};

/// Returns the median of what `value` returns for each trial.
template <typename Value>
Duration median(const std::vector<DelayTrial>& trials, Value value) {
    std::vector<Duration> values(trials.size());
    std::transform(trials.begin(), trials.end(), values.begin(), value);
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

/// Measures in one direction of a connection whether small messages are held back.
class Delay {
public:
    /// Measures in the direction from `view.near` to `view.far`.
    Delay(PairRun& run, const View& view) : run_{run}, view_{view} {}

    void measure() {
        using namespace std::chrono_literals;
        constexpr std::size_t least = 5;
        const std::size_t most = run_.strict() ? 21 : 7;
        const auto end = Deadline::unscaled(3s);
        run_.step("small messages",
                  fmt::format("{}: small messages are sent on at once", view_.forth), view_.here,
                  view_.there);
        while (trials_.size() < most && (trials_.size() < least || !end.passed())) {
            DelayTrial trial{};
            trial.late = send_two(small, Reader::acknowledges_late);
            trial.prompt = send_two(small, Reader::acknowledges_at_once);
            trial.large = send_two(large, Reader::acknowledges_at_once);
            trials_.push_back(trial);
        }
    }

    /// Returns whether small messages are as fast as they can be through this tool. It may have any
    /// latency, but the same one for the second of two messages, for messages of any size, and
    /// whenever the reader acknowledges (RFC 896 against RFC 9293 §3.8.6.3: 40 ms on Linux, 200 ms
    /// elsewhere).
    [[nodiscard]] bool is_none() const {
        using namespace std::chrono_literals;
        constexpr Duration tolerance = 30ms;
        const auto exceeds = [&](auto difference) {
            return median(trials_, difference) >= tolerance;
        };
        return !exceeds([](const DelayTrial& t) { return t.late.both() - t.prompt.both(); }) &&
               !exceeds([](const DelayTrial& t) { return t.late.second - t.late.first; }) &&
               !exceeds([](const DelayTrial& t) { return t.prompt.both() - t.large.both(); });
    }

    /// Returns what was measured, for a reader.
    [[nodiscard]] std::string text() const {
        const auto line = [&](std::string_view what, TwoMessages DelayTrial::*member) {
            const auto first = median(trials_, [&](const auto& t) { return (t.*member).first; });
            const auto second = median(trials_, [&](const auto& t) { return (t.*member).second; });
            return fmt::format("\n  {}: {}, then {}", what, text_of(first), text_of(second));
        };
        return fmt::format(
            "{}: how long a message took, and another one when it had arrived (medians of "
            "{}){}{}{}",
            view_.forth, trials_.size(),
            line("4 bytes, to a reader that acknowledges late", &DelayTrial::late),
            line("4 bytes, to a reader that acknowledges at once", &DelayTrial::prompt),
            line("4 KiB, to a reader that acknowledges at once", &DelayTrial::large));
    }

private:
    static constexpr std::size_t small = 4;
    static constexpr std::size_t large = 4096;

    enum class Reader { acknowledges_late, acknowledges_at_once };

    Duration send_one(std::size_t size) {
        const auto message = run_.pattern(number_++).bytes(0, size);
        const auto begin = Clock::now();
        view_.near.write(message);
        expect_read(view_.far, message, view_.forth);
        return Clock::now() - begin;
    }

    TwoMessages send_two(std::size_t size, Reader reader) {
        if (reader == Reader::acknowledges_late) {
            view_.far.acknowledge_later();
        } else {
            view_.far.acknowledge_now();
        }
        TwoMessages result{};
        result.first = send_one(size);
        result.second = send_one(size);
        // Nothing may be left to be acknowledged, or it would hold up the next message.
        view_.far.acknowledge_now();
        const auto answer = run_.pattern(number_++).bytes(0, small);
        view_.far.write(answer);
        expect_read(view_.near, answer, view_.back);
        return result;
    }

    PairRun& run_;
    View view_;
    std::uint64_t number_ = 1000;
    std::vector<DelayTrial> trials_;
};

/// Judges whether small messages are sent on at once. A tool that has left Nagle's algorithm on
/// holds the second of two back until the first one has been acknowledged.
inline void judge_delay(PairRun& run, Connection& connection) {
    std::array<Delay, 2> delays{Delay{run, view_from(Party::client, connection)},
                                Delay{run, view_from(Party::server, connection)}};
    for (auto& delay : delays) {
        delay.measure();
    }
    std::string texts;
    for (const auto& delay : delays) {
        texts += delay.is_none() ? "" : '\n' + delay.text();
    }
    try {
        run.judge(trait::no_delay, texts.empty());
    } catch (const Unexpected& error) {
        throw Unexpected{error.expected(), error.actual() + texts};
    }
}

/// Has a conversation of many short messages, each written when the one before it has arrived: the
/// tool may not wait until more data comes, nor lose a message when the direction changes. At
/// `Level::strict`, and where `Traits::no_delay` is declared, it may not hold small messages back
/// (Nagle's algorithm) either.
inline void play_ping_pong(PairRun& run) {
    using namespace std::chrono_literals;
    const std::uint64_t rounds = run.strict() ? 1000 : 500;
    constexpr std::uint64_t least = 10;
    constexpr std::size_t size = 8;
    auto connection = run.connect();
    auto& [client, server] = connection;
    run.step("ping-pong", "each message of 8 bytes arrives before the next one is written",
             Party::client, Party::server);
    const auto longest = run.config().timeouts.check / 2;
    const auto end = run.strict() ? Deadline::after(longest) : Deadline::unscaled(2s);
    for (std::uint64_t round = 0; round < rounds; ++round) {
        if (round >= least && end.passed()) {
            if (run.strict()) {
                run.note(fmt::format("{} messages each way take longer than {}", rounds,
                                     text_of(scaled(longest))));
            }
            break;
        }
        for (auto& [from, to, name, pattern] :
             {std::tuple{&client, &server, PairRun::up, run.pattern(0)},
              std::tuple{&server, &client, PairRun::down, run.pattern(1)}}) {
            const auto message = pattern.bytes(round * size, size);
            from->write(message);
            expect_read(*to, message, fmt::format("{}, message {}", name, round + 1));
        }
    }
    if (run.strict() || run.traits().no_delay == true) {
        judge_delay(run, connection);
    }
    run.round_trip(connection);
}

inline constexpr Check data_ping_pong{
    .id = "data.ping_pong",
    .title = "500 short messages go each way, each sent when the last has arrived; strict: 1,000",
    .trait = trait::no_delay.name,
    .run = play_ping_pong};

} // namespace test_tunnel::check
