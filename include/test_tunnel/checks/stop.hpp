#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "../check.hpp"
#include "../detail/listeners.hpp"
#include "../detail/verdict.hpp"
#include "../pair_run.hpp"

namespace test_tunnel::check {

/// The tool that all checks before have used, without a connection.
inline void stop_idle(PairRun& run) {
    if (!run.has_server()) {
        run.sentinel();
        run.settle();
        if (!run.has_server()) {
            throw NotApplicable{"it ends by itself after one connection (Traits::serves_again)"};
        }
    }
    run.stop();
}

/// Whether all of the tool's own processes have ended; children may serve on.
inline bool has_ended(const Server& server) {
    return std::all_of(server.processes().begin(), server.processes().end(),
                       [](const Process& process) { return process.has_ended(); });
}

/// Carries the streams, which may break, until `done` says so (true) or `deadline` has passed
/// (false). What arrives must be what was written.
template <typename Done>
bool carry_until(Server& server, std::vector<Stream>& streams, Deadline deadline, Done done) {
    constexpr auto slice = std::chrono::milliseconds{2};
    while (!done()) {
        if (deadline.passed()) {
            return false;
        }
        // Without the tool's watch, for which its end is a fault; that is looked after in between.
        const bool complete =
            transfer(streams, {}, {.patience = slice, .soft_end = deadline, .may_stall = true});
        server.wait_for_end(Deadline{Clock::now() + (complete ? slice : Duration::zero())});
    }
    return true;
}

/// Nobody of the tool listens any more, so that another one can be started on its port. An address
/// in use alone is no fault: that is how it is for a moment after a tool that does not reuse it.
inline void require_free_port(PairRun& run, const Endpoint& endpoint) {
    run.step("port", fmt::format("{} can be bound again when the tool has ended", endpoint));
    try {
        auto again = bind_to(run.config(), endpoint);
        again.listen();
    } catch (const SystemError& error) {
        if (error.code() != EADDRINUSE) {
            throw;
        }
#if TEST_TUNNEL_LINUX
        for (const auto& socket : detail::listening_sockets()) {
            if (detail::takes_connections(socket.local, endpoint)) {
                const auto holder = detail::holder_of(socket.inode);
                throw Unexpected{run.expected(),
                                 fmt::format("{} still listens at {}",
                                             holder ? fmt::format("{} (process {})",
                                                                  detail::name_of(*holder), *holder)
                                                    : "somebody",
                                             socket.local)};
            }
        }
#endif
    }
}

/// SIGTERM while data is under way: the tool ends, at once or when its connection has ended, and
/// what has arrived until then is what was written, as far as it goes. That is how services are
/// restarted; one that hangs here is killed, or keeps the port from its successor.
inline void stop_busy(PairRun& run) {
    using namespace std::chrono_literals;
    constexpr std::uint64_t size = 4U << 20U;
    const auto& timeouts = run.config().timeouts;
    auto connection = run.connect();
    auto& [client, server] = connection;
    run.round_trip(connection);
    auto& tool = run.server();
    const auto listen = run.pair().proxy_listen.listen();

    run.step("stop while busy",
             fmt::format("after SIGTERM the tool ends within {}, with or without its connection",
                         detail::text_of(detail::scaled(timeouts.stop))),
             Party::tool, Party::tool);
    const auto stream = [&](Socket& from, Socket& to, const char* name, std::uint64_t number) {
        return Stream{.from = from,
                      .to = to,
                      .name = name,
                      .pattern = run.pattern(number),
                      .size = size,
                      .may_break = true};
    };
    std::vector<Stream> streams{stream(client, server, run.up, 0),
                                stream(server, client, run.down, 1)};
    for (auto& each : streams) { // under way, but not yet read
        each.reads = false;
        each.size = size / 16;
    }
    transfer(streams, run.watch(), {.patience = 1ms, .may_stall = true});
    const auto ended_before = detail::who_has_ended(tool);
    // Children that serve the connection have until it is closed, and as long as others then.
    tool.terminate(timeouts.linger + timeouts.io);
    for (auto& each : streams) {
        each.reads = true;
        each.size = size;
    }
    // Where nothing depends on it, nobody waits to see what comes first, its end or ours.
    const bool matters = run.strict() || run.traits().stops_connections == true;
    const auto moment = Deadline{Clock::now() + run.wait(500ms)};
    const bool tool_ended =
        carry_until(tool, streams, matters ? Deadline::after(timeouts.stop) : moment,
                    [&] { return has_ended(tool); });
    const bool connection_ended =
        tool_ended &&
        carry_until(tool, streams, matters ? Deadline::after(timeouts.io / 2) : moment,
                    [&] { return streams[0].ended && streams[1].ended; });
    client.close();
    server.close();
    run.step("stop",
             fmt::format("the tool has ended within {} when its connections are closed, too",
                         detail::text_of(detail::scaled(timeouts.stop))));
    const auto deadline = Deadline::after(timeouts.stop);
    while (!has_ended(tool) && !deadline.passed()) {
        tool.wait_for_end(Deadline{Clock::now() + 5ms});
    }
    if (!has_ended(tool)) { // not to be told again: the second time it might listen
        throw Unexpected{run.expected(),
                         fmt::format("it still runs {} after its connections were closed",
                                     detail::text_of(detail::scaled(timeouts.stop)))};
    }
    tool.stop(Duration::zero(), timeouts.linger);
    run.judge_end(ended_before);
    run.discard(); // it has been judged
    require_free_port(run, listen);
    if (tool_ended || matters) {
        run.judge<bool>("stops_connections", "on SIGTERM open connections end with the tool",
                        run.traits().stops_connections, connection_ended, true);
    }
}

inline constexpr std::array stop_checks{
    Check{.id = "stop.idle",
          .title = "on SIGTERM, without a connection, it ends in time and leaves nothing behind",
          .level = Level::hello,
          .trait = "exit_statuses",
          .run = stop_idle},
    Check{.id = "stop.busy",
          .title = "on SIGTERM, with data under way, it ends in time and leaves nothing behind",
          .trait = "stops_connections",
          .run = stop_busy}};

} // namespace test_tunnel::check
