#pragma once

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <ctime>
#include <string>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/interruption.hpp"

namespace test_tunnel {

namespace detail {

/// What is known of interruptions in this process.
struct InterruptionState {
    /// The signal that has come.
    volatile std::sig_atomic_t signal = 0;
    /// When it came, in seconds of CLOCK_MONOTONIC.
    volatile double came = 0;
    bool is_on = false;
    bool ends_on_second = true;
    Deadline end = Deadline::never();
    Duration limit = Duration::max();
};

inline InterruptionState& interruption_state() {
    static InterruptionState state; // NOLINT(*-avoid-non-const-global-variables)
    return state;
}

/// Async-signal-safe. A terminal, or timeout(1), may send a signal twice in a row.
inline void take_signal(int signal) {
    auto& state = interruption_state();
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    constexpr double nanoseconds = 1e-9;
    constexpr double in_a_row = 0.5;
    const double now =
        static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * nanoseconds;
    if (state.signal == 0) {
        state.signal = signal;
        state.came = now;
    } else if (state.ends_on_second && now - state.came > in_a_row) {
        ::signal(signal, SIG_DFL);
        ::raise(signal);
    }
}

inline std::string name_of_signal(int signal) {
    return signal == SIGHUP ? "SIGHUP" : signal == SIGINT ? "SIGINT" : "SIGTERM";
}

} // namespace detail

TEST_TUNNEL_INLINE Interruption::Interruption(Duration limit) {
    auto& state = detail::interruption_state();
    state.signal = 0;
    state.ends_on_second = true;
    state.limit = limit;
    state.end = Deadline::unscaled(limit);
    state.is_on = true;
    take_signals();
}

TEST_TUNNEL_INLINE Interruption::Interruption(Forked /*here*/) {
    auto& state = detail::interruption_state();
    state.signal = 0;
    state.ends_on_second = false;
    state.is_on = true;
    take_signals();
}

TEST_TUNNEL_INLINE void Interruption::take_signals() {
    for (std::size_t i = 0; i < signals.size(); ++i) {
        ::sigaction(signals[i], nullptr, &before_[i]);
        if (before_[i].sa_handler == SIG_IGN) { // nohup(1)
            continue;
        }
        struct sigaction action {};
        action.sa_handler = detail::take_signal; // not restarted: what waits shall wake up
        ::sigaction(signals[i], &action, nullptr);
    }
}

TEST_TUNNEL_INLINE Interruption::~Interruption() {
    for (std::size_t i = 0; i < signals.size(); ++i) {
        ::sigaction(signals[i], &before_[i], nullptr);
    }
    // Nothing of it is left for a process that is forked off later.
    auto& state = detail::interruption_state();
    state.is_on = false;
    state.end = Deadline::never();
}

TEST_TUNNEL_INLINE int Interruption::signal() noexcept {
    const auto& state = detail::interruption_state();
    return state.is_on ? static_cast<int>(state.signal) : 0;
}

TEST_TUNNEL_INLINE std::string Interruption::reason() {
    const auto& state = detail::interruption_state();
    if (!state.is_on) {
        return {};
    }
    if (state.signal != 0) {
        return "interrupted by " + detail::name_of_signal(static_cast<int>(state.signal));
    }
    return state.end.passed()
               ? fmt::format("the {} for the whole run are over", text_of(state.limit))
               : std::string{};
}

TEST_TUNNEL_INLINE void Interruption::throw_if_any() {
    if (auto text = reason(); !text.empty()) {
        throw Interrupted{text};
    }
}

TEST_TUNNEL_INLINE void Interruption::end_by_signal() {
    if (const int came = signal(); came != 0) {
        std::fflush(nullptr);
        ::signal(came, SIG_DFL);
        ::raise(came);
    }
}

TEST_TUNNEL_INLINE Duration Interruption::longest_wait() noexcept {
    // A signal that comes between a look at it and the wait does not end the wait.
    constexpr Duration often = std::chrono::milliseconds{250};
    const auto& state = detail::interruption_state();
    return state.is_on ? std::min(often, state.end.remaining()) : Duration::max();
}

} // namespace test_tunnel
