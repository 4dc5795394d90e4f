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

#include "test_tunnel/checks/detail/carrying.hpp"
#include "test_tunnel/checks/detail/fill.hpp"
#include "test_tunnel/checks/detail/half_close_after.hpp"
#include "test_tunnel/checks/detail/socket_options.hpp"
#include "test_tunnel/checks/detail/view.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/net/stream.hpp"
#include "test_tunnel/process/detail/settle.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// A connection on which one side has ended its direction, and what has been seen since. It can't
/// be moved, since its parts refer to each other.
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
    /// When the direction was ended.
    Clock::time_point begin;
    /// Since when nobody has said anything.
    Clock::time_point silent_since;
    /// What the tool has shown so far.
    HalfClose shown = HalfClose::full;
    /// How long after the half-close that was known.
    Duration after{};
    /// How long after the half-close the answer was still to come that did arrive last: so long
    /// the other direction stays open.
    Duration open{};

    void see(HalfClose what) {
        shown = what;
        after = Clock::now() - begin;
    }
};

/// Waits for `duration`, in which nobody writes, and returns whether the stream ends nevertheless.
/// Throws Unexpected where anything else comes.
inline bool ends_in_silence(PairRun& run, Socket& reader, Duration duration) {
    const auto supervisor = lenient(run);
    std::array event{reader.event(POLLIN)};
    if (detail::stays_silent(run.tool(), event, duration, supervisor.get())) {
        return false;
    }
    try {
        reader.read_end();
    } catch (const Unexpected& error) {
        throw Unexpected{run.expected(), error.actual()};
    }
    return true;
}

/// Returns what must become of an answer after a half-close, in words.
inline std::string answer_expected(PairRun& run, const View& view) {
    return fmt::format(
        "the {} gets the answer, or the end of the stream from a tool that ends both "
        "directions ({})",
        view.self, run.wording(trait::half_close.name));
}

/// When the other side answers for the first time.
enum class FirstAnswer { at_once, late };

/// Ends the direction of `here`: what that side wrote before must arrive, then the end of the
/// stream. What becomes of an answer is only looked at, not judged.
inline std::unique_ptr<HalfClosed> begin_half_close(PairRun& run, Party here,
                                                    FirstAnswer first_answer) {
    constexpr std::size_t size = 4096;
    auto state = std::make_unique<HalfClosed>(run.connect(), here, run.pattern().derive("answer"));
    const auto& view = state->view;
    run.step("half-close",
             fmt::format("the {} gets all that the {} wrote before it ended its direction, then "
                         "the end of the stream",
                         view.other, view.self),
             view.here, view.there);
    state->begin = Clock::now();
    write_and_end(run, view, run.pattern().derive("request"), size);
    if (first_answer == FirstAnswer::at_once) {
        run.step("answer after the half-close", answer_expected(run, view), view.there, view.here);
        if (!answer(run, state->reply, size)) {
            state->see(HalfClose::none);
        }
    }
    state->silent_since = Clock::now();
    return state;
}

/// Looks whether an answer still arrives when `pause` is over, and then the end of the stream when
/// the other side closes, too.
inline void end_half_close(PairRun& run, HalfClosed& state, Duration pause) {
    constexpr std::size_t size = 4096;
    const auto& view = state.view;
    if (state.shown == HalfClose::none) {
        return;
    }
    run.step("half-closed and silent",
             fmt::format("the {}'s stream stays open, or ends cleanly: nobody has reset it, or "
                         "written anything",
                         view.self),
             view.there, view.here);
    const auto left = state.silent_since + pause - Clock::now();
    if (ends_in_silence(run, view.near, std::max(left, Duration::zero()))) {
        return state.see(HalfClose::timed);
    }
    run.step("late answer", answer_expected(run, view), view.there, view.here);
    const auto asked = Clock::now() - state.begin;
    if (!answer(run, state.reply, size)) {
        return state.see(HalfClose::timed);
    }
    state.open = asked;
    run.step(StepKind::end_of_stream,
             fmt::format("the {} sees a clean end of stream when the {} closes, too", view.self,
                         view.other),
             view.there, view.here);
    view.far.close();
    run.demand_end(view.near, view.back);
    state.see(HalfClose::full);
}

/// Returns whether the other direction goes on for `duration` after a half-close where nothing is
/// sent on it. A tool that ends it by a timer, or at once, does so there, too.
inline bool goes_on_in_silence(PairRun& run, Party here, Duration duration) {
    const auto silent = begin_half_close(run, here, FirstAnswer::late);
    end_half_close(run, *silent, duration);
    return silent->shown == HalfClose::full;
}

/// Throws Unexpected: an answer was cut short by a tool that has no timer for it.
[[noreturn]] inline void throw_cut_short(PairRun& run, const HalfClosed& seen) {
    const auto& view = seen.view;
    run.step("answer cut short",
             "only a tool that ends both directions in any case cuts an answer short", view.there,
             view.here);
    throw Unexpected{
        fmt::format("{}: all of the answer after the {}'s half-close, since without an answer this "
                    "direction stays open ({})",
                    view.back, view.self, run.wording(trait::half_close.name)),
        fmt::format("the end after {} bytes of it, {} after the half-close", seen.reply.read,
                    text_of(seen.after))};
}

/// Judges what the tool has shown of a half-close by `here`.
inline void judge_half_close(PairRun& run, Party here, HalfClose shown) {
    const auto direction = here == Party::client ? Direction::up : Direction::down;
    const auto& declared = run.traits().half_close.in(direction);
    if (!run.strict() && declared == HalfClose::timed && shown == HalfClose::full) {
        shown = HalfClose::timed; // the time was too short to see it
    }
    run.judge(trait::half_close, direction, shown,
              fmt::format("half-close by the {}", text_of(here)));
}

/// Ends the direction of `here`, and has the other side answer at once.
template <Party here>
std::unique_ptr<HalfClosed> half_close(PairRun& run) {
    return begin_half_close(run, here, FirstAnswer::at_once);
}

/// Has the other side answer once more, some time after a half-close. A side that has sent all it
/// has to send ends its direction and waits for the answer: HTTP/1.0, `ssh host command < file`,
/// rsync and many scripts do.
template <Party here>
void answer_later(PairRun& run, std::unique_ptr<HalfClosed>& state) {
    using namespace std::chrono_literals;
    end_half_close(run, *state, run.wait(1s));
    if (state->shown != HalfClose::full && state->reply.read > 0 &&
        goes_on_in_silence(run, here, 2 * state->after + 1s)) {
        // Once may be chance: tools have been seen that now and then forget a connection.
        const auto first = std::move(state);
        state = half_close<here>(run);
        end_half_close(run, *state, run.wait(1s));
        if (state->shown != HalfClose::full) {
            throw_cut_short(run, *first);
        }
        state->shown = HalfClose::timed;
    }
    judge_half_close(run, here, state->shown);
    half_close_after_all(run, here, state->shown == HalfClose::full ? state->open : Duration{});
    run.sentinel();
}

inline constexpr Check close_half_up =
    prepared_check<half_close<Party::client>, answer_later<Party::client>>({
        .id = "close.half.up",
        .title = "after a half-close by the client, all of its data arrives, and so do the answers",
        .trait = trait::half_close.name,
    });

inline constexpr Check close_half_down =
    prepared_check<half_close<Party::server>, answer_later<Party::server>>({
        .id = "close.half.down",
        .title = "after a half-close by the server, all of its data arrives, and so do the answers",
        .trait = trait::half_close.name,
    });

/// Judges a tool that has cut a long answer short after a half-close by `here`, `lasted` after it.
/// A tool that ends both directions may do so, at once or after some time; but then it does so
/// where little is sent, too.
template <Party here>
void demand_loss_by_half_close(PairRun& run, const Stream& cut, Duration lasted) {
    using namespace std::chrono_literals;
    const auto longer = 2 * lasted + 100ms;
    const auto seen = half_close<here>(run);
    end_half_close(run, *seen, longer);
    if (seen->shown == HalfClose::full) {
        run.step("answer cut short",
                 "only a tool that ends both directions in any case cuts an answer short",
                 seen->view.there, seen->view.here);
        throw Unexpected{
            fmt::format("{}: all of the answer, since where little is sent this direction stays "
                        "open after a half-close, for {} and longer",
                        cut.name, text_of(longer)),
            fmt::format("{}, {} after the half-close\n({})", cut.broken, text_of(lasted),
                        cut.progress())};
    }
    judge_half_close(run, here, seen->shown);
}

/// Ends the direction of `here` while an answer is under way, which that side reads only then. The
/// end of one direction is no reason to drop what is queued in the other one, or comes later.
template <Party here>
void half_close_in_bulk(PairRun& run) {
    using namespace std::chrono_literals;
    constexpr std::uint64_t size = 768U << 10U;
    const std::uint64_t whole = run.strict() ? 8U << 20U : 1U << 20U;
    constexpr std::uint64_t request = 80U << 10U;
    auto connection = run.connect();
    const auto view = view_from(here, connection);
    limit_send_buffer(view.far);
    std::array<Stream, 2> streams{{{.from = view.far,
                                    .to = view.near,
                                    .name = view.back,
                                    .pattern = run.pattern().derive("answer"),
                                    .size = size,
                                    .reads = false},
                                   {.from = view.near,
                                    .to = view.far,
                                    .name = view.forth,
                                    .pattern = run.pattern().derive("request"),
                                    .size = request,
                                    .ends = true,
                                    .may_break = true,
                                    .end_is_optional = !run.must_pass_end(direction_of(view))}}};
    auto& [back, forth] = streams;
    run.step("answer",
             fmt::format("the tool takes what the {} writes while the {} does not read", view.other,
                         view.self),
             view.there, view.here);
    fill(run, {&back, 1}, 300ms);

    run.step("half-close in mid-bulk",
             fmt::format("the {} gets all that the {} wrote, then the end of the stream; the {} "
                         "gets all of the answer that is under way",
                         view.other, view.self, view.self),
             view.here, view.there);
    const auto begin = Clock::now();
    // The other side should have seen the end before it goes on. A tool that reads nothing while it
    // can't write has to be read from first.
    carry(run, {&forth, 1}, {.patience = 20ms, .may_stall = true});
    back.size = whole;
    back.reads = true;
    back.ends = back.may_break = true;
    back.end_is_optional = !run.must_pass_end(direction_of(view.there));
    carry(run, streams, {.patience = run.config().timeouts.io, .soft_end = run.soft_end()});
    const auto lasted = Clock::now() - begin;

    if (!back.broken.empty()) {
        demand_loss_by_half_close<here>(run, back, lasted);
    } else if (!forth.broken.empty()) {
        throw Unexpected{
            fmt::format("{}: {} bytes, then the end of the stream", forth.name, request),
            fmt::format("{}\n({})", forth.broken, forth.progress())};
    } else {
        if (forth.end_is_optional && !forth.ended) {
            run.demand_end(view.far, view.forth);
        }
        if (back.end_is_optional && !back.ended) {
            run.demand_end(view.near, view.back);
        }
    }
}

/// Does that from either side.
inline void half_close_in_bulk_both(PairRun& run) {
    half_close_in_bulk<Party::client>(run);
    half_close_in_bulk<Party::server>(run);
    run.sentinel();
}

inline constexpr Check close_half_bulk{
    .id = "close.half.bulk",
    .title = "a half-close by a side does not cut short a 1 MiB answer to it; strict: 8 MiB",
    .trait = trait::half_close.name,
    .presumes = {"data.bulk.down", "close.half.up"},
    .run = half_close_in_bulk_both};

} // namespace test_tunnel::check
