#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>

#include "../check.hpp"
#include "../expect.hpp"
#include "../pair_run.hpp"
#include "bytes.hpp"
#include "delay.hpp"
#include "silence.hpp"
#include "socket_options.hpp"

namespace test_tunnel::check {

/// 1 MiB in one direction, in pieces of odd sizes, then a round trip: nothing was lost or added.
inline void bulk(PairRun& run, bool up) {
    constexpr std::uint64_t size = 1U << 20U;
    auto connection = run.connect();
    auto& [client, server] = connection;
    run.step("bulk", "1 MiB arrives as it was written", up ? Party::client : Party::server,
             up ? Party::server : Party::client);
    run.transfer({{.from = up ? client : server,
                   .to = up ? server : client,
                   .name = up ? PairRun::up : PairRun::down,
                   .pattern = run.pattern(),
                   .size = size,
                   .pieces = odd_pieces}});
    run.round_trip(connection);
}

inline void bulk_up(PairRun& run) {
    bulk(run, true);
}

inline void bulk_down(PairRun& run) {
    bulk(run, false);
}

/// Both directions of a connection, with different data.
inline std::array<Stream, 2> both_ways(PairRun& run, Connection& connection, std::uint64_t size,
                                       std::span<const std::size_t> pieces = large_pieces) {
    auto& [client, server] = connection;
    return {Stream{.from = client,
                   .to = server,
                   .name = PairRun::up,
                   .pattern = run.pattern(0),
                   .size = size,
                   .pieces = pieces},
            Stream{.from = server,
                   .to = client,
                   .name = PairRun::down,
                   .pattern = run.pattern(1),
                   .size = size,
                   .pieces = pieces}};
}

/// A conversation of many short messages, each awaited before the next one is written: nothing may
/// wait for more to come, and no message may get lost when the direction changes. Small messages
/// that are held back (Nagle's algorithm) are looked for at `Level::strict`, or where the tool is
/// declared not to do it.
inline void ping_pong(PairRun& run) {
    using namespace std::chrono_literals;
    const std::uint64_t rounds = run.strict() ? 1000 : 500;
    constexpr std::uint64_t least = 10;
    constexpr std::size_t size = 8;
    auto connection = run.connect();
    auto& [client, server] = connection;
    run.step("ping-pong", "each message of 8 bytes arrives before the next one is written",
             Party::client, Party::server);
    const auto longest = run.config().timeouts.check / 2;
    const auto end = run.strict() ? Deadline::after(longest) : Deadline{Clock::now() + 2s};
    for (std::uint64_t round = 0; round < rounds; ++round) {
        if (round >= least && end.passed()) {
            if (run.strict()) {
                run.note(fmt::format("{} messages each way take longer than {}", rounds,
                                     detail::text_of(detail::scaled(longest))));
            }
            break;
        }
        for (auto& [from, to, name, pattern] :
             {std::tuple{&client, &server, PairRun::up, run.pattern(0)},
              std::tuple{&server, &client, PairRun::down, run.pattern(1)}}) {
            const auto message = pattern.bytes(round * size, size);
            from->write(message);
            expect_read(*to, message, fmt::format("{}, message {}", name, round + 1));
        }
    }
    if (run.strict() || run.traits().no_delay == true) {
        judge_delay(run, connection);
    }
    run.round_trip(connection);
}

/// 4 KiB each way, every byte in a write of its own: the first ones also awaited, so that the tool
/// does get them one by one.
inline void tiny(PairRun& run) {
    using namespace std::chrono_literals;
    constexpr std::uint64_t size = 4096;
    constexpr std::uint64_t least = 10;
    constexpr std::uint64_t awaited = 64;
    auto connection = run.connect();
    auto streams = both_ways(run, connection, size, single_bytes);
    TransferOptions options{.patience = run.config().timeouts.io};
    for (auto& stream : streams) {
        run.step("single bytes",
                 fmt::format("{}: each byte arrives before the next one is written", stream.name));
        const Deadline end{Clock::now() + 100ms};
        for (stream.size = 1; stream.size <= awaited && (stream.size <= least || !end.passed());
             ++stream.size) {
            test_tunnel::transfer({&stream, 1}, run.watch(), options);
        }
        stream.size = size;
    }
    run.step("many single bytes", "4 KiB, one byte at a time, arrive both ways at once",
             Party::client, Party::server);
    options.soft_end = run.soft_end();
    test_tunnel::transfer(streams, run.watch(), options);
    run.round_trip(connection);
}

/// Much data both ways at once, different in each: no direction waits for the other, and no byte
/// gets into the wrong one.
inline void duplex(PairRun& run) {
    const std::uint64_t mebibytes = run.strict() ? 64 : 8;
    auto connection = run.connect();
    run.step("full duplex",
             fmt::format("{} MiB arrive as they were written, both ways at once", mebibytes),
             Party::client, Party::server);
    auto streams = both_ways(run, connection, mebibytes << 20U);
    if (!run.strict()) {
        limit_send_buffer(connection.client);
        limit_send_buffer(connection.server);
    }
    const auto soft_end = run.soft_end();
    const auto longest = run.config().timeouts.check / 2;
    test_tunnel::transfer(streams, run.watch(),
                          {.patience = run.config().timeouts.io,
                           .soft_end = soft_end ? *soft_end : Deadline::after(longest)});
    if (run.strict() && streams[0].written + streams[1].written < mebibytes << 21U) {
        run.note(fmt::format("{} MiB both ways at once take longer than {}", mebibytes,
                             detail::text_of(detail::scaled(longest))));
    }
    run.round_trip(connection);
}

/// Nothing arrives that nobody has written, however long nothing is written: no greeting before
/// the first byte, no farewell and no keep-alive after the last one.
inline void extra(PairRun& run) {
    using namespace std::chrono_literals;
    const auto silence = run.prepared<Silence>();
    const auto duration = bearable_silence(run, run.wait(1s));
    auto& fresh = silence->connections.front();
    auto& used = silence->connections.back();
    run.step("silence before the first byte", "nothing arrives at either end, and neither closes");
    keep_silent(run, fresh, silence->left(duration));
    run.round_trip(fresh);
    run.step("silence after the last byte", "nothing arrives at either end, and neither closes");
    const bool is_same = &fresh == &used;
    keep_silent(run, used, is_same ? duration : silence->left(duration));
    run.round_trip(used);
}

/// A connection on which nothing has been said yet and, where there can be two, one on which all
/// has been said.
inline std::shared_ptr<void> extra_ahead(PairRun& run) {
    auto silence = std::make_shared<Silence>();
    if (run.is_concurrent()) {
        silence->connections.push_back(run.connect());
        run.round_trip(silence->connections.back());
    }
    silence->connections.insert(silence->connections.begin(), run.connect());
    silence->since = Clock::now();
    return silence;
}

inline constexpr std::array data_checks{
    Check{.id = "data.bulk.up",
          .title = "1 MiB from the client to the server, in pieces of odd sizes",
          .run = bulk_up},
    Check{.id = "data.bulk.down",
          .title = "1 MiB from the server to the client, in pieces of odd sizes",
          .run = bulk_down},
    Check{.id = "data.bytes",
          .title = "every byte value, line ends, control characters and long runs, both ways",
          .run = bytes},
    Check{.id = "data.ping_pong",
          .title = "1,000 messages of 8 bytes, each one awaited; strict: as many each way",
          .trait = "no_delay",
          .run = ping_pong},
    Check{.id = "data.tiny", .title = "4 KiB each way, one byte at a time", .run = tiny},
    Check{.id = "data.duplex", .title = "much data both ways at once", .run = duplex},
    Check{.id = "data.extra",
          .title = "nothing arrives that nobody has written, in silence neither",
          .trait = "idle_timeout",
          .run = extra,
          .prepare = extra_ahead}};

} // namespace test_tunnel::check
