#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <string>

#include "detail/fmt.hpp"
#include "error.hpp"

namespace test_tunnel {

/// The clock of all waits, which nobody can set.
using Clock = std::chrono::steady_clock;
/// How long something takes, or may take: `std::chrono::seconds{2}`.
using Duration = Clock::duration;

namespace detail {

/// "10 s", "250 ms", "1.5 ms", "1234 s": as precise as a reader needs it.
inline std::string text_of(Duration duration) {
    const auto seconds = std::chrono::duration<double>{duration}.count();
    const bool in_seconds = seconds >= 1;
    const double number = in_seconds ? seconds : seconds * 1000;
    // Three digits, but never as an exponent.
    return fmt::format("{} {}",
                       number < 999 ? fmt::format("{:.3g}", number) : fmt::format("{:.0f}", number),
                       in_seconds ? "s" : "ms");
}

inline double parse_timeout_scale(const char* text) {
    char* end = nullptr;
    const double scale = std::strtod(text, &end);
    if (end == text || *end != '\0' || !std::isfinite(scale) || scale <= 0 || scale > 1000) {
        throw InvalidConfig{fmt::format(
            "TEST_TUNNEL_TIMEOUT_SCALE is '{}', not a number above 0 and up to 1000", text)};
    }
    return scale;
}

inline double timeout_scale() {
    static const double scale = [] {
        // Read once, before the library starts any thread of its own: it starts none.
        const char* text =
            std::getenv("TEST_TUNNEL_TIMEOUT_SCALE"); // NOLINT(concurrency-mt-unsafe)
        return text == nullptr || *text == '\0' ? 1.0 : parse_timeout_scale(text);
    }();
    return scale;
}

/// `duration` times TEST_TUNNEL_TIMEOUT_SCALE; from nothing to a year.
inline Duration scaled(Duration duration) {
    const auto result =
        std::chrono::duration<double>{std::max(duration, Duration::zero())} * timeout_scale();
    // Long enough for every test, and no overflow in the clock's arithmetic.
    constexpr auto longest = std::chrono::hours{24 * 365};
    return result > longest ? Duration{longest} : std::chrono::duration_cast<Duration>(result);
}

} // namespace detail

/// How long each kind of wait may take. All are multiplied by the environment variable
/// `TEST_TUNNEL_TIMEOUT_SCALE` (default 1) for slow machines, valgrind and emulation.
struct Timeouts {
    /// From the start of one half of a tool until it is ready, where the next half waits for that.
    Duration start = std::chrono::seconds{10};
    /// From the start of the tool until it accepts the first connection.
    Duration connect = std::chrono::seconds{10};
    /// No progress at all on a connection: not one byte came or went.
    Duration io = std::chrono::seconds{10};
    /// From SIGTERM until the tool has ended, before SIGKILL.
    Duration stop = std::chrono::seconds{12};
    /// From the end of the tool's process until what it has started has ended too: a child that
    /// still serves the connection that was closed last.
    Duration linger = std::chrono::seconds{2};
    /// All of one check but the stopping of the tool, whatever progress is made.
    Duration check = std::chrono::seconds{120};
};

/// A point in time after which a wait is given up.
class Deadline {
public:
    /// At `when`, whatever `TEST_TUNNEL_TIMEOUT_SCALE` says; `Clock::time_point::max()` is never.
    explicit Deadline(Clock::time_point when) : when_{when} {}

    /// From now on, for `duration` times `TEST_TUNNEL_TIMEOUT_SCALE`.
    static Deadline after(Duration duration) {
        return Deadline{Clock::now() + detail::scaled(duration)};
    }

    /// Whether it is that time, or later.
    [[nodiscard]] bool passed() const { return Clock::now() >= when_; }
    /// Zero when it has passed.
    [[nodiscard]] Duration remaining() const {
        const auto now = Clock::now();
        return when_ > now ? when_ - now : Duration::zero();
    }

private:
    Clock::time_point when_;
};

} // namespace test_tunnel
