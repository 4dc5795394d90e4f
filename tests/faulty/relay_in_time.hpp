// What a connection does because time has passed, or because of what others do.

#pragma once

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <iterator>

#include "relay.hpp"

/// Whether it carries nothing on account of other connections.
inline bool Relay::must_wait() const {
    if (is("one-stalled-stalls-all")) {
        return process.stalled > (counts_as_stalled_ ? 1 : 0);
    }
    if (is("waits-for-silent")) {
        const std::lock_guard lock{process.mutex};
        constexpr std::ptrdiff_t most = 4;
        return std::distance(process.silent.begin(), process.silent.lower_bound(number_)) >= most;
    }
    return false;
}

inline void Relay::follow_the_others(Clock::time_point now) {
    const bool is_stalled = std::max(up_.blocked_for(now), down_.blocked_for(now)) >= 20ms;
    process.stalled += (is_stalled ? 1 : 0) - (counts_as_stalled_ ? 1 : 0);
    counts_as_stalled_ = is_stalled;
    if (is("one-stalled-resets-all") && process.stalled > (is_stalled ? 1 : 0)) {
        reset_both();
    } else if (is("one-reset-ends-all") && process.resets != resets_at_start_) {
        end_both();
    }
}

inline void Relay::follow_the_clock() {
    if (is_frozen_ || is("none")) {
        return;
    }
    const auto now = Clock::now();
    follow_the_others(now);
    if (lost_ != nullptr && now >= loss_passed_on_at_) {
        pass_on_loss(*lost_);
    }
    for (auto* pipe : {&up_, &down_}) {
        if (!is_finished_ && lost_ == nullptr) {
            press_in_time(*pipe, now);
            end_in_time(*pipe, now);
        }
    }
    if (!is_finished_ && lost_ == nullptr && !up_.read_ended && !down_.read_ended) {
        break_silence(now);
    }
}

/// What it does about a reader that has stopped.
inline void Relay::press_in_time(Pipe& pipe, Clock::time_point now) {
    constexpr std::uint64_t more_than_a_slow_reader_gets = much * 3 / 4;
    if (pipe.carried < more_than_a_slow_reader_gets) {
        return;
    }
    const auto blocked = pipe.blocked_for(now);
    if (blocked >= 20ms &&
        is(pipe.up ? Name{"drops-under-pressure-up"} : Name{"drops-under-pressure-down"})) {
        pipe.clear();
        if (pipe.read_ended) {
            pipe.push_end();
        }
    }
    if (blocked >= 20ms && is(pipe.up ? Name{"never-resumes-up"} : Name{"never-resumes-down"})) {
        pipe.is_dead = true;
    }
}

/// What the system has taken, and the peer's has not.
inline int unsent_bytes(int fd) {
    int unsent = 0;
    ::ioctl(fd, SIOCOUTQ, &unsent);
    return unsent;
}

/// Whether it still watches over what the system has not yet sent; only for those that reset then.
inline bool Relay::owes_tail(const Pipe& pipe) const {
    if (!pipe.read_ended || !is(pipe.up ? Name{"resets-tail-up"} : Name{"resets-tail-down"})) {
        return false;
    }
    constexpr int only_the_end = 1; // counts as a byte until it is acknowledged
    return !pipe.is_empty() || unsent_bytes(sink_of(pipe).get()) > only_the_end;
}

/// Waits up to 1 s for what is queued to arrive: a reset discards what the system has not sent.
inline void Relay::drain(Pipe& pipe) {
    const int sink = sink_of(pipe).get();
    const auto end = Clock::now() + 1s;
    while (pipe.write_to(sink) == Pipe::Written::all_or_blocked && Clock::now() < end &&
           (!pipe.is_empty() || unsent_bytes(sink) > 0)) {
        sleep_for(1ms);
    }
}

/// What it does some time after this direction was ended by its writer.
inline void Relay::end_in_time(Pipe& pipe, Clock::time_point now) {
    if (!pipe.read_ended) {
        return;
    }
    const auto since = now - pipe.read_ended_at;
    const bool is_half = !opposite(pipe).read_ended;
    if (since >= 500ms && is("timed-half-close")) {
        end_both();
    } else if (since >= 25ms &&
               (owes_tail(pipe) || (is_half && is(pipe.up ? Name{"resets-half-closed-up"}
                                                          : Name{"resets-half-closed-down"})))) {
        reset_both();
    } else if (since >= 25ms && !pipe.write_ended &&
               is(pipe.up ? Name{"loses-tail-up"} : Name{"loses-tail-down"})) {
        pipe.clear();
        end_one(pipe);
    }
}

inline bool Relay::cuts_echo() const {
    return is("cuts-echo-at-end") && up_.read_ended && up_.carried > Pipe::usual_limit;
}

/// Faults that show in the last data after the client's end.
inline void Relay::cut_after_end(const Pipe& pipe) {
    if (is_finished_ || pipe.up || !up_.read_ended) {
        return;
    }
    if (is("one-answer-after-end")) {
        end_both();
    } else if (cuts_echo() && pipe.after_end >= echo_allowance && !down_.read_ended) {
        down_.read_ended = true;
        down_.push_end();
    }
}

/// What it does when nothing has been sent for a while.
inline void Relay::break_silence(Clock::time_point now) {
    const auto silence = now - last_data_;
    const bool both_spoke = up_.carried > 0 && down_.carried > 0;
    if (both_spoke && !has_spoken_in_silence_) {
        if (is("keep-alive-bytes") && silence >= 60ms) {
            down_.push(std::string(1, '\0'));
            has_spoken_in_silence_ = true;
        } else if (is("probes-server") && silence >= 60ms) {
            up_.push("are you there?\n");
            has_spoken_in_silence_ = true;
        } else if (is("announces-timeout") && silence >= 700ms) {
            down_.push("408 Request Timeout\r\n");
            has_spoken_in_silence_ = true;
        }
    }
    const bool is_blocked = !up_.is_empty() || !down_.is_empty();
    if (!is_blocked &&
        ((both_spoke && silence >= 200ms && is("closes-when-idle")) ||
         (silence >= 60s && is("minute-timeout")) ||
         (down_.carried == 0 && silence >= 150ms && is("closes-when-target-silent")))) {
        end_both();
    }
}
