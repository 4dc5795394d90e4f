#pragma once

#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../check.hpp"
#include "../detail/verdict.hpp"
#include "../pair_run.hpp"
#include "fill.hpp"
#include "sides.hpp"
#include "socket_options.hpp"
#include "tail.hpp"

namespace test_tunnel::check {

/// A connection of which one side has ended its direction, and what has been seen of that. Not to
/// be moved: its parts refer to each other.
struct HalfClosed {
    HalfClosed(Connection made, Party here, const Pattern& answer)
        : connection{std::move(made)},
          view{view_from(here, connection)},
          reply{.from = view.far, .to = view.near, .name = view.back, .pattern = answer} {}
    HalfClosed(const HalfClosed&) = delete;
    HalfClosed& operator=(const HalfClosed&) = delete;
    ~HalfClosed() = default;

    Connection connection;
    View view;
    /// What the other side answers.
    Stream reply;
    Clock::time_point begin;
    /// Since when nobody has said anything.
    Clock::time_point silent_since;
    HalfClose shown = HalfClose::full;
    /// From the half-close until that was known.
    Duration after{};

    void see(HalfClose what) {
        shown = what;
        after = Clock::now() - begin;
    }
};

/// Writes `size` further bytes of an answer and reads them at the other end; false where the
/// stream ends or breaks instead.
inline bool answer(PairRun& run, Stream& stream, std::size_t size) {
    const auto before = stream.from.written();
    const auto bytes = stream.pattern.bytes(stream.written, size);
    stream.size = stream.written + size;
    try {
        stream.from.write(bytes);
    } catch (const SystemError&) {
        // The tool has closed this side already: what the other one sees decides.
    }
    stream.written += stream.from.written() - before;
    std::array<char, 4096> buffer{};
    while (stream.read < stream.size) {
        std::size_t count = 0;
        try {
            count = stream.to.read_some(buffer.data(), buffer.size());
        } catch (const SystemError&) {
            return false;
        } catch (const TimedOut& error) {
            throw Unexpected{run.expected(), fmt::format("neither: {}\n({})", error.what(),
                                                         detail::progress_of(stream))};
        }
        if (count == 0) {
            return false;
        }
        detail::verify_piece(stream, {buffer.data(), count}, {});
        stream.read += count;
    }
    return true;
}

/// Nobody writes: whether the stream ends all the same. Anything else must not come.
inline bool ends_in_silence(PairRun& run, Socket& reader, Duration duration) {
    const auto watch = lenient(run);
    std::array event{reader.event(POLLIN)};
    if (detail::stays_silent(run.server(), event, duration, watch.get())) {
        return false;
    }
    try {
        reader.read_end();
    } catch (const Unexpected& error) {
        throw Unexpected{run.expected(), error.actual()};
    }
    return true;
}

inline std::string answer_expected(const View& view) {
    return fmt::format(
        "the {} gets the answer, or the end of the stream from a tool that ends both "
        "directions (Traits::half_close)",
        view.self);
}

/// One side ends its direction of the stream: what it wrote before must arrive, then the end. What
/// becomes of an answer, where there is one at once, is only looked at.
inline std::shared_ptr<HalfClosed> begin_half_close(PairRun& run, Party here, bool answers) {
    constexpr std::size_t size = 4096;
    auto state = std::make_shared<HalfClosed>(run.connect(), here, run.pattern().derive("answer"));
    const auto& view = state->view;
    run.step("half-close",
             fmt::format("the {} gets all that the {} wrote before it ended its direction, then "
                         "the end of the stream",
                         view.other, view.self),
             view.here, view.there);
    Stream request{.from = view.near,
                   .to = view.far,
                   .name = view.forth,
                   .pattern = run.pattern().derive("request"),
                   .size = size};
    view.near.write(request.pattern.bytes(0, size));
    view.near.shutdown_write();
    request.written = size;
    state->begin = Clock::now();
    carry(run, {&request, 1}, {.patience = run.config().timeouts.io});
    run.demand_end(view.far, view.forth);
    if (answers) {
        run.step("answer after the half-close", answer_expected(view), view.there, view.here);
        if (!answer(run, state->reply, size)) {
            state->see(HalfClose::none);
        }
    }
    state->silent_since = Clock::now();
    return state;
}

/// Whether an answer after `pause` still arrives, and the end of the stream when its side closes.
inline void end_half_close(PairRun& run, HalfClosed& state, Duration pause) {
    constexpr std::size_t size = 4096;
    const auto& view = state.view;
    if (state.shown == HalfClose::none) {
        return;
    }
    run.step("half-closed and silent",
             fmt::format("the {}'s stream goes on, or ends properly: nobody has reset anything, "
                         "nor written more",
                         view.self),
             view.there, view.here);
    const auto left = state.silent_since + pause - Clock::now();
    if (ends_in_silence(run, view.near, std::max(left, Duration::zero()))) {
        return state.see(HalfClose::timed);
    }
    run.step("late answer", answer_expected(view), view.there, view.here);
    if (!answer(run, state.reply, size)) {
        return state.see(HalfClose::timed);
    }
    run.step("end of stream",
             fmt::format("the {} sees a clean end of stream when the {} closes too", view.self,
                         view.other),
             view.there, view.here);
    view.far.close();
    run.demand_end(view.near, view.back);
    state.see(HalfClose::full);
}

/// A direction that ended with some of an answer delivered: a tool that ends it by the clock, or at
/// once, does so where nothing is sent, too. Whether it goes on there.
inline bool goes_on_in_silence(PairRun& run, Party here, Duration duration) {
    const auto silent = begin_half_close(run, here, false);
    end_half_close(run, *silent, duration);
    return silent->shown == HalfClose::full;
}

[[noreturn]] inline void throw_cut_short(PairRun& run, const HalfClosed& seen) {
    const auto& view = seen.view;
    run.step("what was cut short", "the answer was cut short by the clock");
    throw Unexpected{
        fmt::format("{}: all of the answer after the {} has ended its direction, since without an "
                    "answer this one goes on (Traits::half_close)",
                    view.back, view.self),
        fmt::format("after {} bytes of it, {} after the half-close, the end", seen.reply.read,
                    detail::text_of(seen.after))};
}

inline void judge_half_close(PairRun& run, std::string_view subject, HalfClose shown) {
    const auto declared = run.traits().half_close;
    if (!run.strict() && declared == HalfClose::timed && shown == HalfClose::full) {
        shown = HalfClose::timed; // the time was too short to see it
    }
    run.judge<HalfClose>("half_close", subject, declared, shown, HalfClose::full);
}

/// A side that has said all it has to say ends its direction and waits for the answer: HTTP/1.0,
/// `ssh host command < file`, rsync and many scripts do. What it said must be complete.
inline void half_close(PairRun& run, Party here) {
    using namespace std::chrono_literals;
    auto state = run.prepared<HalfClosed>();
    end_half_close(run, *state, run.wait(1s));
    if (state->shown != HalfClose::full && state->reply.read > 0 &&
        goes_on_in_silence(run, here, 2 * state->after + 1s)) {
        // Once may be chance: tools have been seen that now and then forget a connection.
        const auto first = std::move(state);
        state = begin_half_close(run, here, true);
        end_half_close(run, *state, run.wait(1s));
        if (state->shown != HalfClose::full) {
            throw_cut_short(run, *first);
        }
        state->shown = HalfClose::timed;
    }
    judge_half_close(
        run, here == Party::client ? "half-close by the client" : "half-close by the server",
        state->shown);
    run.sentinel();
}

inline void half_close_up(PairRun& run) {
    half_close(run, Party::client);
}

inline std::shared_ptr<void> half_close_up_ahead(PairRun& run) {
    return begin_half_close(run, Party::client, true);
}

inline void half_close_down(PairRun& run) {
    half_close(run, Party::server);
}

inline std::shared_ptr<void> half_close_down_ahead(PairRun& run) {
    return begin_half_close(run, Party::server, true);
}

/// A bulk answer was cut short by the client's half-close. A tool that ends both directions may do
/// so, at once or after a time; then it does so too where but little is sent.
inline void demand_loss_by_half_close(PairRun& run, const Stream& cut, Duration lasted) {
    using namespace std::chrono_literals;
    const auto longer = 2 * lasted + 100ms;
    const auto seen = begin_half_close(run, Party::client, true);
    end_half_close(run, *seen, longer);
    if (seen->shown == HalfClose::full) {
        run.step("what was cut short", "the answer was cut short by the clock");
        throw Unexpected{
            fmt::format("{}: all of the answer, since this direction goes on when the other one "
                        "has ended: for {} and longer where little is sent",
                        cut.name, detail::text_of(longer)),
            fmt::format("{}, {} after the half-close\n({})", cut.broken, detail::text_of(lasted),
                        detail::progress_of(cut))};
    }
    judge_half_close(run, "half-close by the client", seen->shown);
}

/// The client ends its direction while the answer is under way, and reads it only then: that a
/// direction has ended is no reason to drop what is queued in the other one, nor what comes later.
inline void half_close_bulk(PairRun& run) {
    using namespace std::chrono_literals;
    constexpr std::uint64_t size = 1U << 20U;
    constexpr std::uint64_t request = 80U << 10U;
    const bool has_end = run.traits().passes_eof.value_or(true);
    auto connection = run.connect();
    auto& [client, server] = connection;
    limit_send_buffer(server);
    std::array<Stream, 2> streams{{{.from = server,
                                    .to = client,
                                    .name = PairRun::down,
                                    .pattern = run.pattern().derive("answer"),
                                    .size = size * 3 / 4,
                                    .reads = false},
                                   {.from = client,
                                    .to = server,
                                    .name = PairRun::up,
                                    .pattern = run.pattern().derive("request"),
                                    .size = request,
                                    .ends = has_end,
                                    .may_break = has_end}}};
    auto& [down, up] = streams;
    run.step("answer", "the tool takes what the server writes while the client does not read",
             Party::server, Party::client);
    fill(run, {&down, 1}, 300ms);

    run.step("half-close in mid-bulk",
             "the server gets all that the client wrote, then the end of the stream, and the "
             "client all of the answer that is under way",
             Party::client, Party::server);
    const auto begin = Clock::now();
    // The server should have seen the end before it goes on. A tool that reads nothing while it
    // can't write has to be read from first.
    carry(run, {&up, 1}, {.patience = 20ms, .may_stall = true});
    if (!has_end && !detail::wants_to_write(up)) {
        client.shutdown_write();
    }
    down.size = size;
    down.reads = true;
    down.ends = down.may_break = has_end;
    carry(run, streams, {.patience = run.config().timeouts.io, .soft_end = run.soft_end()});
    const auto lasted = Clock::now() - begin;

    if (!has_end) {
        server.close();
        run.demand_end(client, PairRun::down);
    } else if (!down.broken.empty()) {
        demand_loss_by_half_close(run, down, lasted);
    } else if (!up.broken.empty()) {
        throw Unexpected{fmt::format("{}: {} bytes, then the end of the stream", up.name, request),
                         fmt::format("{}\n({})", up.broken, detail::progress_of(up))};
    }
    run.sentinel();
}

inline constexpr std::array close_checks{
    Check{.id = "close.half.up",
          .title = "the client ends its direction; the server gets all of it and answers, at once "
                   "and later",
          .trait = "half_close",
          .run = half_close_up,
          .prepare = half_close_up_ahead},
    Check{.id = "close.half.down",
          .title = "the server ends its direction; the client gets all of it and answers, at once "
                   "and later",
          .trait = "half_close",
          .run = half_close_down,
          .prepare = half_close_down_ahead},
    Check{.id = "close.half.bulk",
          .title = "the client ends its direction with most of a 1 MiB answer still to come",
          .trait = "half_close",
          .run = half_close_bulk},
    Check{.id = "close.tail.up",
          .title = "the client fills all buffers and closes; a slow server gets all of it",
          .trait = "passes_eof",
          .run = tail_up},
    Check{.id = "close.tail.down",
          .title = "the server fills all buffers and closes; a slow client gets all of it",
          .trait = "passes_eof",
          .run = tail_down}};

} // namespace test_tunnel::check
