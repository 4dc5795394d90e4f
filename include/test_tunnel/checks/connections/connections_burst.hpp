#pragma once

#include <poll.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/net/expect.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// A connection that has arrived at the server, and the client of which the tool tells there, if it
/// tells of any.
struct TellingArrival {
    Socket server;
    std::optional<Endpoint> told;
};

/// Takes the next one that arrives, if there is one.
inline std::optional<TellingArrival> take_telling_arrival(PairRun& run) {
    auto arrived = run.upstream().is_there() ? run.try_accept() : run.take_arrival();
    if (!arrived) {
        return std::nullopt;
    }
    // Behind an upstream proxy, its client has been looked at already.
    auto told = run.upstream().is_there() ? std::nullopt : run.read_told_client(*arrived);
    return TellingArrival{*std::move(arrived), told};
}

/// Demands that the tool has told the server of `client`, where it tells of any.
inline void require_told_of(const std::optional<Endpoint>& told, const Endpoint& client) {
    const bool is_right =
        !told || (told->port == client.port && told->address.packed() == client.address.packed());
    if (!is_right) {
        throw Unexpected{fmt::format("the server is told that this client is {}", client),
                         fmt::format("it is told of {}", *told)};
    }
}

/// Has clients connect at once, before any of them has said a word, as browsers do. A tool that
/// accepts one connection where several wait (as with epoll's EPOLLET) forgets the others.
inline void connect_at_once(PairRun& run) {
    run.need_concurrency();
    // By which a client's connection is known at the server, in whatever order they arrive.
    constexpr std::size_t tag_size = 16;
    // Many tools have a queue of five, and whoever finds it full tries again after a second.
    const std::size_t most = run.strict() ? 16 : 6;
    const auto count = std::min(most, run.most_at_once().value_or(most));
    std::vector<Socket> clients;
    for (std::size_t i = 0; i < count; ++i) {
        clients.push_back(run.connect_client());
    }
    const auto tags = run.pattern(0);
    const auto answers = run.pattern(1);
    for (std::size_t i = 0; i < count; ++i) {
        run.handshake(clients[i]);
        clients[i].write(tags.bytes(i * tag_size, tag_size));
    }
    run.step("burst",
             fmt::format("the tool connects to the server for each of {} clients that have "
                         "connected at once",
                         count),
             Party::client, Party::server);
    const auto patience = run.config().timeouts.io;
    const auto deadline = Deadline::after(patience);
    std::vector<TellingArrival> servers;
    while (servers.size() < count) {
        if (auto arrived = take_telling_arrival(run)) {
            servers.push_back(*std::move(arrived));
        } else if (!run.wait_for(run.listener().event(POLLIN), deadline,
                                 "connections to the server")) {
            break;
        }
    }
    if (servers.size() < count) {
        throw Unexpected{run.expected(),
                         fmt::format("{} of {} connections, and no more for {}", servers.size(),
                                     count, text_of(scaled(patience))),
                         Cause::timed_out};
    }
    for (auto& [server, told] : servers) {
        const auto tag = server.read(tag_size);
        std::size_t i = 0;
        while (i < count && tags.bytes(i * tag_size, tag_size) != tag) {
            ++i;
        }
        if (i == count) {
            throw Unexpected{"what one of the clients wrote, on a connection of its own",
                             bytes_around(tag, 0)};
        }
        require_told_of(told, clients[i].local());
        const auto answer = answers.bytes(i * tag_size, tag_size);
        server.write(answer);
        expect_read(clients[i], answer, fmt::format("connection {}, {}", i + 1, PairRun::down));
    }
}

inline constexpr Check connections_burst{
    .id = "connections.burst",
    .title = "6 clients that connect at once are all served; strict: 16",
    .trait = trait::concurrent.name,
    .run = connect_at_once};

} // namespace test_tunnel::check
