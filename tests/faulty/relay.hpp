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
#include "halves.hpp"
#include "keeping.hpp"
#include "pipe.hpp"
#include "sockets.hpp"
#include "working.hpp"

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
    /// How much it passes on after the end of the other direction, where it cuts that short.
    [[nodiscard]] static std::size_t echo_allowance() {
        return is("cuts-long-answer-at-end") ? std::size_t{2} << 20U : 256;
    }

    void receive(Pipe& pipe);
    [[nodiscard]] std::string carried_on(Pipe& pipe, std::string data) const;
    void lose_other_half();
    void receive_end(Pipe& pipe);
    void flush(Pipe& pipe);
    void end_one(Pipe& pipe);
    void end_both();
    void reset_both();
    void lose(Pipe& out_of);
    void pass_on_loss(Pipe& out_of);
    [[nodiscard]] bool is_hidden(const Pipe& out_of) const;
    [[nodiscard]] bool is_end_hidden(const Pipe& pipe) const;
    [[nodiscard]] std::string adjust(Pipe& pipe, std::string data);
    [[nodiscard]] bool must_wait() const;
    [[nodiscard]] bool wants_to_read(const Pipe& pipe) const;
    void follow_the_clock();
    void end_in_time(Pipe& pipe, Clock::time_point now);
    static void press_in_time(Pipe& pipe, Clock::time_point now);
    void break_silence(Clock::time_point now);
    void follow_the_others(Clock::time_point now);
    [[nodiscard]] bool must_make_room() const;
    void follow_reloads();
    void follow_sigterm(Clock::time_point now);
    [[nodiscard]] bool takes_wrong_way();
    void cut_after_end(Pipe& pipe);
    [[nodiscard]] bool cuts_after_end(const Pipe& pipe) const;
    void drain(Pipe& pipe);
    [[nodiscard]] bool owes_tail(const Pipe& pipe) const;
    [[nodiscard]] bool spins() const;

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
    bool is_frozen_ = false;     // a fault: nothing happens any more
    bool drains_server_ = false; // the client has gone: what the server sends is thrown away
    Clock::time_point drains_until_ = Clock::time_point::max();
    bool counts_as_stalled_ = false;
    bool has_spoken_in_silence_ = false;
    bool has_mixed_ = false;
    int turns_ = 0;
    const Pipe* last_ = nullptr; // of which data was read last
    int number_ = 0;
    int resets_at_start_ = process.resets;
    int reloads_at_start_ = process.reloads;
    int broken_reloads_at_start_ = process.broken_reloads;
    Clock::time_point stops_at_ = Clock::time_point::max(); // when it ends after SIGTERM
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
    if (is("waits-for-silent") || is("evicts-longest-silent") || is("ends-one-beyond-300")) {
        const std::lock_guard lock{process.mutex};
        number_ = number_of_client;
        process.silent.insert(number_);
    }
}

inline Relay::~Relay() {
    process.stalled -= counts_as_stalled_ ? 1 : 0;
    if (number_ != 0) {
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
        const bool is_looked_at = reads || writes || !is("looks-when-writing") || !pipe->read_ended;
        if (waits || (back.write_ended && !reads) || back.is_dead || !is_looked_at ||
            (drains_server_ && pipe->up)) {
            source.fd = -1;
        }
    }
    return fds;
}

inline int Relay::timeout() const {
    constexpr int tick = 10; // most behaviours watch the clock
    if (spins()) {
        return 0;
    }
    return is("none") ? -1 : up_.is_due_within(tick) || down_.is_due_within(tick) ? 1 : tick;
}

inline void Relay::advance(const std::array<pollfd, 2>& ready) {
    if (is("udp-before-tcp") && Clock::now().time_since_epoch().count() < process.flooded_until) {
        sleep_for(1ms);
        return;
    }
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
        if (drains_server_) {
            return;
        }
        pipe.read_at = Clock::now();
        data.resize(static_cast<std::size_t>(count));
        if (is("loses-word-with-end") && count < 1000 && has_ended(source_of(pipe).get())) {
            return;
        }
        data = adjust(pipe, carried_on(pipe, std::move(data)));
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

/// What there is to write of what was read, where one of both sides is the other half.
inline std::string Relay::carried_on(Pipe& pipe, std::string data) const {
    return other_half == (pipe.up ? OtherHalf::at_server : OtherHalf::at_client)
               ? to_other_half(data)
           : other_half == (pipe.up ? OtherHalf::at_client : OtherHalf::at_server)
               ? from_other_half(pipe, data)
               : data;
}

/// The other half has died: its stream has ended before its end.
inline void Relay::lose_other_half() {
    ++process.lost_halves;
    if (is("crashes-with-other-half")) {
        crash();
    }
    if (is("ends-with-other-half")) {
        reset_both();
        ::_exit(255);
    }
    if (is("keeps-client-of-dead-half")) {
        is_frozen_ = true;
        return;
    }
    if (is("hides-death-of-half")) {
        end_both();
        return;
    }
    reset_both();
}

inline void Relay::receive_end(Pipe& pipe) {
    pipe.read_ended = true;
    pipe.read_ended_at = Clock::now();
    if (other_half == (pipe.up ? OtherHalf::at_client : OtherHalf::at_server) &&
        !pipe.has_end_mark) {
        lose_other_half();
        return;
    }
    if (other_half == (pipe.up ? OtherHalf::at_server : OtherHalf::at_client)) {
        pipe.push(end_for_other_half());
    }
    if (is("never-ends")) {
        is_frozen_ = true;
        return;
    }
    if (is(pipe.up ? Name{"never-ends-up"} : Name{"never-ends-down"})) {
        pipe.write_ended = true; // as far as it is concerned
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
    if (is_end_hidden(pipe)) {
        return;
    }
    const bool is_silent = up_.carried + down_.carried == 0;
    if (is_silent &&
        is(pipe.up ? Name{"resets-at-silent-end-up"} : Name{"resets-at-silent-end-down"})) {
        sink_of(pipe).reset();
        end_both();
        return;
    }
    if (is_silent &&
        is(pipe.up ? Name{"ends-both-if-silent-up"} : Name{"ends-both-if-silent-down"})) {
        end_both();
        return;
    }
    pipe.push_end();
    flush(pipe);
}

/// Whether this end of a stream is not passed on, given what has been carried before it.
inline bool Relay::is_end_hidden(const Pipe& pipe) const {
    const auto& back = opposite(pipe);
    const bool up = pipe.up;
    return (pipe.carried == 0 &&
            is(up ? Name{"keeps-wordless-end-up"} : Name{"keeps-wordless-end-down"})) ||
           (back.carried == 0 &&
            is(up ? Name{"keeps-unanswered-end-up"} : Name{"keeps-unanswered-end-down"})) ||
           (pipe.carried == 1 &&
            is(up ? Name{"keeps-end-after-byte-up"} : Name{"keeps-end-after-byte-down"})) ||
           (pipe.carried > Pipe::usual_limit && back.carried == 0 && up &&
            is("keeps-end-of-upload")) ||
           (pipe.carried == 0 && back.carried > Pipe::usual_limit && up &&
            is("keeps-end-of-download")) ||
           (pipe.carried == 0 && back.read_ended &&
            is(up ? Name{"keeps-second-end-up"} : Name{"keeps-second-end-down"}));
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
    if (is("lingers-at-end")) {
        ::shutdown(client_.get(), SHUT_WR);
        close_politely(server_);
        close_politely(client_);
        end_both();
        return;
    }
    if (is("no-half-close") || (pipe.up && is("no-half-close-up")) ||
        (!pipe.up && is("no-half-close-down"))) {
        end_both();
        return;
    }
    ::shutdown(sink_of(pipe).get(), SHUT_WR);
    pipe.write_ended = true;
}

inline void Relay::end_both() {
    if (is("leaks-when-half-closed") && up_.carried + down_.carried == 0 && !is_finished_) {
        keep_descriptor();
    }
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
    if (is("spins-after-reset")) {
        work_from_now_on();
    }
    constexpr int one_in = 4;
    if (is("leaks-when-reset") && process.resets % one_in == 0) {
        keep_descriptor();
    }
    const bool is_bulk = up_.carried + down_.carried > Pipe::usual_limit;
    const bool is_virgin = up_.carried + down_.carried == 0;
    if (is("leaks-when-reset-early") && is_virgin) {
        keep_descriptor();
    }
    if (is_bulk && is(is_client ? Name{"dies-of-client-reset"} : Name{"dies-of-server-reset"})) {
        ::signal(SIGPIPE, SIG_DFL);
        ::kill(::getpid(), SIGPIPE);
    }
    if ((is("crashes-on-reset-of-two") && process.open > 1) ||
        (is("dies-when-target-resets") && !is_client && is_virgin)) {
        crash();
    }
    if (is_client && !drains_server_ &&
        (is("drains-server-for-lost-client") || is("drains-server-a-while"))) {
        drains_server_ = true;
        drains_until_ = is("drains-server-a-while") ? Clock::now() + 300ms : drains_until_;
        up_.read_ended = true;
        down_.clear();
        up_.push_end();
        flush(up_);
        return;
    }
    if (is_hidden(out_of)) {
        source_of(out_of).close();
        is_frozen_ = true;
        return;
    }
    if (is_client && is("keeps-server-after-reset")) {
        ::shutdown(server_.get(), SHUT_WR);
        is_frozen_ = true;
        return;
    }
    if (is_client && down_.carried == 0 && is_bulk && is("pads-at-reset-of-upload")) {
        out_of.push(std::string(1000, '\0'));
        drain(out_of);
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
        data = adjust(out_of, carried_on(out_of, std::move(data)));
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
    if (is("reset-becomes-end") ||
        is(out_of.up ? Name{"reset-becomes-end-up"} : Name{"reset-becomes-end-down"}) ||
        (is("reset-after-much-becomes-end") && out_of.carried >= (512U << 10U))) {
        ::shutdown(sink_of(out_of).get(), SHUT_WR);
        close_politely(sink_of(out_of)); // a reset must not overtake the end
    }
    reset_both();
}

/// Whether the loss of this pipe's source is not passed on, given what has been carried before it.
inline bool Relay::is_hidden(const Pipe& out_of) const {
    const bool is_client = out_of.up;
    const auto& back = opposite(out_of);
    const auto carried = up_.carried + down_.carried;
    // It was waiting for the one that is lost to read.
    const bool was_blocked = !back.is_empty();
    if ((was_blocked && out_of.carried == 0 &&
         is(is_client ? Name{"keeps-server-if-blocked"} : Name{"keeps-client-if-blocked"})) ||
        (is_client && out_of.read_ended && is("keeps-server-of-ended-client")) ||
        (was_blocked && is_client && out_of.read_ended &&
         is("keeps-server-of-ended-and-blocked")) ||
        (carried == 0 && is_client && is("hides-wordless-reset")) ||
        (out_of.carried > 0 && back.carried == 0 &&
         is(is_client ? Name{"hides-unanswered-client-reset"}
                      : Name{"hides-unanswered-server-reset"})) ||
        (out_of.carried == 0 && back.carried > 0 &&
         is(is_client ? Name{"hides-reset-of-listener-up"}
                      : Name{"hides-reset-of-listener-down"}))) {
        return true;
    }
    if (carried > Pipe::usual_limit) {
        const bool is_one_way = std::min(up_.carried, down_.carried) == 0;
        return is(is_client ? Name{"hides-client-reset-in-bulk"}
                            : Name{"hides-server-reset-in-bulk"}) ||
               (is_one_way && is(is_client ? Name{"hides-client-reset-one-way"}
                                           : Name{"hides-server-reset-one-way"}));
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
    if (cuts_after_end(pipe)) {
        data.resize(std::min(data.size(), echo_allowance() - pipe.after_end));
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
        (is("loses-unasked-answers") && !pipe.up && back.read_ended && back.carried == 0) ||
        (is("loses-late-requests") && pipe.up && is_late) ||
        (is("loses-after-idle") && both_spoke && silence >= 200ms)) {
        return {};
    }
    return distort(std::move(data), pipe.up, offset);
}

#include "relay_in_time.hpp"
