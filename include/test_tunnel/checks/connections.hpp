#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "../check.hpp"
#include "../pair_run.hpp"
#include "crowd.hpp"
#include "fill.hpp"
#include "reuse.hpp"
#include "silent_clients.hpp"
#include "socket_options.hpp"
#include "support.hpp"

namespace test_tunnel::check {

/// "connection 3, client → server"
inline std::string numbered(std::size_t number, const char* direction) {
    return fmt::format("connection {}, {}", number + 1, direction);
}

/// `count` connections at once. Fewer, but `least`, where a slow tool takes more than a second;
/// fewer than that, where it serves no more.
inline std::vector<Connection> connect_many(PairRun& run, std::size_t count, std::size_t least) {
    using namespace std::chrono_literals;
    const auto enough = run.soft_end();
    std::vector<Connection> result;
    result.reserve(count); // streams will refer to its elements
    while (result.size() < count && (result.size() < least || !enough || !enough->passed())) {
        constexpr std::size_t known = 2; // that it serves
        if (result.size() < known) {
            result.push_back(run.connect());
        } else if (auto further = run.connect_within(run.strict() ? 5s : 2s)) {
            result.push_back(*std::move(further));
        } else {
            run.serves_at_most(result.size());
            break;
        }
    }
    return result;
}

/// That there are as many as the check needs.
inline void need_connections(const std::vector<Connection>& connections, std::size_t count) {
    if (connections.size() < count) {
        throw NotApplicable{fmt::format("it serves {} connections at once (Traits::concurrent)",
                                        connections.size())};
    }
}

/// 16 connections at once, each with data of its own both ways. Tools that keep one buffer, or one
/// table, for all of them mix them up, or run out of something.
inline void isolation(PairRun& run) {
    run.need_concurrency();
    constexpr std::size_t count = 16;
    constexpr std::size_t least = 6;
    constexpr std::uint64_t size = 1U << 16U;
    constexpr std::uint64_t turn = size / 8;
    auto connections = connect_many(run, count, least);
    run.step("streams", "each connection carries its own data and no other's", Party::client,
             Party::server);
    std::vector<Stream> streams;
    for (std::size_t i = 0; i < connections.size(); ++i) {
        auto& [client, server] = connections[i];
        streams.push_back({.from = client,
                           .to = server,
                           .name = numbered(i, run.up),
                           .pattern = run.pattern(2 * i),
                           .pieces = odd_pieces});
        streams.push_back({.from = server,
                           .to = client,
                           .name = numbered(i, run.down),
                           .pattern = run.pattern(2 * i + 1),
                           .pieces = odd_pieces});
    }
    // In turns: what is sent at once would go through in one piece, one connection after the other.
    const auto enough = run.soft_end();
    for (auto goal = turn; goal <= size && (!enough || !enough->passed()); goal += turn) {
        for (auto& stream : streams) {
            stream.size = goal;
        }
        transfer(streams, run.watch(), {.patience = run.config().timeouts.io, .soft_end = enough});
    }
    run.step("no further bytes", "there is nothing on a connection that nobody has written",
             Party::tool, Party::client);
    std::vector<Socket*> sockets;
    for (auto& [client, server] : connections) {
        sockets.insert(sockets.end(), {&client, &server});
    }
    run.require_silence(sockets);
}

/// The reader of one connection stops, and the writer of another one waits for its client: tools
/// that wait in a write for one of their connections stop all others with it.
inline void stalled(PairRun& run) {
    using namespace std::chrono_literals;
    run.need_concurrency();
    constexpr std::size_t count = 4;
    constexpr std::uint64_t most = 8U << 20U;
    auto connections = connect_many(run, count, count);
    need_connections(connections, count);
    auto& slow_server = connections[0];
    auto& slow_client = connections[1];
    run.step("readers stop", "a tool takes data for readers that have stopped, as much as it likes",
             Party::client, Party::server);
    limit_send_buffer(slow_server.client);
    limit_send_buffer(slow_client.server);
    std::vector<Stream> streams{{.from = slow_server.client,
                                 .to = slow_server.server,
                                 .name = numbered(0, run.up),
                                 .pattern = run.pattern(0),
                                 .size = most,
                                 .reads = false},
                                {.from = slow_client.server,
                                 .to = slow_client.client,
                                 .name = numbered(1, run.down),
                                 .pattern = run.pattern(1),
                                 .size = most,
                                 .reads = false}};
    fill(run, streams, run.strict() ? Duration{10s} : Duration{1s});
    for (std::size_t i = 2; i < count; ++i) {
        run.step("round trip beside them",
                 fmt::format("connection {} goes on while the readers of connections 1 ({}) and 2 "
                             "({}) have stopped",
                             i + 1, run.up, run.down),
                 Party::client, Party::server);
        auto& [client, server] = connections[i];
        run.say(client, server, run.up);
        run.say(server, client, run.down);
    }
    run.step("readers go on", "all that was written for them arrives as it was written",
             Party::client, Party::server);
    for (auto& stream : streams) {
        stream.reads = true;
    }
    transfer(streams, run.watch(), {.patience = run.config().timeouts.io});
    for (auto& connection : connections) {
        run.round_trip(connection);
    }
}

/// The client of one connection resets it, and the server of another one: the rest are left alone.
inline void reset_of_one(PairRun& run) {
    using namespace std::chrono_literals;
    run.need_concurrency();
    constexpr std::size_t count = 4;
    auto connections = connect_many(run, count, count);
    need_connections(connections, count);
    for (auto& connection : connections) {
        run.round_trip(connection);
    }
    run.step("reset of two",
             "the tool closes both sides of the connections 1 and 2, which were "
             "reset, and no others",
             Party::client, Party::server);
    connections[0].client.reset();
    connections[1].server.reset();
    // Until the tool has noticed. Whether it passes that on is for other checks to say.
    const auto deadline = Deadline{Clock::now() + run.wait(3s)};
    await_ending(run, connections[0].server, deadline);
    await_ending(run, connections[1].client, deadline);
    std::vector<Socket*> others;
    for (std::size_t i = 2; i < count; ++i) {
        others.insert(others.end(), {&connections[i].client, &connections[i].server});
    }
    run.require_silence(others, run.wait(200ms));
    for (std::size_t i = 2; i < count; ++i) {
        run.step("round trip on another",
                 fmt::format("connection {} goes on when the client of connection 1 and the server "
                             "of connection 2 have reset theirs",
                             i + 1),
                 Party::client, Party::server);
        auto& [client, server] = connections[i];
        run.say(client, server, run.up);
        run.say(server, client, run.down);
    }
    connections.clear();
    run.sentinel();
}

inline constexpr std::array connection_checks{
    Check{.id = "connections.burst",
          .title = "clients that connect at once are all served: 6, at strict 16",
          .trait = "concurrent",
          .run = burst},
    Check{.id = "connections.isolation",
          .title = "16 connections at once, 64 KiB each way on each: none gets another one's data",
          .trait = "concurrent",
          .run = isolation},
    Check{.id = "connections.stalled",
          .title = "connections go on while the readers of two others have stopped",
          .trait = "concurrent",
          .run = stalled},
    Check{.id = "connections.reset",
          .title = "connections go on when two others are reset",
          .trait = "concurrent",
          .run = reset_of_one},
    Check{.id = "connections.one_to_one",
          .title = "one connection to the server for each client, and none for nobody",
          .trait = "connects_eagerly",
          .run = one_to_one},
    Check{.id = "connections.reuse",
          .title = "100 connections in a row; strict: 1,000, after which nothing is left over",
          .trait = "serves_again",
          .run = reuse},
    Check{.id = "connections.silent",
          .title = "8 clients that connect and send nothing do not keep a ninth from being served",
          .trait = "concurrent",
          .run = silent}};

} // namespace test_tunnel::check
