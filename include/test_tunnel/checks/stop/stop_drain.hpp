#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#include "test_tunnel/checks/detail/carrying.hpp"
#include "test_tunnel/checks/detail/fill.hpp"
#include "test_tunnel/checks/detail/many_connections.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/process/detail/settle.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Sends SIGTERM while all buffers on the way of two connections are full, one in each direction,
/// and then reads. A tool may end at once, or see to it that all of it arrives; what arrives must
/// be what was written, and a side that does not get all must be told of the end.
inline void stop_with_full_buffers(PairRun& run) {
    using namespace std::chrono_literals;
    constexpr std::uint64_t more_than_buffers = 256U << 20U;
    const auto& timeouts = run.config().timeouts;
    run.need_concurrency();
    auto connections = connect_many(run, 2, 2);
    need_connections(run, connections, 2);
    run.step("push", "the tool takes what is written while nobody reads", Party::client,
             Party::tool);
    auto streams = for_stopped_readers(run, connections, more_than_buffers);
    const bool is_full = fill(run, streams, 10s); // less where they fill up sooner

    run.step("stop, with much under way",
             "after SIGTERM what was written arrives, or the reader is told of the end",
             Party::tool, Party::tool);
    auto& tool = run.tool();
    // Children that serve the connections have time until these are read.
    tool.terminate(timeouts.linger + timeouts.check);
    run.kill_after_check(); // how it ends is for stop.busy to judge
    // A tool that has not got a CPU since carries what is read as if nothing had been sent.
    detail::wait_until_idle(tool, 5s);
    for (auto& stream : streams) {
        stream.reads = true;
        stream.may_break = true;
        stream.end_is_optional = true;
    }
    if (!carry(run, streams, {.patience = timeouts.io, .may_stall = true})) {
        const auto stuck = std::find_if(streams.begin(), streams.end(), [](const Stream& stream) {
            return !stream.ended && stream.read < stream.size;
        });
        throw Unexpected{
            run.expected(),
            fmt::format("neither, for {}\n({})", text_of(scaled(timeouts.io)), stuck->progress()),
            Cause::timed_out};
    }
    const bool drains = std::all_of(streams.begin(), streams.end(), [](const Stream& stream) {
        return stream.read == stream.size;
    });
    // Where not all buffers were full, all may arrive by chance.
    if (drains && run.traits().drains == false) {
        run.note(fmt::format("{}, better than declared ({})", trait::drains.subject,
                             run.wording(trait::drains, false)),
                 trait::drains.name);
    } else if (!drains || is_full || run.traits().drains == true) {
        run.judge(trait::drains, drains);
    }
}

inline constexpr Check stop_drain{
    .id = "stop.drain",
    .title = "on SIGTERM, with all buffers full, readers get what was written, or an end",
    .level = Level::strict,
    .trait = trait::drains.name,
    .presumes = {"stop.busy"},
    .run = stop_with_full_buffers};

} // namespace test_tunnel::check
