#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/net/stream.hpp"

namespace test_tunnel::detail {

/// Sees early that what is under way would not arrive in time: from when all has been written, at
/// the rate of the last window.
class Pace {
public:
    /// `longest` is how long the rest may take, beside the window; where little is under way, less:
    /// a second for each KiB, and as long as the window at least.
    Pace(Duration window, Duration longest) : window_{scaled(window)}, longest_{scaled(longest)} {}

    /// Returns what is wrong `now`; empty where nothing is, or where it is too early to tell. To be
    /// called whenever something has moved.
    [[nodiscard]] std::string complaint(std::span<const Stream> streams, Clock::time_point now) {
        std::uint64_t left = 0;
        for (const auto& stream : streams) {
            if (stream.wants_to_write()) {
                begin_ = Clock::time_point::max();
                return {};
            }
            left += stream.reads && stream.broken.empty() ? stream.written - stream.read : 0;
        }
        if (begin_ == Clock::time_point::max()) {
            begin_ = now;
            left_ = left;
            constexpr std::uint64_t slowest = 1024; // a second
            limit_ = std::clamp(scaled(std::chrono::seconds{left / slowest}),
                                std::min(window_, longest_), longest_);
        }
        if (now - begin_ < window_) {
            return {};
        }
        const auto lasted = now - std::exchange(begin_, now);
        const auto before = std::exchange(left_, left);
        if (lasted > 2 * window_) {
            return {}; // this process was stopped, or nothing at all came
        }
        const auto seconds = std::chrono::duration<double>{lasted}.count();
        const auto rate = static_cast<double>(before - left) / seconds;
        const auto needed = rate > 0 ? static_cast<double>(left) / rate : 0;
        if (needed <= std::chrono::duration<double>{limit_}.count()) {
            return {};
        }
        return fmt::format(
            "{:.0f} bytes per second in the last {}: what is under way would take "
            "{:.0f} s more",
            rate, text_of(lasted), needed);
    }

private:
    Duration window_;
    Duration longest_;
    Duration limit_{};
    Clock::time_point begin_ = Clock::time_point::max();
    std::uint64_t left_ = 0;
};

} // namespace test_tunnel::detail
