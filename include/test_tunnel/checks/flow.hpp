#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "../check.hpp"
#include "../detail/platform.hpp"
#include "../pair_run.hpp"
#include "fill.hpp"
#include "socket_options.hpp"

namespace test_tunnel::check {

/// How many bytes the system itself may hold at most for a connection between two programs.
inline std::uint64_t largest_socket_buffers() {
    std::uint64_t result = 0;
#if TEST_TUNNEL_LINUX
    // tcp(7): the least, the first and the greatest size; for IPv6 too.
    for (const auto* path : {"/proc/sys/net/ipv4/tcp_rmem", "/proc/sys/net/ipv4/tcp_wmem"}) {
        const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::fopen(path, "re"),
                                                                   &std::fclose};
        std::array<char, 64> line{};
        if (file && std::fgets(line.data(), static_cast<int>(line.size()), file.get()) != nullptr) {
            const std::string_view text{line.data()};
            result += std::strtoull(line.data() + text.find_last_of("\t ") + 1, nullptr, 10);
        }
    }
#endif
    return result;
}

/// How many bytes a tool may take that nobody reads.
inline std::uint64_t most_unread(PairRun& run) {
    constexpr std::uint64_t enough = 64U << 20U;
    const auto declared = run.traits().buffer_size;
    if (declared) {
        return run.strict() ? *declared : std::max<std::uint64_t>(*declared, enough);
    }
    // A tool of two halves has two connections before the one that is not read.
    return std::max(enough, 2 * largest_socket_buffers());
}

/// The reader stops reading. The writer must be stopped in the end: a tool that takes whatever it
/// is given runs out of memory. The other direction should go on. When the reader reads on,
/// everything must arrive, and the connection work as before.
inline void pressure(PairRun& run, bool up) {
    using namespace std::chrono_literals;
    constexpr std::uint64_t least = 4;
    constexpr std::uint64_t most_messages = 32;
    const auto from = up ? Party::client : Party::server;
    const auto to = up ? Party::server : Party::client;
    const auto* const name = up ? PairRun::up : PairRun::down;
    const auto* const back = up ? PairRun::down : PairRun::up;
    auto connection = run.connect();
    auto& writer = up ? connection.client : connection.server;
    auto& reader = up ? connection.server : connection.client;
    limit_send_buffer(writer);
    const auto most = most_unread(run);
    std::array<Stream, 2> streams{
        Stream{.from = writer,
               .to = reader,
               .name = name,
               .pattern = run.pattern(0),
               .size = most,
               .reads = false},
        Stream{.from = reader, .to = writer, .name = back, .pattern = run.pattern(1)}};
    auto& [pressed, other] = streams;
    run.step("write what nobody reads",
             fmt::format("{}: the writer has to wait before {} bytes have been taken that nobody "
                         "reads",
                         name, most),
             from, to);
    const Duration longest = run.config().timeouts.check / 2;
    bool full = fill(run, {&pressed, 1}, run.strict() ? longest : std::min<Duration>(longest, 3s));
    if (!full && !run.strict() && pressed.written > most / 16) {
        // Too much for the usual buffers: it may take all of it, on a machine that is busy.
        pressed.size = most;
        full = fill(run, {&pressed, 1}, longest);
    }
    if (pressed.written >= most) {
        throw Unexpected{run.expected(),
                         fmt::format("{} bytes were taken, and none of them read; a tool that "
                                     "means to hold that much has to declare Traits::buffer_size",
                                     pressed.written)};
    }
    if (!full) {
        run.note(fmt::format("{}: it still took what nobody reads when the time for that was over",
                             name),
                 "buffer_size");
    }

    run.step("the other direction",
             fmt::format("{}: a few bytes arrive while {} waits for its reader", back, name), to,
             from);
    const auto independent = run.traits().independent_directions;
    const auto patience = run.strict() || independent == true ? Duration{5s} : Duration{300ms};
    const Deadline enough{Clock::now() + 300ms};
    bool goes_on = true;
    // The first ones may get through by the room that their own acknowledgements make.
    for (other.size = 1; goes_on && other.size <= (enough.passed() ? least : most_messages);
         ++other.size) {
        goes_on = test_tunnel::transfer({&other, 1}, run.watch(),
                                        {.patience = patience, .may_stall = true});
    }
    other.size = other.written;
    run.judge<bool>("independent_directions",
                    "one direction goes on while the other waits for a slow reader", independent,
                    goes_on, true);

    run.step("read on", "all that was written arrives as it was written, both ways", from, to);
    pressed.reads = true;
    test_tunnel::transfer(streams, run.watch(), {.patience = run.config().timeouts.io});
    run.round_trip(connection);
}

inline void pressure_up(PairRun& run) {
    pressure(run, true);
}

inline void pressure_down(PairRun& run) {
    pressure(run, false);
}

inline constexpr std::array flow_checks{
    Check{.id = "flow.pressure.up",
          .title = "a server that does not read makes the client wait, and loses nothing",
          .trait = "buffer_size",
          .run = pressure_up},
    Check{.id = "flow.pressure.down",
          .title = "a client that does not read makes the server wait, and loses nothing",
          .trait = "buffer_size",
          .run = pressure_down}};

} // namespace test_tunnel::check
