// One connection: its bytes from client to server ("up") and from server to client ("down").

#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "behaviours.hpp"
#include "distortions.hpp"
#include "pipe.hpp"
#include "sockets.hpp"

class Relay {
public:
    /// `reply` is the end of the handshake, if it is to go out with the server's first data.
    Relay(Descriptor client, Descriptor server, const std::string& reply = {});
    ~Relay();
    Relay(const Relay&) = delete;
    Relay& operator=(const Relay&) = delete;

    /// Blocks until both directions have ended.
    void run();

    // For a poll loop of many: what to wait for, and what to do then.
    [[nodiscard]] std::array<pollfd, 2> wanted() const;
    [[nodiscard]] int timeout() const;
    void advance(const std::array<pollfd, 2>& ready);
    [[nodiscard]] bool is_finished() const { return is_finished_; }

private:
    static constexpr std::uint64_t much = 2 << 20;
    static constexpr std::size_t echo_allowance = 256;

    void receive(Pipe& pipe);
    void receive_end(Pipe& pipe);
    void flush(Pipe& pipe);
    void end_one(Pipe& pipe);
    void end_both();
    void reset_both();
    void lose(Pipe& out_of);
    void pass_on_loss(Pipe& out_of);
    [[nodiscard]] bool is_hidden(bool is_client) const;
    [[nodiscard]] std::string adjust(Pipe& pipe, std::string data);
    [[nodiscard]] bool must_wait() const;
    [[nodiscard]] bool wants_to_read(const Pipe& pipe) const;
    void follow_the_clock();
    void end_in_time(Pipe& pipe, Clock::time_point now);
    static void press_in_time(Pipe& pipe, Clock::time_point now);
    void break_silence(Clock::time_point now);
    void follow_the_others(Clock::time_point now);
    [[nodiscard]] bool takes_wrong_way();
    void cut_after_end(const Pipe& pipe);
    [[nodiscard]] bool cuts_echo() const;
    void drain(Pipe& pipe);
    [[nodiscard]] bool owes_tail(const Pipe& pipe) const;

    Pipe& opposite(const Pipe& pipe) { return &pipe == &up_ ? down_ : up_; }
    [[nodiscard]] const Pipe& opposite(const Pipe& pipe) const {
        return &pipe == &up_ ? down_ : up_;
    }
    Descriptor& source_of(const Pipe& pipe) { return pipe.up ? client_ : server_; }
    [[nodiscard]] const Descriptor& sink_of(const Pipe& pipe) const {
        return pipe.up ? server_ : client_;
    }
    Descriptor& sink_of(const Pipe& pipe) { return pipe.up ? server_ : client_; }

    Descriptor client_;
    Descriptor server_;
    Pipe up_{true};
    Pipe down_{false};
    bool is_finished_ = false;
    bool is_frozen_ = false; // a fault: nothing happens any more
    bool counts_as_stalled_ = false;
    bool has_spoken_in_silence_ = false;
    bool has_mixed_ = false;
    int turns_ = 0;
    const Pipe* last_ = nullptr; // of which data was read last
    int number_ = 0;
    int resets_at_start_ = process.resets;
    Clock::time_point last_data_ = Clock::now();
    Clock::time_point loss_passed_on_at_ = Clock::time_point::max();
    Pipe* lost_ = nullptr;
};

inline Relay::Relay(Descriptor client, Descriptor server, const std::string& reply)
    : client_{std::move(client)}, server_{std::move(server)} {
    for (const int fd : {client_.get(), server_.get()}) {
        checked(::fcntl(fd, F_SETFL, O_NONBLOCK), "fcntl");
    }
    if (!reply.empty()) {
        down_.push(reply);
    }
    if (is("waits-for-silent")) {
        const std::lock_guard lock{process.mutex};
        number_ = process.silent.empty() ? 1 : *process.silent.rbegin() + 1;
        process.silent.insert(number_);
    }
}

inline Relay::~Relay() {
    process.stalled -= counts_as_stalled_ ? 1 : 0;
    if (is("waits-for-silent")) {
        const std::lock_guard lock{process.mutex};
        process.silent.erase(number_);
    }
}

inline void Relay::run() {
    while (!is_finished_) {
        auto fds = wanted();
        if (::poll(fds.data(), fds.size(), timeout()) == -1 && errno != EINTR) {
            throw std::system_error{errno, std::generic_category(), "poll"};
        }
        advance(fds);
    }
}

inline bool Relay::wants_to_read(const Pipe& pipe) const {
    if (is("blocking-relay") && (!up_.is_empty() || !down_.is_empty())) {
        return false;
    }
    return !pipe.read_ended && !pipe.is_dead && pipe.room() > 0;
}

inline std::array<pollfd, 2> Relay::wanted() const {
    std::array<pollfd, 2> fds{{{client_.get(), 0, 0}, {server_.get(), 0, 0}}};
    const bool waits = is_frozen_ || must_wait() || lost_ != nullptr;
    for (const auto* pipe : {&up_, &down_}) {
        auto& source = fds.at(pipe->up ? 0 : 1);
        const auto& back = opposite(*pipe); // its sink is our source
        const bool reads = wants_to_read(*pipe);
        const bool writes = back.wants_to_write();
        source.events = static_cast<short>((reads ? POLLIN : 0) | (writes ? POLLOUT : 0));
        // Of a socket that is shut down both ways poll would tell without end.
        if (waits || (back.write_ended && !reads) || back.is_dead) {
            source.fd = -1;
        }
    }
    return fds;
}

inline int Relay::timeout() const {
    constexpr int tick = 10; // most behaviours watch the clock
    return is("none") ? -1 : up_.is_due_within(tick) || down_.is_due_within(tick) ? 1 : tick;
}

inline void Relay::advance(const std::array<pollfd, 2>& ready) {
    follow_the_clock();
    if (is_finished_ || is_frozen_ || lost_ != nullptr || must_wait()) {
        return;
    }
    for (auto* pipe : {&up_, &down_}) {
        const auto& source = ready.at(pipe->up ? 0 : 1);
        if (source.fd == -1) {
            continue;
        }
        if (wants_to_read(*pipe) && source.revents != 0 && !is_finished_ && lost_ == nullptr) {
            receive(*pipe);
        }
        const bool is_gone = (source.revents & POLLERR) != 0 ||
                             ((source.revents & POLLHUP) != 0 && !opposite(*pipe).write_ended);
        if (is_gone && !wants_to_read(*pipe) && !is_finished_ && lost_ == nullptr) {
            lose(*pipe);
        }
    }
    for (auto* pipe : {&up_, &down_}) {
        if (!is_finished_ && lost_ == nullptr) {
            flush(*pipe);
        }
    }
    if (!is_finished_ && up_.write_ended && down_.write_ended && !owes_tail(up_) &&
        !owes_tail(down_)) {
        end_both();
    }
}

/// Reads what there is, once.
inline void Relay::receive(Pipe& pipe) {
    std::string data(pipe.room(), '\0');
    const auto count = ::recv(source_of(pipe).get(), data.data(), data.size(), 0);
    if (count > 0) {
        data.resize(static_cast<std::size_t>(count));
        data = adjust(pipe, std::move(data));
        auto& out = takes_wrong_way() ? opposite(pipe) : pipe;
        if (!data.empty()) {
            out.push(std::move(data));
        }
        flush(out);
        cut_after_end(pipe);
    } else if (count == 0) {
        receive_end(pipe);
    } else if (errno != EAGAIN && errno != EINTR) {
        lose(pipe);
    }
}

inline void Relay::receive_end(Pipe& pipe) {
    pipe.read_ended = true;
    pipe.read_ended_at = Clock::now();
    if (is("never-ends")) {
        is_frozen_ = true;
        return;
    }
    if (pipe.up && is("adds-at-end")) {
        pipe.push("!");
    }
    if (pipe.up && is("resets-at-end")) {
        server_.reset();
        end_both();
        return;
    }
    pipe.push_end();
    flush(pipe);
}

/// Writes as much as can be written.
inline void Relay::flush(Pipe& pipe) {
    if (is_finished_ || is_frozen_ || pipe.is_dead) {
        return;
    }
    switch (pipe.write_to(sink_of(pipe).get())) {
        case Pipe::Written::all_or_blocked:
            return;
        case Pipe::Written::end:
            end_one(pipe);
            return;
        case Pipe::Written::failed:
            lose(opposite(pipe));
            return;
    }
}

/// Passes an end of stream on.
inline void Relay::end_one(Pipe& pipe) {
    if (is("no-half-close") || (pipe.up && is("no-half-close-up")) ||
        (!pipe.up && is("no-half-close-down"))) {
        end_both();
        return;
    }
    ::shutdown(sink_of(pipe).get(), SHUT_WR);
    pipe.write_ended = true;
}

inline void Relay::end_both() {
    client_.close();
    server_.close();
    is_finished_ = true;
}

inline void Relay::reset_both() {
    client_.reset();
    server_.reset();
    is_finished_ = true;
}

/// The source of this pipe is lost: reset, or gone. The other side is to learn of it.
inline void Relay::lose(Pipe& out_of) {
    const bool is_client = out_of.up;
    ++process.resets;
    ++(is_client ? process.client_resets : process.server_resets);
    const bool is_bulk = up_.carried + down_.carried > Pipe::usual_limit;
    const bool is_virgin = up_.carried + down_.carried == 0;
    if (is_bulk && is(is_client ? Name{"dies-of-client-reset"} : Name{"dies-of-server-reset"})) {
        ::signal(SIGPIPE, SIG_DFL);
        ::kill(::getpid(), SIGPIPE);
    }
    if ((is("crashes-on-reset-of-two") && process.open > 1) ||
        (is("dies-when-target-resets") && !is_client && is_virgin)) {
        crash();
    }
    if (is_hidden(is_client)) {
        source_of(out_of).close();
        is_frozen_ = true;
        return;
    }
    if (is_bulk && is_client && is("repeats-at-client-reset")) {
        out_of.push(out_of.last_piece);
        drain(out_of);
    }
    if (is_bulk && !is_client && is("pads-at-server-reset")) {
        out_of.push(std::string(1000, '\0'));
        drain(out_of);
    }
    // What it sent before may still be there, even where it was a write that failed.
    while (wants_to_read(out_of)) {
        std::string data(out_of.room(), '\0');
        const auto count = ::recv(source_of(out_of).get(), data.data(), data.size(), 0);
        if (count <= 0) {
            break;
        }
        data.resize(static_cast<std::size_t>(count));
        data = adjust(out_of, std::move(data));
        if (!data.empty()) {
            out_of.push(std::move(data));
        }
        out_of.write_to(sink_of(out_of).get());
    }
    out_of.hurry();
    out_of.write_to(sink_of(out_of).get());
    if (is("late-reset")) {
        lost_ = &out_of;
        loss_passed_on_at_ = Clock::now() + 50ms;
        return;
    }
    pass_on_loss(out_of);
}

inline void Relay::pass_on_loss(Pipe& out_of) {
    if (is("reset-becomes-end")) {
        ::shutdown(sink_of(out_of).get(), SHUT_WR);
        close_politely(sink_of(out_of)); // a reset must not overtake the end
    }
    reset_both();
}

inline bool Relay::is_hidden(bool is_client) const {
    const auto carried = up_.carried + down_.carried;
    if (carried > Pipe::usual_limit) {
        return is(is_client ? Name{"hides-client-reset-in-bulk"}
                            : Name{"hides-server-reset-in-bulk"});
    }
    return is(is_client ? Name{"hides-client-reset"} : Name{"hides-server-reset"}) ||
           (!is_client && carried == 0 && is("hangs-when-target-resets"));
}

inline bool Relay::takes_wrong_way() {
    return is("mixes-directions") && std::min(up_.carried, down_.carried) > much &&
           !std::exchange(has_mixed_, true);
}

/// What becomes of this piece, given what this connection has been through.
inline std::string Relay::adjust(Pipe& pipe, std::string data) {
    const auto now = Clock::now();
    const auto& back = opposite(pipe);
    const auto silence = now - std::exchange(last_data_, now);
    const bool both_spoke = up_.carried > 0 && down_.carried > 0;
    const bool turns = std::exchange(last_, &pipe) == &back;
    turns_ += turns ? 1 : 0;
    pipe.small_in_a_row = data.size() >= 64 ? 0 : turns ? 1 : pipe.small_in_a_row + 1;
    has_spoken_in_silence_ = false;
    const auto offset = pipe.carried;
    pipe.carried += data.size();
    constexpr std::uint64_t often = 8U << 20U;
    if (is("unbounded-at-times") && pipe.up && offset / often != pipe.carried / often) {
        while (Clock::now() < now + 60ms) { // as one does that waits for the CPU
        }
    }
    if (is("waits-for-silent")) {
        const std::lock_guard lock{process.mutex};
        process.silent.erase(number_);
    }
    if (is("repeats-at-client-reset")) {
        pipe.last_piece = data;
    }
    if (cuts_echo() && !pipe.up) {
        data.resize(std::min(data.size(), echo_allowance - pipe.after_end));
        pipe.after_end += data.size();
    }
    if (data.empty()) {
        return data;
    }

    const auto least = std::min(up_.carried, down_.carried);
    const bool is_late = back.read_ended && now - back.read_ended_at >= 50ms;
    if ((is("stops-after-500-turns") && turns_ > 500) ||
        (is("loses-small-pieces") && pipe.small_in_a_row > 8) ||
        (is("stalls-in-duplex") && least > 2 * much) ||
        (is("loses-late-answers") && !pipe.up && is_late) ||
        (is("loses-late-requests") && pipe.up && is_late) ||
        (is("loses-after-idle") && both_spoke && silence >= 200ms)) {
        return {};
    }
    return distort(std::move(data), pipe.up, offset);
}

#include "relay_in_time.hpp"
