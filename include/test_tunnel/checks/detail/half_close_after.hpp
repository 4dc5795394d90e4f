#pragma once

// Half-closes after nothing, a byte, or much has been said.

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/detail/carrying.hpp"
#include "test_tunnel/checks/detail/said.hpp"
#include "test_tunnel/checks/detail/view.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/net/stream.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// What is done on one connection.
struct HalfCloseAfter {
    Before before;
    /// Whether the other side answers before it closes, too.
    bool answers = false;
    /// Tells it from the others of a check.
    std::uint64_t number = 0;
};

/// Ends the direction of `here`, and then the other one: each side must see the end of the other's
/// direction. Returns how long after the half-close an answer was cut short; nothing where there
/// was none, or all of it arrived.
inline std::optional<Duration> half_close_after(PairRun& run, Party here,
                                                const HalfCloseAfter& how) {
    constexpr std::size_t size = 16;
    auto connection = run.connect();
    const auto view = view_from(here, connection);
    say_before(run, view, how.before, how.number);
    const auto said = said_in_words(run, view, how.before);
    run.step(fmt::format("half-close: {}", said),
             fmt::format("the {} sees a clean end of stream when the {} ends its direction",
                         view.other, view.self),
             view.here, view.there);
    const auto begin = Clock::now();
    view.near.shutdown_write();
    run.demand_end(view.far, view.forth);
    std::optional<Duration> cut;
    if (how.answers) {
        run.step(fmt::format("answer after the half-close: {}", said),
                 fmt::format("the {} gets the answer, or the end of the stream", view.self),
                 view.there, view.here);
        Stream reply{.from = view.far,
                     .to = view.near,
                     .name = view.back,
                     .pattern = run.pattern(how.number).derive("answer")};
        if (!answer(run, reply, size)) {
            cut = Clock::now() - begin;
        }
    }
    if (!cut) {
        run.step(fmt::format("close after the half-close: {}", said),
                 fmt::format("the {} sees a clean end of stream when the {} closes, too", view.self,
                             view.other),
                 view.there, view.here);
        view.far.close();
        run.demand_end(view.near, view.back);
    }
    return cut;
}

/// Has the near side write `size` bytes and end its direction: they must arrive, and then the end.
inline void write_and_end(PairRun& run, const View& view, const Pattern& pattern,
                          std::size_t size) {
    Stream stream{
        .from = view.near, .to = view.far, .name = view.forth, .pattern = pattern, .size = size};
    view.near.write(pattern.bytes(0, size));
    view.near.shutdown_write();
    stream.written = size;
    carry(run, {&stream, 1}, {.patience = run.config().timeouts.io});
    run.demand_end(view.far, view.forth);
}

/// Has one side write its last word, and end its direction, in one go: both come in one segment,
/// and the tool may see both at once. `is_first` is whether that is all it ever says.
inline void half_close_with_last_word(PairRun& run, Party here, bool is_first) {
    constexpr std::size_t size = 100;
    const std::uint64_t number = all_before.size() + (is_first ? 1 : 2);
    auto connection = run.connect();
    const auto view = view_from(here, connection);
    say_before(run, view, {.near = is_first ? Said::nothing : Said::much}, number);
    run.step(fmt::format("last word and half-close{}", is_first ? "" : ", after much"),
             fmt::format("the {} gets the last word of the {}, which comes in one segment with the "
                         "end of its direction, and then that end",
                         view.other, view.self),
             view.here, view.there);
    view.near.hold_back();
    write_and_end(run, view, run.pattern(number).derive("last word"), size);
}

/// Ends the direction of `here` on a connection each for all that may have been said before. `open`
/// is for how long the other direction is known to stay open; zero where it is not. A tool that
/// cuts an answer short sooner than that does so because of what was said, which is no reason:
/// `nc host port < /dev/null` says nothing, and waits for the answer.
inline void half_close_after_all(PairRun& run, Party here, Duration open) {
    const bool expects_end = run.expects_end(direction_of(here));
    const auto attempt = [&](const HalfCloseAfter& how) {
        auto cut = half_close_after(run, here, how);
        if (!cut || *cut >= open) {
            return;
        }
        // Once may be chance: tools have been seen that now and then forget a connection.
        cut = half_close_after(run, here, how);
        if (cut && *cut < open) {
            throw Unexpected{
                fmt::format("the answer, since this direction stays open for {} where 4 KiB were "
                            "said before the half-close ({})",
                            text_of(open), run.wording(trait::half_close.name)),
                fmt::format("an end, or a reset, {} after the half-close", text_of(*cut))};
        }
    };
    try_each(run, expects_end, [&](Before before, std::uint64_t number) {
        attempt({.before = before, .answers = number % 2 == 0, .number = number});
        if (number == 0) { // the other way, too
            attempt({.before = before, .number = all_before.size()});
        }
    });
    if (expects_end) {
        half_close_with_last_word(run, here, true);
        half_close_with_last_word(run, here, false);
    }
}

} // namespace test_tunnel::check
