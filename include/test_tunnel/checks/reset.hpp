#pragma once

#include <poll.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "../check.hpp"
#include "../detail/verdict.hpp"
#include "../pair_run.hpp"
#include "crowd.hpp"
#include "sides.hpp"

namespace test_tunnel::check {

/// A tool that does not pass ends on may hide a reset too.
inline void excuse_no_end(PairRun& run) {
    run.judge<bool>("passes_eof", "the end of a stream is passed on", run.traits().passes_eof,
                    false, true);
}

/// How the far side learns that the near one has reset its connection, on which nothing is under
/// way; nothing where it does not, and need not.
inline std::optional<ResetShows> learn_of_reset(PairRun& run, const View& view) {
    using namespace std::chrono_literals;
    if (!run.traits().passes_eof.value_or(true)) {
        const auto watch = lenient(run);
        const bool shown =
            detail::wait_for_socket(view.far.event(POLLIN), Deadline{Clock::now() + run.wait(1s)},
                                    watch.get(), "the end of the stream");
        if (!shown) {
            excuse_no_end(run);
            return std::nullopt;
        }
    }
    try {
        std::array<char, 256> bytes{};
        const auto count = view.far.read_some(bytes.data(), bytes.size());
        if (count > 0) {
            throw Unexpected{
                run.expected(),
                fmt::format("{}: {}", view.forth, detail::bytes_around({bytes.data(), count}, 0))};
        }
        return ResetShows::as_end;
    } catch (const TimedOut& error) {
        throw Unexpected{run.expected(), fmt::format("{}: neither: {}", view.forth, error.what())};
    } catch (const SystemError& error) {
        if (error.code() != ECONNRESET) {
            throw;
        }
        return ResetShows::as_reset;
    }
}

/// The tool serves the next connection. One that serves no other ends instead; that it tells of the
/// reset by its status is its own business (socat exits with 1).
inline void recover(PairRun& run, bool serves_again) {
    constexpr auto pause = std::chrono::milliseconds{1};
    auto& tool = run.server();
    const auto deadline = Deadline::after(run.config().timeouts.linger);
    while (!serves_again && !deadline.passed()) {
        if (tool.wait_for_end(Deadline{Clock::now() + pause})) {
            for (const auto& process : tool.processes()) {
                if (process.status() && process.status()->signal()) {
                    throw Unexpected{
                        "the tool serves on, or exits, when a connection is reset",
                        fmt::format("{} {}", process.name(), process.status()->text())};
                }
            }
            run.discard();
            return;
        }
        serves_again = detail::may_listen(tool, run.pair().proxy_listen.listen());
    }
    run.sentinel();
    run.sentinel(); // for the first one the tool may have been waiting already
}

inline void step_of_reset(PairRun& run, const View& view) {
    run.step("reset",
             fmt::format("the {} learns, by a reset or by the end of the stream, that the {} has "
                         "reset its connection",
                         view.other, view.self),
             view.here, view.there);
}

/// A crashed program's connections, and those of an impatient one, end by a reset: who is left must
/// not wait for ever.
inline void reset_idle(PairRun& run, Party here) {
    auto connection = run.connect();
    run.round_trip(connection);
    const bool serves_again = detail::may_listen(run.server(), run.pair().proxy_listen.listen());
    const auto view = view_from(here, connection);
    step_of_reset(run, view);
    view.near.reset();
    if (const auto shown = learn_of_reset(run, view)) {
        run.judge<ResetShows>(
            "reset", here == Party::client ? "a reset by the client" : "a reset by the server",
            run.traits().reset, *shown, ResetShows::as_reset);
    }
    view.far.close();
    recover(run, serves_again);
}

/// The same with both directions full of data. What is under way may be lost, but what arrives is
/// the beginning of what was written, and the survivor does not wait for ever. Whether it sees a
/// reset says little here: closing with data unread is one, too.
inline void reset_bulk(PairRun& run, Party here) {
    using namespace std::chrono_literals;
    constexpr std::uint64_t first = 80 << 10;
    constexpr std::uint64_t whole = 4 << 20;
    auto connection = run.connect();
    const auto view = view_from(here, connection);
    std::array<Stream, 2> streams{{{.from = view.near,
                                    .to = view.far,
                                    .name = view.forth,
                                    .pattern = run.pattern().derive(view.forth),
                                    .size = first},
                                   {.from = view.far,
                                    .to = view.near,
                                    .name = view.back,
                                    .pattern = run.pattern().derive(view.back),
                                    .size = first}}};
    auto& [forth, back] = streams;
    run.step("bulk", "80 KiB arrive in each direction", view.here, view.there);
    carry(run, streams, {.patience = run.config().timeouts.io});
    const bool serves_again = detail::may_listen(run.server(), run.pair().proxy_listen.listen());

    step_of_reset(run, view);
    forth.size = back.size = whole;
    forth.may_break = back.may_break = true;
    // Nobody reads: what the tool holds then must not get to anyone else.
    forth.reads = back.reads = false;
    carry(run, streams,
          {.patience = 2ms, .soft_end = Deadline{Clock::now() + 50ms}, .may_stall = true});
    view.near.reset();
    forth.size = forth.written;
    forth.reads = true;
    back.reads = false; // there is nobody any more
    const bool has_end = run.traits().passes_eof.value_or(true);
    carry(run, streams,
          {.patience = has_end ? run.config().timeouts.io : run.wait(1s),
           .soft_end = run.soft_end(),
           .may_stall = true});
    if (!forth.ended && !has_end) {
        excuse_no_end(run);
    } else if (!forth.ended) {
        throw Unexpected{run.expected(),
                         fmt::format("{}: neither: nothing for {}\n({})", view.forth,
                                     detail::text_of(detail::scaled(run.config().timeouts.io)),
                                     detail::progress_of(forth))};
    }
    view.far.close();
    recover(run, serves_again);
}

inline void reset_client_idle(PairRun& run) {
    reset_idle(run, Party::client);
}

inline void reset_client_bulk(PairRun& run) {
    reset_bulk(run, Party::client);
}

inline void reset_server_idle(PairRun& run) {
    reset_idle(run, Party::server);
}

inline void reset_server_bulk(PairRun& run) {
    reset_bulk(run, Party::server);
}

inline constexpr std::array reset_checks{
    Check{.id = "reset.client.early",
          .title = "clients that reset their connection at once keep nobody from being served",
          .trait = "serves_again",
          .run = early_reset},
    Check{.id = "reset.client.idle",
          .title = "the client resets a silent connection; the server learns of it",
          .trait = "reset",
          .run = reset_client_idle},
    Check{.id = "reset.client.bulk",
          .title = "the client resets with data under way; the server learns of it, and gets "
                   "nothing that was not written",
          .trait = "passes_eof",
          .run = reset_client_bulk},
    Check{.id = "reset.server.idle",
          .title = "the server resets a silent connection; the client learns of it",
          .trait = "reset",
          .run = reset_server_idle},
    Check{.id = "reset.server.bulk",
          .title = "the server resets with data under way; the client learns of it, and gets "
                   "nothing that was not written",
          .trait = "passes_eof",
          .run = reset_server_bulk}};

} // namespace test_tunnel::check
