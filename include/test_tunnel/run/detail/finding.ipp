#pragma once

// Which of the connections that arrive at the server is whose, where more than one client may have
// asked for one.

#include <poll.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/net/expect.hpp"
#include "test_tunnel/run/detail/ends_soon.hpp"
#include "test_tunnel/run/detail/pair_state.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel {

namespace detail {

/// A connection that has arrived at the server, where it is not known for which client.
struct Candidate {
    Socket server;
    /// Whether what comes first on it (`PairRun::open_server`) has been read.
    bool is_open = false;
};

/// Reads what comes first on a connection, where it has not been read yet. Returns false where the
/// connection has ended: then its client has gone. What comes first may be missing then, or may not
/// tell who that client was, since the tool can't ask it any more.
inline bool is_alive(PairRun& run, Candidate& candidate) {
    if (std::exchange(candidate.is_open, true)) {
        return candidate.server.pending() > 0;
    }
    try {
        run.open_server(candidate.server);
    } catch (const SetupError&) {
        throw;
    } catch (const ToolEnded&) {
        throw;
    } catch (const std::exception& error) { // whatever a hook makes of it
        if (!ends_soon(candidate.server)) {
            throw;
        }
        run.upstream().keep(error);
        return false;
    }
    return true;
}

/// Reads the first word on a connection, and returns whether it is the one that is awaited. False,
/// too, where it is one of the `said` words of earlier clients, whose connections a tool may make
/// when they have gone. Throws Unexpected for any other bytes.
inline bool is_of(PairRun& run, std::string_view word, std::uint64_t said, Socket& server) {
    const auto came = test_tunnel::expect_read(server, word, PairRun::up, 0);
    if (came == word) {
        return true;
    }
    for (std::uint64_t i = 0; i < said; ++i) {
        if (run.pattern(i).bytes(0, word.size()) == came) {
            return false;
        }
    }
    const auto at = static_cast<std::size_t>(
        std::mismatch(word.begin(), word.end(), came.begin()).first - word.begin());
    throw Unexpected{fmt::format("{}: {}", PairRun::up, bytes_around(word, at)),
                     bytes_around(came, at, fmt::format(", different from offset {} on", at))};
}

} // namespace detail

TEST_TUNNEL_INLINE std::optional<Socket> PairRun::find_by_word(std::string_view word,
                                                               Deadline deadline,
                                                               const Socket* client) {
    std::vector<detail::Candidate> candidates;
    while (auto granted = upstream().take_granted()) {
        candidates.push_back({.server = *std::move(granted), .is_open = true});
    }
    std::vector<SocketEvent> events;
    std::optional<Socket> found;
    bool is_over = false; // for the client
    while (!found && !is_over && !deadline.passed()) {
        events.assign(1, listener().event(POLLIN));
        for (const auto& candidate : candidates) {
            events.push_back(candidate.server.event(POLLIN));
        }
        if (client != nullptr) {
            events.push_back(client->event(POLLIN));
        }
        wait_for(events, deadline, "a connection to the server");
        is_over = client != nullptr && events.back().revents != 0;
        for (std::size_t i = candidates.size(); i-- > 0;) {
            if (events[i + 1].revents == 0) {
                continue;
            }
            auto& candidate = candidates[i];
            const bool was_open = candidate.is_open;
            bool is_done = !detail::is_alive(*this, candidate);
            if (was_open && !is_done) {
                try {
                    if (detail::is_of(*this, word, state_.said, candidate.server)) {
                        found = std::move(candidate.server);
                    }
                } catch (const SystemError&) {
                    // Its client had gone.
                }
                is_done = true;
            }
            if (is_done) {
                candidates.erase(candidates.begin() + static_cast<std::ptrdiff_t>(i));
            }
            if (found) {
                break;
            }
        }
        if (auto arrived = found ? std::nullopt : listener().try_accept()) {
            state_.life.count_arrival(*arrived);
            candidates.push_back({.server = *std::move(arrived)});
        }
    }
    for (auto& candidate : candidates) {
        state_.strays.push_back(std::move(candidate.server));
    }
    return found;
}

/// The connection of a client that has said `word`, while one of another client may arrive.
TEST_TUNNEL_INLINE Socket PairRun::accept_by_word(Socket& client, std::string_view word) {
    step(StepKind::accept,
         fmt::format("the tool connects to the server at {}, and passes on what this client said",
                     pair().svc_listen.listen()),
         Party::tool, Party::server);
    const auto patience = state_.patience.value_or(config().timeouts.io);
    if (auto server = find_by_word(word, Deadline::after(patience), &client)) {
        state_.life.set_last_connection(server->peer(), server->local());
        return *std::move(server);
    }
    if (wait_for(client.event(POLLIN), Deadline::now(), "the client's end")) {
        throw Unexpected{expected(), "the client: " + what_came(client)};
    }
    throw TimedOut{fmt::format("nothing for {} while waiting for the tool to connect to the server",
                               text_of(scaled(patience)))};
}

TEST_TUNNEL_INLINE std::vector<Socket> PairRun::take_strays() {
    return std::exchange(state_.strays, {});
}

/// Before another client connects: what has arrived is not for that one.
TEST_TUNNEL_INLINE void PairRun::set_strays_aside() {
    while (auto granted = upstream().take_granted()) {
        state_.strays.push_back(*std::move(granted));
    }
    state_.life.forget_early_arrival();
    while (state_.life.expected_arrivals() > 0) {
        auto stray = take_arrival();
        if (!stray) {
            return;
        }
        state_.strays.push_back(*std::move(stray));
    }
    require_no_unasked_connection();
}

} // namespace test_tunnel
