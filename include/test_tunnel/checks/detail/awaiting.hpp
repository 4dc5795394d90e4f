#pragma once

// What checks wait for: connections, and their ends.

#include <poll.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/net/supervisor.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Takes connections that arrive at the server, `most` at most. Waits until `deadline` for those
/// that have not arrived yet.
inline std::vector<Socket> arrivals(PairRun& run, std::size_t most, Deadline deadline) {
    std::vector<Socket> result;
    while (result.size() < most) {
        if (auto arrived = run.try_accept()) {
            result.push_back(*std::move(arrived));
            continue;
        }
        if (!run.wait_for(run.listener().event(POLLIN), deadline, "connections to the server")) {
            break;
        }
    }
    return result;
}

/// Waits for `duration` and throws Unexpected where a connection arrives at the server: no client
/// has asked for one.
inline void require_no_arrival(PairRun& run, Duration duration) {
    run.wait_for(run.listener().event(POLLIN), Deadline::unscaled(duration),
                 "no connection to the server");
    run.require_no_unasked_connection();
}

/// How one side sees a connection end.
enum class Ending { end_of_stream, reset };

/// Waits until the connection of `socket` has ended, and returns how; nothing where it has not
/// ended by `deadline`. Throws Unexpected where bytes come, since nobody has written any, and what
/// `supervisor` throws.
inline std::optional<Ending> await_ending(PairRun& run, Socket& socket, Deadline deadline,
                                          const std::shared_ptr<Supervisor>& supervisor) {
    if (!wait_for(socket.event(POLLIN), deadline, supervisor.get(), "the end of the connection")) {
        return std::nullopt;
    }
    std::array<char, 256> bytes{};
    std::size_t count = 0;
    try {
        count = socket.read_some(bytes.data(), bytes.size());
    } catch (const SystemError& error) {
        if (error.code() != ECONNRESET) {
            throw;
        }
        return Ending::reset;
    }
    if (count > 0) {
        throw Unexpected{run.expected(), "bytes that nobody has written: " +
                                             bytes_around({bytes.data(), count}, 0)};
    }
    return Ending::end_of_stream;
}

/// Waits for the end of a connection while the tool must go on running.
inline std::optional<Ending> await_ending(PairRun& run, Socket& socket, Deadline deadline) {
    return await_ending(run, socket, deadline, run.supervisor());
}

/// Returns whether the tool ends when its first connection has ended. That is tried, unless it is
/// declared not to: a tool may do better than it has declared.
inline bool serves_once(PairRun& run) {
    if (run.traits().serves_again == true) {
        return false;
    }
    run.sentinel();
    run.settle();
    return !run.has_tool();
}

/// Why a check is not applicable to a tool that ends with its first connection.
inline std::string serves_just_one(PairRun& run) {
    return fmt::format("it serves just one connection ({})", run.wording(trait::serves_again.name));
}

/// Throws Unexpected, with `expected`, where a process of the tool has been ended by a signal.
inline void require_no_crash(PairRun& run, std::string_view expected) {
    for (const auto& process : run.tool().processes()) {
        if (process.status() && process.status()->signal()) {
            throw Unexpected{std::string{expected},
                             fmt::format("{} {}", process.name(), process.status()->text())};
        }
    }
}

/// Demands that a tool which serves more than one connection goes on after a disturbance: `when`
/// says which, for texts.
inline void require_service_after(PairRun& run, std::string_view when) {
    run.settle();
    if (!run.has_tool()) {
        throw Unexpected{fmt::format("the tool runs on when {}", when), "it ended by itself"};
    }
    run.sentinel();
}

/// Demands that clients are served again, in time, after some could not be: `when` says what has
/// happened. Returns for how long the tool has paused before it tried again; zero where it has not.
inline Duration await_service_after(PairRun& run, std::string_view when) {
    using namespace std::chrono_literals;
    constexpr Duration longest_pause = 100ms;
    run.settle();
    if (!run.has_tool()) {
        throw Unexpected{fmt::format("the tool runs on when {}", when), "it ended by itself"};
    }
    const auto began = Clock::now();
    const auto deadline = Deadline::after(run.config().timeouts.io);
    const auto steps = run.steps();
    std::optional<Connection> connection;
    auto paused = Duration::zero();
    for (Duration pause = 5ms; !connection; pause = std::min(2 * pause, longest_pause)) {
        run.forget_steps(steps);
        try {
            connection = run.connect();
            paused = pause > 5ms ? Clock::now() - began : Duration::zero();
        } catch (const SetupError&) {
            throw;
        } catch (const ToolEnded&) {
            throw;
        } catch (const std::exception& error) { // whatever a hook makes of it
            if (deadline.passed()) {
                throw Unexpected{fmt::format("a client is served when {}, within {}", when,
                                             text_of(scaled(run.config().timeouts.io))),
                                 error.what(), Cause::timed_out};
            }
            run.pause(pause, "the tool to serve again");
        }
    }
    run.round_trip(*connection);
    return paused;
}

/// Demands the same, and notes the pause.
inline void require_service_in_time_after(PairRun& run, std::string_view when) {
    if (const auto paused = await_service_after(run, when); paused > Duration::zero()) {
        run.note(fmt::format("when {}, it serves again {} later", when, text_of(paused)));
    }
}

} // namespace test_tunnel::check
