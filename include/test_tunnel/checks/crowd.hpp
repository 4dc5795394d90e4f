#pragma once

#include <poll.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../expect.hpp"
#include "../pair_run.hpp"
#include "support.hpp"

namespace test_tunnel::check {

/// By what a client's connection is known at the server, in whatever order they arrive.
constexpr std::size_t tag_size = 16;

/// Clients that connect all at once, before any of them has said a word, as browsers' do: a tool
/// that takes one connection where several wait (as with epoll's EPOLLET) forgets the others.
inline void burst(PairRun& run) {
    run.need_concurrency();
    // Many a tool has a queue of five, and whoever finds it full tries again after a second.
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
             fmt::format("each of {} clients that have connected at once gets a connection to the "
                         "server",
                         count),
             Party::client, Party::server);
    const auto patience = run.config().timeouts.io;
    auto servers = arrivals(run, count, Deadline::after(patience));
    if (servers.size() < count) {
        throw Unexpected{run.expected(),
                         fmt::format("{} of them, and no more for {}", servers.size(),
                                     detail::text_of(detail::scaled(patience)))};
    }
    for (auto& server : servers) {
        const auto tag = server.read(tag_size);
        std::size_t i = 0;
        while (i < count && tags.bytes(i * tag_size, tag_size) != tag) {
            ++i;
        }
        if (i == count) {
            throw Unexpected{"what one of the clients wrote, on a connection of its own",
                             detail::bytes_around(tag, 0)};
        }
        const auto answer = answers.bytes(i * tag_size, tag_size);
        server.write(answer);
        expect_read(clients[i], answer, fmt::format("connection {}, {}", i + 1, PairRun::down));
    }
}

/// The connection, of those that arrive, on which `tag` does; others that end are let go.
inline std::optional<Socket> find_by_tag(PairRun& run, std::string_view tag, Deadline deadline) {
    std::vector<Socket> candidates;
    std::vector<detail::SocketEvent> events;
    while (!deadline.passed()) {
        events.assign(1, run.listener().event(POLLIN));
        for (const auto& candidate : candidates) {
            events.push_back(candidate.event(POLLIN));
        }
        detail::wait_for_sockets(events, deadline, run.watch().lock().get(),
                                 "a connection to the server");
        for (std::size_t i = candidates.size(); i-- > 0;) {
            if (events[i + 1].revents == 0) {
                continue;
            }
            try {
                if (candidates[i].pending() > 0) {
                    expect_read(candidates[i], tag, PairRun::up);
                    return std::move(candidates[i]);
                }
                candidates.erase(candidates.begin() + static_cast<std::ptrdiff_t>(i));
            } catch (const SystemError&) {
                candidates.erase(candidates.begin() + static_cast<std::ptrdiff_t>(i));
            }
        }
        if (auto arrived = run.try_accept()) {
            candidates.push_back(*std::move(arrived));
        }
    }
    return std::nullopt;
}

/// Clients that reset their connection before the tool may have taken it, as port scanners do: an
/// error of one accept(2), or of what is asked about that client, is no reason to take no others.
inline void early_reset(PairRun& run) {
    if (serves_once(run)) {
        throw NotApplicable{"it serves just one connection (Traits::serves_again)"};
    }
    constexpr int count = 5;
    for (int i = 0; i < count; ++i) {
        run.connect_client().reset();
    }
    auto client = run.connect_client();
    run.handshake(client);
    const auto tag = run.pattern().bytes(0, tag_size);
    client.write(tag);
    run.step(
        "after early resets",
        fmt::format("a client is served after {} that have reset their connections at once", count),
        Party::client, Party::server);
    const auto patience = run.config().timeouts.io;
    auto server = find_by_tag(run, tag, Deadline::after(patience));
    if (!server) {
        throw Unexpected{run.expected(),
                         fmt::format("nothing of what the client wrote arrived for {}",
                                     detail::text_of(detail::scaled(patience)))};
    }
    Connection connection{std::move(client), *std::move(server)};
    run.round_trip(connection);
    run.discard(); // what it makes of the others may still be on its way
}

} // namespace test_tunnel::check
