#pragma once

#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <exception>
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

/// Whether the tool ends a connection within a moment, whatever it still says on it.
inline bool ends_soon(Socket& server) {
    constexpr auto moment = std::chrono::seconds{1};
    const auto deadline = Deadline::after(moment);
    server.set_timeout(moment);
    std::array<char, 256> bytes{};
    try {
        while (!deadline.passed()) {
            if (server.read_some(bytes.data(), bytes.size()) == 0) {
                return true;
            }
        }
    } catch (const SystemError&) {
        return true;
    } catch (const TimedOut&) {
        return false;
    }
    return false;
}

/// One that has arrived while it is not known for which client.
struct Candidate {
    Socket server;
    /// Whether what comes first on it has come.
    bool is_open = false;
};

/// False where it is at its end: then its client was another one, which has gone. What comes first
/// may be missing then, and may not tell who that client was, which nobody can be asked any more.
inline bool lives(PairRun& run, Candidate& candidate) {
    if (std::exchange(candidate.is_open, true)) {
        return candidate.server.pending() > 0;
    }
    try {
        run.open_server(candidate.server);
    } catch (const SetupError&) {
        throw;
    } catch (const ToolEnded&) {
        throw;
    } catch (const std::exception&) { // whatever a hook makes of it
        if (!ends_soon(candidate.server)) {
            throw;
        }
        return false;
    }
    return true;
}

/// The connection, of those that arrive, on which `tag` does; others that end are let go.
inline std::optional<Socket> find_by_tag(PairRun& run, std::string_view tag, Deadline deadline) {
    std::vector<Candidate> candidates;
    std::vector<detail::SocketEvent> events;
    while (!deadline.passed()) {
        events.assign(1, run.listener().event(POLLIN));
        for (const auto& candidate : candidates) {
            events.push_back(candidate.server.event(POLLIN));
        }
        detail::wait_for_sockets(events, deadline, run.watch().lock().get(),
                                 "a connection to the server");
        for (std::size_t i = candidates.size(); i-- > 0;) {
            if (events[i + 1].revents == 0) {
                continue;
            }
            auto& candidate = candidates[i];
            const bool was_open = candidate.is_open;
            if (!lives(run, candidate)) {
                candidates.erase(candidates.begin() + static_cast<std::ptrdiff_t>(i));
                continue;
            }
            if (was_open) {
                try {
                    expect_read(candidate.server, tag, PairRun::up);
                    return std::move(candidate.server);
                } catch (const SystemError&) {
                    candidates.erase(candidates.begin() + static_cast<std::ptrdiff_t>(i));
                }
            }
        }
        if (auto arrived = run.listener().try_accept()) {
            candidates.push_back({.server = *std::move(arrived)});
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
