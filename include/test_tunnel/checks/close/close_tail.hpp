#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "test_tunnel/checks/detail/carrying.hpp"
#include "test_tunnel/checks/detail/fill.hpp"
#include "test_tunnel/checks/detail/resting.hpp"
#include "test_tunnel/checks/detail/socket_options.hpp"
#include "test_tunnel/checks/detail/view.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/kernel/tcp_sockets.hpp"
#include "test_tunnel/net/stream.hpp"
#include "test_tunnel/process/detail/cpu_use.hpp"
#include "test_tunnel/process/detail/settle.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Reads in small pieces until `until` bytes of the stream have been read.
inline void read_slowly(Stream& stream, std::uint64_t until) {
    until = std::min(until, stream.size);
    try {
        while (stream.read < until) {
            if (read_piece(stream, until - stream.read) == 0) {
                stream.break_off("end of stream"); // throws
            }
        }
    } catch (const SystemError& error) {
        stream.break_off(error.what());
    }
}

/// Has one side fill all buffers on the way and close at once, before the other side has read a
/// byte. What the tool still holds when it sees the end must be delivered, and then the end.
/// `rests` is whether the tool must rest while the reader takes nothing; returns false where it
/// never does, and that is all that is known then.
template <Party here>
bool close_to_slow_reader(PairRun& run, bool rests) {
    using namespace std::chrono_literals;
    constexpr std::uint64_t more_than_buffers = 256U << 20U;
    constexpr std::size_t piece = 8192;
    auto connection = run.connect();
    const auto view = view_from(here, connection);
    limit_send_buffer(view.near);
    limit_receive_buffer(view.far);
    run.step("push",
             fmt::format("the tool takes what the {} writes while the {} does not read", view.self,
                         view.other),
             view.here, view.there);
    Stream stream{.from = view.near,
                  .to = view.far,
                  .name = view.forth,
                  .pattern = run.pattern(),
                  .size = 80U << 10U};
    carry(run, {&stream, 1}, {.patience = run.config().timeouts.io});
    stream.size = more_than_buffers;
    stream.reads = false;
    fill(run, {&stream, 1}, 300ms);

    run.step("close, to a slow reader",
             fmt::format("the {} gets all that the {} wrote before it closed, then the end of the "
                         "stream",
                         view.other, view.self),
             view.here, view.there);
    const auto ours = view.near.local();
    const auto tool = view.near.peer();
    view.near.close();
    const auto supervisor = lenient(run);
    view.far.supervise(supervisor);
    // Until the tool has come to the end of the stream, with its own buffers still full. Its own
    // time counts, and not the time in which it got no processor.
    const auto enough = Deadline::unscaled(1s);
    const auto longest = Deadline::unscaled(5s);
    detail::CpuUse use{run.tool()};
    while (const auto waiting = unread_until_end(tool, ours).value_or(0)) {
        if (enough.passed()) {
            use.look();
        }
        const bool had_its_time = enough.passed() && use.elapsed() - use.waited() >= 1s;
        if (had_its_time || longest.passed() || stream.read == stream.size) {
            break;
        }
        // One that waits for a CPU must not find all that room at once when it gets one.
        read_slowly(stream, stream.read + std::max(piece, waiting / 16));
        run.tool().wait_for_end(Deadline::unscaled(200us));
        detail::wait_until_idle(run.tool(), 20ms);
    }
    run.tool().wait_for_end(Deadline::unscaled(run.wait(400ms)));
    detail::wait_until_idle(run.tool(), 1s);
    if (rests) {
        try {
            demand_rest(run, "a stream has ended of which the reader takes nothing");
        } catch (const BusyPolls&) { // for resources.cpu to say
            return false;
        }
    }

    const bool has_end = run.must_pass_end(direction_of(view));
    stream.reads = true;
    stream.shut_down = true;
    stream.ends = has_end;
    carry(run, {&stream, 1}, {.patience = run.config().timeouts.io});
    if (!has_end) {
        run.demand_end(view.far, view.forth);
    }
    view.far.close();
    run.sentinel();
    return true;
}

/// Does so, and demands of the tool at `Level::strict` that it rests meanwhile, if it ever does.
template <Party here>
void close_with_full_buffers(PairRun& run) {
    if (!close_to_slow_reader<here>(run, run.strict())) {
        close_to_slow_reader<here>(run, false);
    }
}

inline constexpr Check close_tail_up{
    .id = "close.tail.up",
    .title = "the client fills all buffers and closes; a slow server still gets everything",
    .trait = trait::passes_eof.name,
    .presumes = {"data.bulk.up"},
    .run = close_with_full_buffers<Party::client>};

inline constexpr Check close_tail_down{
    .id = "close.tail.down",
    .title = "the server fills all buffers and closes; a slow client still gets everything",
    .trait = trait::passes_eof.name,
    .presumes = {"data.bulk.down"},
    .run = close_with_full_buffers<Party::server>};

} // namespace test_tunnel::check
