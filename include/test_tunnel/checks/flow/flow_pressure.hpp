#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>

#include "test_tunnel/checks/detail/fill.hpp"
#include "test_tunnel/checks/detail/socket_options.hpp"
#include "test_tunnel/checks/detail/view.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/kernel/tcp_sockets.hpp"
#include "test_tunnel/net/stream.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Returns how many bytes a tool may take that nobody reads.
inline std::uint64_t most_unread(PairRun& run) {
    constexpr std::uint64_t enough = 64U << 20U;
    const auto declared = run.traits().buffer_size;
    if (declared) {
        return run.strict() ? *declared : std::max<std::uint64_t>(*declared, enough);
    }
    // A tool of two halves has two connections before the one that is not read.
    return std::max(enough, 2 * largest_socket_buffers().value_or(0));
}

/// Has the reader stop reading while `from` writes. The tool must make the writer wait in the end:
/// one that takes whatever it is given runs out of memory. The other direction should go on. When
/// the reader reads on, everything must arrive, and the connection must work as before.
template <Party from>
void stop_reading(PairRun& run) {
    using namespace std::chrono_literals;
    constexpr std::uint64_t least = 4;
    constexpr std::uint64_t most_messages = 32;
    auto connection = run.connect();
    const auto view = view_from(from, connection);
    limit_send_buffer(view.near);
    const auto most = most_unread(run);
    std::array<Stream, 2> streams{
        Stream{.from = view.near,
               .to = view.far,
               .name = view.forth,
               .pattern = run.pattern(0),
               .size = most,
               .reads = false},
        Stream{.from = view.far, .to = view.near, .name = view.back, .pattern = run.pattern(1)}};
    auto& [pressed, other] = streams;
    run.step("write what nobody reads",
             fmt::format("{}: the tool makes the writer wait before it has taken {} bytes that "
                         "nobody reads",
                         view.forth, most),
             view.here, view.there);
    const Duration longest = run.config().timeouts.check / 2;
    bool full = fill(run, {&pressed, 1}, run.strict() ? longest : std::min<Duration>(longest, 3s));
    if (!full && !run.strict() && pressed.written > most / 16) {
        // Too much for the usual buffers: on a busy machine, it may be going to take all of it.
        pressed.size = most;
        full = fill(run, {&pressed, 1}, longest);
    }
    if (pressed.written >= most) {
        throw Unexpected{
            run.expected(),
            fmt::format("the tool took {} bytes while nobody read; a tool that is meant "
                        "to hold that much has to declare {}",
                        pressed.written, run.wording(trait::buffer_size.name))};
    }
    if (!full) {
        run.note(fmt::format("{}: the tool was still taking data that nobody reads when the time "
                             "for this check was over",
                             view.forth),
                 trait::buffer_size.name);
    }

    run.step(
        "the other direction",
        fmt::format("{}: a few bytes arrive while {} waits for its reader", view.back, view.forth),
        view.there, view.here);
    const auto independent = run.traits().independent_directions.in(direction_of(view));
    const auto patience = run.strict() || independent == true ? Duration{5s} : Duration{300ms};
    const auto enough = Deadline::unscaled(300ms);
    bool goes_on = true;
    // The first bytes may get through in the room that their own acknowledgements make.
    for (other.size = 1; goes_on && other.size <= (enough.passed() ? least : most_messages);
         ++other.size) {
        goes_on =
            transfer({&other, 1}, run.supervisor(), {.patience = patience, .may_stall = true});
    }
    other.size = other.written;
    run.judge(trait::independent_directions, direction_of(view), goes_on);

    run.step("read on", "all data arrives as it was written, both ways", view.here, view.there);
    pressed.reads = true;
    transfer(streams, run.supervisor(), {.patience = run.config().timeouts.io});
    run.round_trip(connection);
}

inline constexpr Check flow_pressure_up{
    .id = "flow.pressure.up",
    .title = "when the server does not read, the client has to wait, and no data is lost",
    .trait = trait::buffer_size.name,
    .presumes = {"data.bulk.up"},
    .run = stop_reading<Party::client>};

inline constexpr Check flow_pressure_down{
    .id = "flow.pressure.down",
    .title = "when the client does not read, the server has to wait, and no data is lost",
    .trait = trait::buffer_size.name,
    .presumes = {"data.bulk.down"},
    .run = stop_reading<Party::server>};

} // namespace test_tunnel::check
