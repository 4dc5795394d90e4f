#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "../check.hpp"
#include "../pair_run.hpp"
#include "crowd.hpp"
#include "fill.hpp"
#include "reuse.hpp"
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

/// How much may wait in this socket for the tool to take it: with the system's own sizes a slow
/// tool would be busy with it for many seconds.
inline void limit_unsent(const Socket& socket) {
    const int size = 1 << 16;
    ::setsockopt(socket.fd(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
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
    limit_unsent(slow_server.client);
    limit_unsent(slow_client.server);
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

/// What the tool does for a client that says nothing.
enum class ForSilent {
    /// It is sure to connect onwards: it has done so for a client that had not said anything
    /// either.
    connects,
    /// It waits for the client's first bytes; when the client leaves, or after a while, it may
    /// connect even without them.
    waits,
    /// Not known: there is a handshake.
    unknown
};

/// Learnt from a new connection.
inline ForSilent for_silent(PairRun& run, const Connection& connection) {
    return run.speaks_first()                 ? ForSilent::waits
           : connection.client.written() == 0 ? ForSilent::connects
                                              : ForSilent::unknown;
}

/// Clients that connect and say nothing, all of whose connections at the server are taken.
struct SilentClients {
    std::vector<Socket> clients;
    std::vector<Socket> servers;
};

/// `count` of them; as many connections arrive at the server, or none.
inline SilentClients connect_silently(PairRun& run, std::size_t count, ForSilent habit) {
    using namespace std::chrono_literals;
    SilentClients result;
    const bool unasked = habit == ForSilent::connects;
    const auto patience = run.config().timeouts.io;
    const auto add = [&](std::vector<Socket> arrived) {
        std::move(arrived.begin(), arrived.end(), std::back_inserter(result.servers));
    };
    for (std::size_t i = 0; i < count; ++i) {
        result.clients.push_back(run.connect_client());
        // One by one, where that is possible: many at once are too many for the queue of some.
        if (unasked && (i == 0 || !result.servers.empty())) {
            add(arrivals(run, 1, Deadline::after(patience)));
        }
    }
    run.step("silent clients",
             fmt::format("the tool connects to the server for each of the {} clients that have "
                         "connected and say nothing, or for none of them",
                         count),
             Party::tool, Party::server);
    if (!unasked) {
        add(arrivals(run, 1, Deadline{Clock::now() + run.wait(2s)}));
    }
    const bool eager = !result.servers.empty();
    if (eager) {
        add(arrivals(run, count - result.servers.size(), Deadline::after(patience)));
        if (result.servers.size() < count) {
            throw Unexpected{
                run.expected(),
                fmt::format("it connected {} times, and no more for {}", result.servers.size(),
                            detail::text_of(detail::scaled(patience)))};
        }
    }
    // Where the client has to say something first, nothing that it has not said should be known.
    run.judge<bool>("connects_eagerly",
                    "it connects to the server when a client has connected and said nothing",
                    run.traits().connects_eagerly, eager,
                    habit == ForSilent::unknown ? std::optional{false} : std::nullopt);
    return result;
}

/// Silent clients leave: nothing of them may stay behind.
inline void leave_silently(PairRun& run, SilentClients& silent) {
    run.step("silent clients leave",
             "the server's connection ends when a silent client has closed its own", Party::client,
             Party::server);
    for (auto& client : silent.clients) {
        client.close(); // which is a reset where the tool has said something
    }
    if (!run.traits().passes_eof.value_or(true)) {
        return;
    }
    for (auto& server : silent.servers) {
        const auto patience = run.config().timeouts.io;
        if (!await_ending(run, server, Deadline::after(patience))) {
            throw Unexpected{run.expected(),
                             fmt::format("nothing for {}; a tool that does not pass an end on has "
                                         "to declare Traits::passes_eof = false",
                                         detail::text_of(detail::scaled(patience)))};
        }
        server.close();
    }
}

/// A handshake that no tool takes for one: no connection to the server may come of it.
inline void failed_handshake(PairRun& run) {
    using namespace std::chrono_literals;
    auto client = run.connect_client();
    run.step("failed handshake",
             "no connection is made to the server for a client that has said nothing but nonsense",
             Party::client, Party::tool);
    try {
        client.write("\xff\xfe nonsense\r\n\r\n");
        const auto deadline = Deadline{Clock::now() + run.wait(2s)};
        std::array<pollfd, 2> fds{{{.fd = client.fd(), .events = POLLIN, .revents = 0},
                                   {.fd = run.listener().fd(), .events = POLLIN, .revents = 0}}};
        detail::wait_for(fds, deadline, run.watch().lock().get(), "the tool's answer");
    } catch (const SystemError&) {
        // It does not even listen to that.
    }
    client.close();
    for (const auto& server : arrivals(run, 1, Deadline{Clock::now() + run.wait(1s)})) {
        if (run.traits().connects_eagerly != true) {
            throw Unexpected{run.expected(),
                             fmt::format("a connection from {}; a tool that connects before the "
                                         "handshake has to declare Traits::connects_eagerly = true",
                                         server.peer())};
        }
    }
    run.require_no_stranger();
}

/// As many connections arrive at the server as clients connect, also where these say nothing. A
/// tool that connects ahead, or again, burdens the server with connections that nobody uses, and a
/// protocol in which the server speaks first is then out of step.
inline void one_to_one(PairRun& run) {
    using namespace std::chrono_literals;
    constexpr int in_a_row = 5;
    auto habit = ForSilent::unknown;
    bool once = false;
    for (int i = 0; i < in_a_row; ++i) {
        const int before = run.connections();
        auto connection = run.connect();
        once = once || run.connections() <= before;
        habit = for_silent(run, connection);
        run.round_trip(connection);
        run.step("end of stream", "the server sees the end when the client closes", Party::client,
                 Party::server);
        connection.client.close();
        run.demand_end(connection.server, run.up);
    }
    run.step("no further connections",
             fmt::format("after {} clients and {} connections to the server there is none more",
                         in_a_row, in_a_row),
             Party::tool, Party::server);
    run.require_no_stranger();
    run.settle();

    // Of those that say nothing one tool serves any number at once, another only the first.
    constexpr int clients = 3;
    const bool one_by_one = once || habit == ForSilent::connects;
    for (int i = 0; i < (one_by_one && !once ? clients : 1); ++i) {
        auto silent = connect_silently(run, one_by_one ? 1 : clients, habit);
        leave_silently(run, silent);
    }
    if (once || habit == ForSilent::waits) {
        run.discard(); // what it does without a word from its client is its own business
        return;
    }
    run.step("no further connections", "none is made for a client that has gone", Party::tool,
             Party::server);
    require_no_arrival(run, run.wait(500ms));
    if (run.strict() && habit == ForSilent::unknown) {
        failed_handshake(run);
    }
    run.sentinel();
}

/// Clients that connect and never say anything, as scanners and browsers do, keep nobody else from
/// being served. (Clients that stop in the middle of the handshake are not tried: what it consists
/// of is known to the hook alone.)
inline void silent(PairRun& run) {
    run.need_concurrency();
    constexpr std::size_t count = 8;
    if (run.most_at_once().value_or(count + 1) <= count) {
        throw NotApplicable{fmt::format("it serves {} connections at once (Traits::concurrent)",
                                        *run.most_at_once())};
    }
    auto habit = ForSilent::unknown;
    {
        const auto connection = run.connect();
        habit = for_silent(run, connection);
    }
    auto silent = connect_silently(run, count, habit);
    auto ninth = run.connect();
    run.step("ninth client", fmt::format("it is served while {} others are silent", count),
             Party::client, Party::server);
    run.say(ninth.client, ninth.server, run.up);
    run.say(ninth.server, ninth.client, run.down);
    if (habit == ForSilent::waits) {
        run.discard(); // it may connect for them now, or later
        return;
    }
    leave_silently(run, silent);
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
