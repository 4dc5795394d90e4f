#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <span>

#include "test_tunnel/checks/detail/carrying.hpp"
#include "test_tunnel/net/stream.hpp"
#include "test_tunnel/process/detail/settle.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Writes streams that nobody reads, until all buffers on their way are full or, where they take
/// that much, all of it is written. Writes for `longest` at most; returns false where the buffers
/// were not full by then. Afterwards, `size` is what was written.
///
/// The buffers count as full when the tool is idle, and nothing has been taken for ten times as
/// long as the longest pause so far: on a busy machine a tool may just be waiting for a CPU. A tool
/// that is never idle is given a second. A few bytes may go on trickling for a long time, where the
/// system finds more room for them; they don't count.
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
    const auto enough = Deadline::unscaled(longest);
    Duration longest_pause{};
    auto paused_since = Clock::now();
    auto last_look = paused_since;
    auto mark = written();
    bool is_long = false;
    bool full = false;
    while (!full) {
        const bool was_idle = is_long && detail::is_idle(run.tool());
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
        full = is_long && (was_idle || pause >= most_busy);
    }
    for (auto& stream : streams) {
        stream.size = stream.written;
    }
    return full;
}

} // namespace test_tunnel::check
