#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <string>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/error.hpp"

namespace test_tunnel {

/// The clock of all waits, which nobody can set.
using Clock = std::chrono::steady_clock;
/// How long something takes, or may take: `std::chrono::seconds{2}`.
using Duration = Clock::duration;

namespace detail {

inline double parse_timeout_scale(const char* text) {
    char* end = nullptr;
    const double scale = std::strtod(text, &end);
    if (end == text || *end != '\0' || !std::isfinite(scale) || scale <= 0 || scale > 1000) {
        throw InvalidConfig{fmt::format(
            "TEST_TUNNEL_TIMEOUT_SCALE is '{}', not a number above 0 and up to 1000", text)};
    }
    return scale;
}

/// What `set_timeout_scale` was told; 0 where it has not been called.
inline std::atomic<double>& chosen_timeout_scale() {
    static std::atomic<double> scale{0}; // NOLINT(*-avoid-non-const-global-variables)
    return scale;
}

} // namespace detail

/// Returns the duration for a reader, with three digits: "10 s", "250 ms", "1.5 ms"; "1234 s" where
/// it has more.
inline std::string text_of(Duration duration) {
    const auto seconds = std::chrono::duration<double>{duration}.count();
    const bool in_seconds = seconds >= 1;
    const double number = in_seconds ? seconds : seconds * 1000;
    // Three digits, but never as an exponent.
    return fmt::format("{} {}",
                       number < 999 ? fmt::format("{:.3g}", number) : fmt::format("{:.0f}", number),
                       in_seconds ? "s" : "ms");
}

/// Returns the factor by which all waits of this process for a tool are multiplied: what
/// `set_timeout_scale` was told, else the environment variable `TEST_TUNNEL_TIMEOUT_SCALE` as it
/// was when this was called first, else 1. Throws InvalidConfig where that variable is not a number
/// above 0 and up to 1000.
inline double timeout_scale() {
    if (const double chosen = detail::chosen_timeout_scale(); chosen > 0) {
        return chosen;
    }
    static const double scale = [] {
        // Read once, before the library starts any thread of its own: it starts none.
        const char* text =
            std::getenv("TEST_TUNNEL_TIMEOUT_SCALE"); // NOLINT(concurrency-mt-unsafe)
        return text == nullptr || *text == '\0' ? 1.0 : detail::parse_timeout_scale(text);
    }();
    return scale;
}

/// Sets the factor by which all later waits of this process for a tool are multiplied, in place of
/// what `TEST_TUNNEL_TIMEOUT_SCALE` says: a machine is as slow for one run as for another. Throws
/// InvalidConfig where it is not above 0 and up to 1000.
inline void set_timeout_scale(double scale) {
    if (std::isnan(scale) || scale <= 0 || scale > 1000) {
        throw InvalidConfig{
            fmt::format("the timeout scale is {}, not a number above 0 and up to 1000", scale)};
    }
    detail::chosen_timeout_scale() = scale;
}

/// Returns how long a wait of `duration` really lasts: `duration` times `timeout_scale()`, at least
/// nothing and at most a year. Throws as `timeout_scale` does.
inline Duration scaled(Duration duration) {
    const auto result =
        std::chrono::duration<double>{std::max(duration, Duration::zero())} * timeout_scale();
    // Long enough for every test, and no overflow in the clock's arithmetic.
    constexpr auto longest = std::chrono::hours{24 * 365};
    return result > longest ? Duration{longest} : std::chrono::duration_cast<Duration>(result);
}

/// How long each kind of wait may take. All are multiplied by `timeout_scale()` (default: 1), for
/// slow machines, valgrind and emulation.
struct Timeouts {
    /// How long one half of a tool may take until it is ready, where the next half waits for that.
    Duration start = std::chrono::seconds{10};
    /// How long a tool may take from its start until it accepts the first connection.
    Duration connect = std::chrono::seconds{10};
    /// How long a connection may make no progress at all: not one byte comes or goes.
    Duration io = std::chrono::seconds{10};
    /// How long a few bytes may take to arrive, on a connection where nothing else is under way,
    /// while no process of the tool has anything to do.
    Duration answer = std::chrono::seconds{2};
    /// How long a tool may take to end after SIGTERM, before it is killed by SIGKILL.
    Duration stop = std::chrono::seconds{12};
    /// How long what the tool has started may run on when the tool itself has ended: a child that
    /// still serves the connection that was closed last.
    Duration linger = std::chrono::seconds{2};
    /// How long one check may take, whatever progress is made; the stopping of the tool is not
    /// counted.
    Duration check = std::chrono::seconds{120};
    /// How long the checks of one combination that fail may take together, before the rest is not
    /// tried (`OnFailure::hurry`).
    Duration failures = std::chrono::seconds{12};
};

/// A point in time after which a wait is given up.
class Deadline {
public:
    /// Passes at `when`, whatever `TEST_TUNNEL_TIMEOUT_SCALE` says.
    explicit Deadline(Clock::time_point when) : when_{when} {}

    /// Passes when `duration` times `TEST_TUNNEL_TIMEOUT_SCALE` is over: for what a tool is given
    /// to do something, which takes longer on a slow machine.
    static Deadline after(Duration duration) { return Deadline{Clock::now() + scaled(duration)}; }

    /// Passes when `duration` is over, whatever `TEST_TUNNEL_TIMEOUT_SCALE` says: for pauses, and
    /// for silences of a length that a check has chosen.
    static Deadline unscaled(Duration duration) {
        const auto now = Clock::now();
        return duration > Clock::time_point::max() - now ? never() : Deadline{now + duration};
    }

    /// Has passed already: for a look without any wait.
    static Deadline now() { return Deadline{Clock::now()}; }

    /// Never passes.
    static Deadline never() { return Deadline{Clock::time_point::max()}; }

    /// Whether it is that time, or later.
    [[nodiscard]] bool passed() const { return Clock::now() >= when_; }
    /// Returns how long it is until then; zero when it has passed.
    [[nodiscard]] Duration remaining() const {
        const auto now = Clock::now();
        return when_ > now ? when_ - now : Duration::zero();
    }

private:
    Clock::time_point when_;
};

} // namespace test_tunnel
