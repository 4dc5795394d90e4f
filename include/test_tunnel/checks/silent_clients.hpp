#pragma once

#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "../check.hpp"
#include "../pair_run.hpp"
#include "support.hpp"

namespace test_tunnel::check {

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
        std::array events{client.event(POLLIN), run.listener().event(POLLIN)};
        detail::wait_for_sockets(events, deadline, run.watch().lock().get(), "the tool's answer");
    } catch (const SystemError&) {
        // It does not even listen to that.
    }
    client.close();
    pollfd entry{.fd = run.listener().fd(), .events = POLLIN, .revents = 0};
    detail::wait_for({&entry, 1}, Deadline{Clock::now() + run.wait(1s)}, run.watch().lock().get(),
                     "no connection to the server");
    // What should come first on it may not: its client has gone.
    if (const auto server = run.listener().try_accept();
        server && run.traits().connects_eagerly != true) {
        throw Unexpected{run.expected(),
                         fmt::format("a connection from {}; a tool that connects before the "
                                     "handshake has to declare Traits::connects_eagerly = true",
                                     server->peer())};
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
    if (const auto most = run.most_at_once(); most && *most <= count) {
        throw NotApplicable{
            fmt::format("it serves {} connections at once (Traits::concurrent)", *most)};
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

} // namespace test_tunnel::check
