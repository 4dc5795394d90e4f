#pragma once

// How a process is told to end, is killed, stops for a while, and is started again.

#include <signal.h> // NOLINT(modernize-deprecated-headers): kill is POSIX, not C

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <exception>
#include <system_error>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/kernel/processes.hpp"
#include "test_tunnel/kernel/tcp_sockets.hpp"
#include "test_tunnel/net/wait.hpp"
#include "test_tunnel/process/detail/process.ipp"
#include "test_tunnel/process/exit_status.hpp"
#include "test_tunnel/process/process.hpp"

namespace test_tunnel {

TEST_TUNNEL_INLINE void Process::signal(int number) noexcept {
    // Not reaped yet, so that the pid is still its own; a zombie has not been told anything.
    if (!status() && !is_zombie()) {
        ::kill(pid(), number);
        state_->was_told_to_end = state_->was_told_to_end || number == SIGTERM;
    }
}

TEST_TUNNEL_INLINE void Process::terminate(Duration linger) {
    state_->linger = scaled(linger);
    if (!was_told_to_end() && state_->lingers_until) { // it ended by itself, and was given longer
        state_->lingers_until = std::min(*state_->lingers_until, Clock::now() + state_->linger);
    }
    if (!was_told_to_end() && !has_tcp_socket(pid()).value_or(false)) {
        state_->program = program_of(pid()).value_or("");
    }
    if (!status()) { // later it may be a zombie, which has none
        auto& peak = state_->use.peak_memory;
        peak = std::max(peak, peak_memory_of(pid()).value_or(0));
    }
    if (!was_told_to_end()) { // one that obeys the second time has not obeyed
        signal(SIGTERM);
    }
    signal(SIGCONT); // a stopped process takes no SIGTERM
}

TEST_TUNNEL_INLINE ExitStatus Process::stop(Duration timeout, Duration linger) {
    terminate(linger);
    if (!detail::pump(*this, Deadline::after(timeout), [this] { return has_ended(); })) {
        state_->had_to_be_killed = true;
        kill();
    }
    return wait(Deadline::never()).value();
}

TEST_TUNNEL_INLINE void Process::restart() {
    kill();
    *this = spawn(state_->options);
}

TEST_TUNNEL_INLINE void Process::suspend() noexcept {
    if (!status() && !is_zombie()) {
        ::kill(-pid(), SIGSTOP);
    }
}

TEST_TUNNEL_INLINE void Process::resume() noexcept {
    if (!status() && !is_zombie()) {
        ::kill(-pid(), SIGCONT);
    }
}

TEST_TUNNEL_INLINE void Process::kill() noexcept {
    if (status()) {
        return;
    }
    ::kill(-pid(), SIGKILL);
    const int error = ::kill(pid(), SIGKILL) == -1 ? errno : 0;
    try {
        state_->linger = Duration::zero();
        state_->lingers_until.reset();
        state_->wrapped.clear();
        // Not for ever: a process that has changed its user may be out of reach, and one that waits
        // for a device takes no signal.
        constexpr auto grace = std::chrono::seconds{2};
        if (!detail::pump(*this, Deadline::after(grace), [this] { return status().has_value(); })) {
            state_->status = ExitStatus::unknown(fmt::format(
                "could not be ended{}: process {} is still there",
                error == 0 ? "" : fmt::format(" ({})", std::generic_category().message(error)),
                pid()));
            state_->ended = Clock::now();
        }
    } catch (const std::exception& failure) {
        if (state_->log) {
            state_->log->error(fmt::format("could not end {}: {}", name(), failure.what()));
        }
    }
}

} // namespace test_tunnel
