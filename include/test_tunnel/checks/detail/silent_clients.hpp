#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/net/tls_end.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// What the tool is known to do for a client that says nothing.
enum class ForSilent {
    /// It connects onwards: it has done so for another client that had not said anything.
    connects,
    /// It waits for the client's first bytes. When the client leaves, or after a while, it may
    /// connect onwards without them.
    waits,
    /// It is not known, since there is a handshake.
    unknown
};

/// Returns what is known of that from a connection that has just been made.
inline ForSilent for_silent(PairRun& run, const Connection& connection) {
    const auto tls = run.tls(Party::client);
    const bool only_looks = tls && tls->is_passed_on(); // at a hello, which there may not be
    return run.speaks_first() || only_looks   ? ForSilent::waits
           : connection.client.written() == 0 ? ForSilent::connects
                                              : ForSilent::unknown;
}

/// Clients that have connected and said nothing, and the connections that have arrived at the
/// server for them.
struct SilentClients {
    std::vector<Socket> clients;
    std::vector<Socket> servers;
};

/// Has `count` clients connect and say nothing. Throws Unexpected where neither as many connections
/// arrive at the server nor none.
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
        run.expect_arrival();
        // One by one, where that is possible: the queues of some tools are too short for many.
        if (unasked && (i == 0 || !result.servers.empty())) {
            add(arrivals(run, 1, Deadline::after(patience)));
        }
    }
    run.step("silent clients",
             fmt::format("the tool connects to the server for each of {} clients that have "
                         "connected and said nothing, or for none of them",
                         count),
             Party::tool, Party::server);
    if (!unasked) {
        add(arrivals(run, 1, Deadline::unscaled(run.time_to_connect(run.wait(2s)))));
    }
    const bool eager = !result.servers.empty();
    if (eager) {
        add(arrivals(run, count - result.servers.size(), Deadline::after(patience)));
        if (result.servers.size() < count) {
            throw Unexpected{run.expected(),
                             fmt::format("{} of {} connections, and no more for {}",
                                         result.servers.size(), count, text_of(scaled(patience))),
                             Cause::timed_out};
        }
    }
    run.learn_eagerness(eager);
    // Before a handshake, a tool can't know yet to where its client wants to be connected.
    const bool has_handshake = habit == ForSilent::unknown;
    run.judge(has_handshake ? trait::connects_eagerly.with_rule(false) : trait::connects_eagerly,
              eager);
    return result;
}

/// Closes the clients' connections: those to the server must end, too.
inline void leave_silently(PairRun& run, SilentClients& silent) {
    run.step("silent clients leave",
             "the server's connection ends when a silent client has closed its own", Party::client,
             Party::server);
    for (auto& client : silent.clients) {
        client.close(); // a reset, where the tool has said something
    }
    if (!run.expects_end(Direction::up)) {
        return;
    }
    for (auto& server : silent.servers) {
        const auto patience = run.config().timeouts.io;
        if (!await_ending(run, server, Deadline::after(patience))) {
            throw Unexpected{run.expected(),
                             fmt::format("nothing for {}; a tool that does not pass an end on has "
                                         "to declare {}",
                                         text_of(scaled(patience)),
                                         run.wording(trait::passes_eof, Direction::up, false)),
                             Cause::timed_out};
        }
        server.close();
    }
}

} // namespace test_tunnel::check
