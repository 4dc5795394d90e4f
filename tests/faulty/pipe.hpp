// One direction of a connection: what was read, and is still to be written.

#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <utility>

#include "behaviours.hpp"
#include "keeping.hpp"
#include "sockets.hpp"

class Pipe {
public:
    enum class Written { all_or_blocked, end, failed };
    static constexpr std::size_t usual_limit = 65536;

    explicit Pipe(bool is_up) : up{is_up} {}

    const bool up; // from client to server
    bool read_ended = false;
    bool write_ended = false;
    bool is_dead = false;      // a fault: it carries nothing any more
    std::uint64_t carried = 0; // bytes read
    int small_in_a_row = 0;    // pieces
    std::size_t after_end = 0; // bytes read since the other direction has ended
    bool is_escaped = false;   // by the last byte from the other half
    bool has_end_mark = false; // came from the other half
    std::string last_piece;
    Clock::time_point read_at = Clock::now(); // when something was
    Clock::time_point read_ended_at;
    int stops = 0;            // how many times its reader has stopped
    bool has_stopped = false; // its reader

    [[nodiscard]] bool is_empty() const { return queue_.empty(); }
    [[nodiscard]] std::size_t room() const;
    void push(std::string data);
    void push_end();

    /// Forgets what is queued.
    void clear() { queue_.clear(); }

    /// Ends all delays.
    void hurry();

    /// Writes what is due, as far as the socket takes it.
    Written write_to(int fd);

    [[nodiscard]] bool wants_to_write() const {
        return !is_dead && !queue_.empty() && queue_.front().due <= Clock::now();
    }
    [[nodiscard]] bool is_due_within(int milliseconds) const {
        return !queue_.empty() &&
               queue_.front().due <= Clock::now() + std::chrono::milliseconds{milliseconds};
    }
    /// For how long the reader has taken nothing of what is due.
    [[nodiscard]] Clock::duration blocked_for(Clock::time_point now) const {
        return queue_.empty() ? Clock::duration::zero()
                              : now - std::max(last_progress_, queue_.front().due);
    }

private:
    struct Piece {
        std::string data; // empty at the end of the stream
        Clock::time_point due;
        std::size_t done = 0;
    };

    [[nodiscard]] std::size_t limit() const;
    [[nodiscard]] std::size_t next_size(const Piece& piece);
    void append(std::string data, std::chrono::milliseconds delay);
    [[nodiscard]] bool spoils_partial_write(Piece& piece);

    std::deque<Piece> queue_;
    std::minstd_rand random_{1};
    bool has_repeated_ = false;
    bool has_collected_ = false;
    Clock::time_point last_progress_ = Clock::now();
};

inline std::size_t Pipe::limit() const {
    if (is(up ? Name{"unbounded-up"} : Name{"unbounded-down"}) ||
        (up && is("unbounded-at-times"))) {
        return std::size_t{256} << 20;
    }
    if (is("latency")) {
        return std::size_t{8} << 20;
    }
    const std::size_t tiny = carried < usual_limit ? 16 : 512;
    return is("big-buffer") ? std::size_t{1} << 20 : is("tiny-buffer") ? tiny : usual_limit;
}

inline std::size_t Pipe::room() const {
    std::size_t queued = 0;
    for (const auto& piece : queue_) {
        queued += piece.data.size() - piece.done;
    }
    return std::min(limit() - std::min(queued, limit()), usual_limit);
}

inline void Pipe::append(std::string data, std::chrono::milliseconds delay) {
    auto due = Clock::now() + delay;
    if (queue_.empty()) {
        last_progress_ = Clock::now();
    } else {
        due = std::max(due, queue_.back().due); // nothing overtakes
    }
    queue_.push_back({std::move(data), due});
}

inline void Pipe::push(std::string data) {
    keep_of_data(data);
    // The reply is the first thing that is pushed down.
    const bool collects = is("coalesces") || (is("glued-reply") && !up && !has_collected_);
    if (collects && !queue_.empty() && queue_.back().due > Clock::now()) {
        queue_.back().data += data;
        has_collected_ = true;
        return;
    }
    const bool is_slow = is("delays-small-pieces") && data.size() < 1460;
    append(std::move(data), is("latency") ? 50ms : is_slow ? 40ms : collects ? 20ms : 0ms);
}

inline void Pipe::push_end() {
    append({}, is("latency") || is("late-end") ? 50ms : 0ms);
}

inline void Pipe::hurry() {
    for (auto& piece : queue_) {
        piece.due = Clock::time_point{};
    }
}

inline std::size_t Pipe::next_size(const Piece& piece) {
    const auto left = piece.data.size() - piece.done;
    if (is("single-bytes")) {
        return carried <= usual_limit ? 1 : std::min<std::size_t>(left, 512);
    }
    if (is("first-byte-alone") && piece.done == 0) {
        return 1;
    }
    return is("random-pieces") ? std::min<std::size_t>(left, 1 + random_() % 512) : left;
}

/// The faults of programs that do not look at what a write has returned.
inline bool Pipe::spoils_partial_write(Piece& piece) {
    if (up && is("ignores-partial-writes")) {
        piece.done = piece.data.size();
    } else if (!up && is("repeats-after-partial-write") && !has_repeated_) {
        has_repeated_ = true;
        piece.done = 0;
    } else if (!up && is("full-buffer-is-end")) {
        read_ended = true;
        clear();
        return true;
    }
    return false;
}

inline Pipe::Written Pipe::write_to(int fd) {
    while (wants_to_write()) {
        auto& piece = queue_.front();
        if (piece.data.empty()) {
            queue_.pop_front();
            return Written::end;
        }
        const auto size = next_size(piece);
        const auto count = ::send(fd, piece.data.data() + piece.done, size, MSG_NOSIGNAL);
        if (count == -1 && errno != EAGAIN && errno != EINTR) {
            return Written::failed;
        }
        if (count > 0) {
            last_progress_ = Clock::now();
            piece.done += static_cast<std::size_t>(count);
        }
        if (count < static_cast<ssize_t>(size)) {
            if (spoils_partial_write(piece)) {
                return Written::end;
            }
            if (piece.done < piece.data.size()) {
                return Written::all_or_blocked;
            }
        }
        if (piece.done == piece.data.size()) {
            queue_.pop_front();
        }
    }
    return Written::all_or_blocked;
}
