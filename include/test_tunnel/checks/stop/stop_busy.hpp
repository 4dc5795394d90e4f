#pragma once

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <exception>
#include <vector>

#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/discovery/bind.hpp"
#include "test_tunnel/kernel/tcp_sockets.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/net/expect.hpp"
#include "test_tunnel/net/stream.hpp"
#include "test_tunnel/process/listening.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/detail/end_of_tool.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Returns whether all of the tool's own processes have ended. Children may still serve.
inline bool has_ended(const Server& server) {
    return std::all_of(server.processes().begin(), server.processes().end(),
                       [](const Process& process) { return process.has_ended(); });
}

/// Waits until all of them have, for as long as `deadline` allows, and returns whether they have.
inline bool await_end(Server& server, Deadline deadline) {
    constexpr auto pause = std::chrono::milliseconds{5};
    while (!has_ended(server) && !deadline.passed()) {
        server.wait_for_end(Deadline::unscaled(pause));
    }
    return has_ended(server);
}

/// Carries streams, which may break, until `done()` is true; returns false where `deadline` passes
/// first. Throws Unexpected where something arrives that was not written.
template <typename Done>
bool carry_until(Server& server, std::vector<Stream>& streams, Deadline deadline, Done done) {
    constexpr auto slice = std::chrono::milliseconds{2};
    while (!done()) {
        if (deadline.passed()) {
            return false;
        }
        // Without the tool's supervisor, for which the tool's end is a fault. The tool is looked
        // after in between.
        const bool complete =
            transfer(streams, {}, {.patience = slice, .soft_end = deadline, .may_stall = true});
        server.wait_for_end(Deadline::unscaled((complete ? slice : Duration::zero())));
    }
    return true;
}

/// Demands that nobody listens any more where the tool did, so that it can be started there again.
/// That the address is in use is no fault by itself: for a while it is, after its connections.
inline void require_free_port(PairRun& run, const Endpoint& endpoint) {
    run.step("port", fmt::format("{} can be bound again when the tool has ended", endpoint));
    try {
        auto again = bind_to(run.config(), endpoint);
        again.listen();
    } catch (const SystemError& error) {
        if (error.code() != EADDRINUSE) {
            throw;
        }
        if (const auto holder = who_listens_at(endpoint)) {
            throw Unexpected{run.expected(),
                             fmt::format("{} still listens at {}", holder->name, holder->endpoint)};
        }
    }
}

/// What became of a client that came after SIGTERM.
enum class LateClient { refused, served, dropped, kept_waiting };

/// Connects a client to a tool that has been told to end, and runs on. Waits for it a second, more
/// or less.
inline LateClient send_late_client(PairRun& run, const Endpoint& listen) {
    using namespace std::chrono_literals;
    Socket client{listen.address.family(), 1s}; // not looked after: the tool may end at any time
    const auto word = run.pattern(2).bytes(0, 8);
    try {
        if (!client.try_connect(listen)) {
            return LateClient::refused;
        }
        run.expect_arrival();
        run.handshake(client);
        if (run.speaks_first()) {
            client.write(word);
        }
        std::array events{run.listener().event(POLLIN), client.event(POLLIN)};
        wait_for(events, Deadline::after(1s), nullptr, "a connection for a client after SIGTERM");
        if (events[0].revents == 0) {
            return events[1].revents == 0 ? LateClient::kept_waiting : LateClient::dropped;
        }
        auto server = run.try_accept();
        if (!server) {
            return LateClient::dropped;
        }
        server->supervise({});
        server->set_timeout(1s);
        if (!run.speaks_first()) {
            client.write(word);
        }
        expect_read(*server, word, run.up);
        server->write(word);
        expect_read(client, word, run.down);
        return LateClient::served;
    } catch (const SetupError&) {
        throw;
    } catch (const TimedOut&) {
        return LateClient::kept_waiting;
    } catch (const std::exception&) { // whatever a hook makes of it
        return LateClient::dropped;
    }
}

/// A tool that finishes what it has begun, and still listens, must serve who comes, or not let him
/// in. One that ends within a moment may leave clients behind that it has not seen.
inline void demand_no_dropped_client(PairRun& run, std::vector<Stream>& streams,
                                     const Endpoint& listen) {
    auto& tool = run.tool();
    if (!listens_at(tool, listen).value_or(false)) {
        return;
    }
    run.step("late client", "a client that comes after SIGTERM is refused, or served like others",
             Party::client, Party::tool);
    const auto client = send_late_client(run, listen);
    if (client == LateClient::refused || client == LateClient::served) {
        return;
    }
    const auto moment = Deadline::after(run.config().timeouts.linger);
    if (client == LateClient::kept_waiting) {
        run.note("after SIGTERM it listens until its connections have ended, and does not accept");
    } else if (!carry_until(tool, streams, moment, [&] { return has_ended(tool); })) {
        throw Unexpected{run.expected(),
                         "it was let in, and its connection ended; the tool runs on, since "
                         "another connection is open"};
    }
}

/// Sends SIGTERM while data is under way, as when a service is restarted. The tool must end, at
/// once or when its connection has ended, and what arrives until then must be what was written. A
/// tool that hangs here has to be killed, or keeps the port from its successor.
inline void stop_in_transfer(PairRun& run) {
    using namespace std::chrono_literals;
    constexpr std::uint64_t size = 4U << 20U;
    const auto& timeouts = run.config().timeouts;
    auto connection = run.connect();
    auto& [client, server] = connection;
    run.round_trip(connection);
    auto& tool = run.tool();
    const auto listen = run.pair().proxy_listen.listen();

    const auto stop_while_busy =
        fmt::format("after SIGTERM the tool ends within {}, with or without its connection",
                    text_of(scaled(timeouts.stop)));
    run.step("stop while busy", stop_while_busy, Party::tool, Party::tool);
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
    for (auto& each : streams) { // they are under way, but not read yet
        each.reads = false;
        each.size = size / 16;
    }
    transfer(streams, run.supervisor(), {.patience = 1ms, .may_stall = true});
    const auto ended_before = detail::who_has_ended(tool);
    // Children that serve the connection have time until it is closed, and as long as others then.
    tool.terminate(timeouts.linger + timeouts.io);
    for (auto& each : streams) {
        each.reads = true;
        each.size = size;
    }
    // Where nothing depends on it, there is no wait to see what ends first, the tool or this.
    const bool matters = run.strict() || run.traits().stops_connections == true;
    const auto moment = Deadline::unscaled(run.wait(500ms));
    const auto has_tool_ended = [&] { return has_ended(tool); };
    if (!carry_until(tool, streams, Deadline::unscaled(50ms), has_tool_ended)) {
        demand_no_dropped_client(run, streams, listen);
        run.step("stop while busy", stop_while_busy, Party::tool, Party::tool);
    }
    const bool tool_ended = carry_until(
        tool, streams, matters ? Deadline::after(timeouts.stop) : moment, has_tool_ended);
    const bool connection_ended =
        tool_ended &&
        carry_until(tool, streams, matters ? Deadline::after(timeouts.io / 2) : moment,
                    [&] { return streams[0].ended && streams[1].ended; });
    client.close();
    server.close();
    run.step("stop", fmt::format("the tool ends within {} after its connections were closed, too",
                                 text_of(scaled(timeouts.stop))));
    if (!await_end(tool, Deadline::after(timeouts.stop))) {
        // Without another SIGTERM: the second time it might obey.
        throw Unexpected{run.expected(),
                         fmt::format("it still runs {} after its connections were closed",
                                     text_of(scaled(timeouts.stop))),
                         Cause::timed_out};
    }
    tool.stop(Duration::zero(), timeouts.linger);
    run.judge_end(ended_before);
    run.kill_after_check(); // it has been judged
    require_free_port(run, listen);
    if (tool_ended || matters) {
        run.judge(trait::stops_connections, connection_ended);
    }
}

inline constexpr Check stop_busy{
    .id = "stop.busy",
    .title = "on SIGTERM, with data under way, the tool ends in time and leaves nothing behind",
    .trait = trait::stops_connections.name,
    .run = stop_in_transfer};

} // namespace test_tunnel::check
