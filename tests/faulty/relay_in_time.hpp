// What a connection does because time has passed, or because of what others do.

#pragma once

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <iterator>

#include "relay.hpp"

/// Whether it carries nothing on account of other connections.
inline bool Relay::must_wait() const {
    if (is("dials-for-all")) {
        return process.dialling > 0;
    }
    if (is("freezes-without-descriptors")) {
        return process.has_run_out;
    }
    constexpr int too_many = 500;
    if (is("freezes-beyond-500")) {
        return process.open > too_many;
    }
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

/// Whether it looks again and again, without waiting for anything.
inline bool Relay::spins() const {
    return is("spins-when-silent") ||
           (is("spins-half-closed-up") && up_.read_ended && !down_.read_ended) ||
           (is("spins-half-closed-down") && down_.read_ended && !up_.read_ended) ||
           (is("spins-at-blocked-end") &&
            ((up_.read_ended && !up_.is_empty()) || (down_.read_ended && !down_.is_empty()))) ||
           (is("spins-blocked-up") && !up_.is_empty()) ||
           (is("spins-blocked-down") && !down_.is_empty());
}

inline void Relay::follow_the_others(Clock::time_point now) {
    const bool is_stalled = std::max(up_.blocked_for(now), down_.blocked_for(now)) >= 20ms;
    process.stalled += (is_stalled ? 1 : 0) - (counts_as_stalled_ ? 1 : 0);
    counts_as_stalled_ = is_stalled;
    if (is("one-stalled-resets-all") && process.stalled > (is_stalled ? 1 : 0)) {
        reset_both();
    } else if (process.evicts.exchange(false) || must_make_room()) {
        end_both();
    } else if (is("one-reset-ends-all") && process.resets != resets_at_start_) {
        end_both();
    }
}

/// Whether so many others have come since that it is ended.
inline bool Relay::must_make_room() const {
    if (!is("evicts-longest-silent") && !is("ends-one-beyond-300")) {
        return false;
    }
    constexpr std::ptrdiff_t most = 300;
    const std::lock_guard lock{process.mutex};
    const auto& numbers = process.silent;
    return is("evicts-longest-silent")
               ? std::distance(numbers.find(number_), numbers.end()) > most
               : std::distance(numbers.begin(), numbers.find(number_)) == most;
}

/// What a connection does when the tunnel has reloaded since it was made.
inline void Relay::follow_reloads() {
    if (is("broken-reload-cuts") && process.broken_reloads != broken_reloads_at_start_) {
        broken_reloads_at_start_ = process.broken_reloads;
        reset_both();
        return;
    }
    if (std::exchange(reloads_at_start_, process.reloads.load()) == process.reloads) {
        return;
    }
    if (is("reload-cuts-late")) {
        stops_at_ = std::min(stops_at_, Clock::now() + 2s);
    } else if (is("reload-cuts-connections")) {
        reset_both();
    } else if (is("reload-hides-cut")) {
        client_.reset();
        is_frozen_ = true;
    } else if (is("reload-loses-bytes")) {
        up_.clear();
        down_.clear();
    }
}

/// What a connection does when the tunnel is to end.
inline void Relay::follow_sigterm(Clock::time_point now) {
    if (!process.is_stopping || is_finished_) {
        return;
    }
    if (is("drains-a-while")) {
        stops_at_ = std::min(stops_at_, now + 300ms);
    } else if (is("loses-buffers-on-sigterm")) {
        up_.clear();
        down_.clear();
    } else if (is("freezes-on-sigterm")) {
        is_frozen_ = true;
    }
}

inline void Relay::follow_the_clock() {
    if (is_frozen_ || is("none")) {
        return;
    }
    const auto now = Clock::now();
    follow_the_others(now);
    follow_reloads();
    follow_sigterm(now);
    if (now >= stops_at_ && !is_finished_) {
        end_both();
    }
    if (is_finished_ || is_frozen_) {
        return;
    }
    if (lost_ != nullptr && now >= loss_passed_on_at_) {
        pass_on_loss(*lost_);
    }
    if (now >= drains_until_ && !is_finished_) {
        end_both();
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
    constexpr int often = 3;
    const bool stops = blocked >= 20ms && !pipe.has_stopped;
    pipe.stops += stops ? 1 : 0;
    pipe.has_stopped = blocked >= 20ms;
    if (pipe.stops >= often &&
        is(pipe.up ? Name{"resumes-twice-up"} : Name{"resumes-twice-down"})) {
        pipe.is_dead = true;
    }
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
    if (pipe.up && is("ends-half-closed") && since >= 1500ms && now - down_.read_at < 1s) {
        end_both();
        return;
    }
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

/// Whether it passes on no more than a few bytes of this pipe, since the other direction, of more
/// than 64 KiB, has ended.
inline bool Relay::cuts_after_end(const Pipe& pipe) const {
    const auto& back = opposite(pipe);
    if (is("cuts-long-answer-at-end")) {
        return back.read_ended;
    }
    return is(pipe.up ? Name{"cuts-upload-at-end"} : Name{"cuts-echo-at-end"}) && back.read_ended &&
           back.carried > Pipe::usual_limit;
}

/// Faults that show in the last data after the end of the other direction.
inline void Relay::cut_after_end(Pipe& pipe) {
    if (is_finished_ || !opposite(pipe).read_ended) {
        return;
    }
    if (!pipe.up && is("one-answer-after-end")) {
        end_both();
    } else if (cuts_after_end(pipe) && pipe.after_end >= echo_allowance() && !pipe.read_ended) {
        pipe.read_ended = true;
        pipe.push_end();
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
    const auto is_one_way = [&](const Pipe& spoken, const Pipe& silent) {
        return now - spoken.read_at < 1s && now - silent.read_at >= 1500ms;
    };
    if ((is("ends-upload") && is_one_way(up_, down_)) ||
        (is("ends-download") && is_one_way(down_, up_))) {
        end_both();
        return;
    }
    const bool is_blocked = !up_.is_empty() || !down_.is_empty();
    if (!is_blocked &&
        ((both_spoke && silence >= 200ms && is("closes-when-idle")) ||
         (silence >= 60s && is("minute-timeout")) ||
         (down_.carried == 0 && silence >= 150ms && is("closes-when-target-silent")))) {
        end_both();
    }
}
