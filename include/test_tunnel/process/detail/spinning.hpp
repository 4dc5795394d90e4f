#pragma once

// Whether a tool computes while there is nothing to do.

#include <chrono>
#include <optional>
#include <span>
#include <string_view>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/net/supervisor.hpp"
#include "test_tunnel/net/wait.hpp"
#include "test_tunnel/process/detail/cpu_use.hpp"
#include "test_tunnel/process/detail/settle.hpp"
#include "test_tunnel/process/server.hpp"

namespace test_tunnel::detail {

/// A tool that computes while there is nothing to do: so long, out of so long.
struct Spin {
    Duration ran{};
    Duration watched{};
};

/// Returns whether a tool computes while there is nothing to do; nothing where it rests, and where
/// the system can't tell.
///
/// Looks for `glance`, whatever the timeout scale. Only where a tool wants half a processor in that
/// time, or more, or is not idle at its end, it is watched in three more windows, and in each of
/// them it must want as much:
/// - A window lasts until the tool has run for 300 ms. One that tidies up for that long, or
///   collects its garbage, is at rest before the second one is over.
/// - On a busy machine it may get a tenth of a processor, and wants more: what counts are the times
///   in which it ran or waited for one. But one that hardly runs, a sixteenth of the time, may just
///   wake up now and then; and it may have many threads, or processes, that do so.
/// - A window that takes more than 15 s tells nothing.
inline std::optional<Spin> find_spin(Server& server, Duration glance, Supervisor* supervisor) {
    using namespace std::chrono_literals;
    constexpr int windows = 3;
    constexpr int half = 2;
    constexpr int hardly = 16;
    constexpr Duration least = 100ms;      // before it can be said that it rests
    constexpr Duration least_busy = 500ms; // the same, on a machine that lets it wait
    constexpr Duration longest = 15s;
    constexpr Duration pause = 5ms;
    constexpr std::string_view what = "the tool to rest";
    const Duration work = scaled(300ms);
    CpuUse use{server};
    test_tunnel::wait_for(std::span<SocketEvent>{}, Deadline::unscaled(glance), supervisor, what);
    use.look();
    // What it waits for now is not counted yet.
    if (half * use.wanted() < use.elapsed() && is_idle(server)) {
        return std::nullopt;
    }
    Spin result;
    for (int window = 0; window < windows; ++window) {
        CpuUse in_window{server};
        while (in_window.ran() < work) {
            test_tunnel::wait_for(std::span<SocketEvent>{}, Deadline::unscaled(pause), supervisor,
                                  what);
            in_window.look();
            const auto elapsed = in_window.elapsed();
            const bool rests = half * in_window.wanted() < elapsed && elapsed > least;
            const bool hardly_runs = hardly * in_window.ran() < elapsed && elapsed > least_busy;
            // What it waits for now is not counted yet: it must be seen to be idle, too.
            if (((rests || hardly_runs) && is_idle(server)) || elapsed > scaled(longest)) {
                return std::nullopt;
            }
        }
        result.ran += in_window.ran();
        result.watched += in_window.elapsed();
    }
    return result;
}

} // namespace test_tunnel::detail
