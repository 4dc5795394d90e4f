#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "../detail/unread.hpp"
#include "../detail/verdict.hpp"
#include "../pair_run.hpp"
#include "fill.hpp"
#include "sides.hpp"
#include "socket_options.hpp"

namespace test_tunnel::check {

/// Reads until there are `until` bytes, in small pieces.
inline void read_slowly(Stream& stream, std::uint64_t until) {
    until = std::min(until, stream.size);
    std::array<char, 4096> buffer{};
    while (stream.read < until) {
        std::size_t count = 0;
        try {
            count = stream.to.read_some(
                buffer.data(), std::min<std::uint64_t>(buffer.size(), until - stream.read));
        } catch (const SystemError& error) {
            detail::break_stream(stream, error.what());
        }
        if (count == 0) {
            detail::break_stream(stream, "end of stream");
        }
        detail::verify_piece(stream, {buffer.data(), count}, {});
        stream.read += count;
    }
}

/// The writer fills all buffers there are and closes at once. Nobody has read a byte by then: what
/// the tool still holds when it sees the end is delivered nevertheless, and the end after it.
inline void tail(PairRun& run, Party here) {
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
    const auto watch = lenient(run);
    view.far.watch(watch);
    // Until the tool has come to the end of the stream, with its own buffers still full.
    const Deadline enough{Clock::now() + 1s};
    while (const auto waiting = detail::unread_at(tool, ours)) {
        if (enough.passed() || stream.read == stream.size) {
            break;
        }
        read_slowly(stream, stream.read + std::max(piece, waiting / 16));
        run.server().wait_for_end(Deadline{Clock::now() + 200us});
    }
    run.server().wait_for_end(Deadline{Clock::now() + run.wait(400ms)});
    detail::let_rest(run.server(), 200ms);

    const bool has_end = run.traits().passes_eof.value_or(true);
    stream.reads = true;
    stream.shut_down = true;
    stream.ends = has_end;
    carry(run, {&stream, 1}, {.patience = run.config().timeouts.io});
    if (!has_end) {
        run.demand_end(view.far, view.forth);
    }
    view.far.close();
    run.sentinel();
}

inline void tail_up(PairRun& run) {
    tail(run, Party::client);
}

inline void tail_down(PairRun& run) {
    tail(run, Party::server);
}

} // namespace test_tunnel::check
