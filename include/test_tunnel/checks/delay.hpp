#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "../expect.hpp"
#include "../pair_run.hpp"
#include "socket_options.hpp"

namespace test_tunnel::check {

/// How long two messages were under way, the second one written when the first one had arrived.
struct TwoMessages {
    Duration first;
    Duration second;

    [[nodiscard]] Duration both() const { return first + second; }
};

/// The same two messages, sent in three ways after each other.
struct DelayTrial {
    TwoMessages late;
    TwoMessages prompt;
    TwoMessages large;
};

template <typename Value>
Duration median(const std::vector<DelayTrial>& trials, Value value) {
    std::vector<Duration> values(trials.size());
    std::transform(trials.begin(), trials.end(), values.begin(), value);
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

/// One direction of a connection, and how small messages fare in it.
class Delay {
public:
    Delay(PairRun& run, Socket& from, Socket& to, std::string_view name)
        : run_{run}, from_{from}, to_{to}, name_{name} {}

    void measure() {
        using namespace std::chrono_literals;
        constexpr std::size_t least = 5;
        const std::size_t most = run_.strict() ? 21 : 7;
        const Deadline end{Clock::now() + 3s};
        run_.step("small messages", fmt::format("{}: small messages are sent on at once", name_));
        while (trials_.size() < most && (trials_.size() < least || !end.passed())) {
            DelayTrial trial{};
            trial.late = send(Acknowledges::late, small);
            trial.prompt = send(Acknowledges::at_once, small);
            trial.large = send(Acknowledges::at_once, large);
            trials_.push_back(trial);
        }
    }

    /// Whether small messages are as fast as they can be through this tool: it may have any
    /// latency, but the same for the second of two, for messages of any size, and whenever the
    /// reader acknowledges (RFC 896 against RFC 9293 §3.8.6.3: 40 ms on Linux, 200 ms elsewhere).
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

    [[nodiscard]] std::string text() const {
        const auto line = [&](std::string_view what, TwoMessages DelayTrial::*member) {
            const auto first = median(trials_, [&](const auto& t) { return (t.*member).first; });
            const auto second = median(trials_, [&](const auto& t) { return (t.*member).second; });
            return fmt::format("\n  {}: {}, then {}", what, detail::text_of(first),
                               detail::text_of(second));
        };
        return fmt::format(
            "{}: how long a message took, and another one when it had arrived (medians of "
            "{}){}{}{}",
            name_, trials_.size(),
            line("4 bytes, to a reader that acknowledges late", &DelayTrial::late),
            line("4 bytes, to a reader that acknowledges at once", &DelayTrial::prompt),
            line("4 KiB, to a reader that acknowledges at once", &DelayTrial::large));
    }

private:
    static constexpr std::size_t small = 4;
    static constexpr std::size_t large = 4096;

    Duration send_one(std::size_t size) {
        const auto message = run_.pattern(number_++).bytes(0, size);
        const auto begin = Clock::now();
        from_.write(message);
        expect_read(to_, message, name_);
        return Clock::now() - begin;
    }

    TwoMessages send(Acknowledges when, std::size_t size) {
        acknowledge(to_, when);
        TwoMessages result{};
        result.first = send_one(size);
        result.second = send_one(size);
        // Nothing may be left to be acknowledged, or it would hold up the next message.
        acknowledge(to_, Acknowledges::at_once);
        const auto answer = run_.pattern(number_++).bytes(0, small);
        to_.write(answer);
        expect_read(from_, answer, name_ == PairRun::up ? PairRun::down : PairRun::up);
        return result;
    }

    PairRun& run_;
    Socket& from_;
    Socket& to_;
    std::string_view name_;
    std::uint64_t number_ = 1000;
    std::vector<DelayTrial> trials_;
};

/// That small messages are sent on at once: of two, the second one waits for an acknowledgement
/// of the first one where the tool has left Nagle's algorithm on.
inline void judge_delay(PairRun& run, Connection& connection) {
    auto& [client, server] = connection;
    std::array<Delay, 2> delays{Delay{run, client, server, PairRun::up},
                                Delay{run, server, client, PairRun::down}};
    for (auto& delay : delays) {
        delay.measure();
    }
    std::string texts;
    for (const auto& delay : delays) {
        texts += delay.is_none() ? "" : '\n' + delay.text();
    }
    try {
        run.judge<bool>("no_delay", "small messages are sent on at once", run.traits().no_delay,
                        texts.empty(), true);
    } catch (const Unexpected& error) {
        throw Unexpected{error.expected(), error.actual() + texts};
    }
}

} // namespace test_tunnel::check
