#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <span>

#include "../detail/verdict.hpp"
#include "../pair_run.hpp"
#include "../stream.hpp"
#include "sides.hpp"

namespace test_tunnel::check {

/// Writes streams that nobody reads until all buffers on their way are full; `size` is then what
/// was written. All of it, where it fits, or what can be written in `longest`.
///
/// They count as full when nothing was taken for ten times as long as it ever took until something
/// was taken again, and the tool rests: on a machine that is busy it may just be waiting for its
/// turn. One that never rests is given a second. Some bytes trickle on for long, where the system
/// finds more room for them. False: the time was over first.
inline bool fill(PairRun& run, std::span<Stream> streams, Duration longest) {
    using namespace std::chrono_literals;
    constexpr std::uint64_t trickle = 1U << 16U;
    const Duration least = run.wait(300ms);
    const Duration most = run.wait(3s);
    const Duration most_busy = std::max<Duration>(most, 1s);
    const auto written = [&] {
        std::uint64_t sum = 0;
        for (const auto& stream : streams) {
            sum += stream.written;
        }
        return sum;
    };
    const Deadline enough{Clock::now() + longest};
    Duration longest_pause{};
    auto paused_since = Clock::now();
    auto last_look = paused_since;
    auto mark = written();
    bool is_long = false;
    bool full = false;
    while (!full) {
        const bool rested = is_long && detail::rests(run.server());
        const bool done =
            carry(run, streams, {.patience = 1ms, .soft_end = enough, .may_stall = true});
        if (done) {
            break;
        }
        const auto now = Clock::now();
        if (written() > mark + trickle) {
            longest_pause = std::max(longest_pause, last_look - paused_since);
            paused_since = now;
            mark = written();
        }
        last_look = now;
        const auto pause = now - paused_since;
        is_long = pause >= std::clamp(10 * longest_pause, least, most);
        full = is_long && (rested || pause >= most_busy);
    }
    for (auto& stream : streams) {
        stream.size = stream.written;
    }
    return full;
}

} // namespace test_tunnel::check
