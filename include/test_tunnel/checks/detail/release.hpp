#pragma once

// What has to come of a connection whose other side has gone.

#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/detail/carrying.hpp"
#include "test_tunnel/checks/detail/view.hpp"
#include "test_tunnel/net/wait.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// What the side that is left must see of a connection whose other side has gone.
enum class Release {
    /// That it has ended: by the end of the stream, by a reset, or because it can't be written to.
    told,
    /// That it can't be written to any more: the tool has closed it.
    freed
};

/// Returns what must be seen by the side that `view.near` has left. A server must be freed of it.
/// A client need only be told: to give a client time to read what it has been told last, servers
/// may go on taking what it writes (RFC 9112 §9.6).
inline Release release_of(const View& view) {
    return view.here == Party::client ? Release::freed : Release::told;
}

/// Reads from the side that is left, and returns whether its connection has ended. Throws
/// Unexpected where bytes come, SystemError for a reset.
inline bool sees_end(PairRun& run, Socket& left) {
    std::array<char, 256> bytes{};
    const auto count = left.try_read(bytes.data(), bytes.size());
    if (count && *count > 0) {
        throw Unexpected{run.expected(), "bytes that nobody has written: " +
                                             bytes_around({bytes.data(), *count}, 0)};
    }
    return count.has_value();
}

/// Has `view.far` write on, now that `view.near` has gone and can't take anything any more, until
/// it sees what `release` demands. The tool may take some of it, and may end. Throws Unexpected
/// where that is not seen within the timeout of reading and writing, or where bytes come that
/// nobody has written. `which` tells the connection from others of the check.
inline void demand_release(PairRun& run, const View& view, Release release,
                           std::string_view which) {
    using namespace std::chrono_literals;
    constexpr std::size_t most = 1U << 16U;
    constexpr Duration longest_pause = 20ms;
    run.step(fmt::format("write to nobody: {}", which),
             release == Release::freed
                 ? fmt::format("the {} can write no more: the tool has ended its connection, since "
                               "the {} has gone",
                               view.other, view.self)
                 : fmt::format("the {} sees its connection end, since the {} has gone", view.other,
                               view.self),
             view.there, view.here);
    const auto supervisor = lenient(run);
    const auto bytes = run.pattern().derive("to nobody").bytes(0, most);
    const auto patience = run.config().timeouts.io;
    const auto deadline = Deadline::after(patience);
    std::size_t size = 1;
    Duration pause = 1ms;
    std::uint64_t taken = 0;
    bool ended = false;
    try {
        while (!deadline.passed()) {
            const auto count = view.far.try_write(std::string_view{bytes}.substr(0, size));
            taken += count;
            ended = ended || sees_end(run, view.far);
            if (ended && release == Release::told) {
                return;
            }
            // It is seen at once where a blocked connection breaks, or where the end comes.
            const int awaited = (ended ? 0 : POLLIN) | (count == 0 ? POLLOUT : 0);
            std::array event{view.far.event(static_cast<short>(awaited))};
            const std::span<SocketEvent> events{event};
            wait_for(awaited == 0 ? std::span<SocketEvent>{} : events, Deadline::unscaled(pause),
                     supervisor.get(), "the connection to end");
            size = std::min(2 * size, most);
            pause = std::min(2 * pause, longest_pause);
        }
    } catch (const SystemError&) {
        return;
    }
    throw Unexpected{run.expected(),
                     fmt::format("{}: {} bytes were taken in {} after the {} had gone{}", view.back,
                                 taken, text_of(scaled(patience)), view.self,
                                 ended ? ", and the end of the stream was all that came" : ""),
                     Cause::timed_out};
}

} // namespace test_tunnel::check
