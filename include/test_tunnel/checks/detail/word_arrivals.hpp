#pragma once

// Whose connection has arrived, where those of clients that have gone may arrive, too.

#include <poll.h>

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/net/expect.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Connections that have arrived at the server, until it is known whose they are.
class WordArrivals {
public:
    /// The connection of a client.
    struct Found {
        Socket socket;
        /// At which of the listeners it arrived.
        std::size_t place;
    };

    explicit WordArrivals(PairRun& run) : run_{run} {}

    /// Waits for the connection of the client that has written `word`, at one of `listeners`: the
    /// one on which that arrives, and is read. Others on which something else comes are closed.
    /// Nothing where it has not come by `deadline`, or where the client's connection ends or is
    /// sent something: `reason` tells.
    [[nodiscard]] std::optional<Found> find(const std::vector<Socket*>& listeners, Socket& client,
                                            const std::string& word, Deadline deadline) {
        const auto began = Clock::now();
        for (;;) {
            std::vector<SocketEvent> events{client.event(POLLIN)};
            for (const auto* listener : listeners) {
                events.push_back(listener->event(POLLIN));
            }
            const auto first = events.size();
            for (const auto& each : arrived_) {
                events.push_back(each.socket.event(POLLIN));
            }
            timed_out_ = !run_.wait_for(events, deadline, "the tool to connect to the server");
            if (timed_out_) {
                reason_ = fmt::format("nothing came for {}", text_of(Clock::now() - began));
                return std::nullopt;
            }
            for (auto i = arrived_.size(); i-- > 0;) {
                if (events[first + i].revents == 0) {
                    continue;
                }
                auto candidate = std::move(arrived_[i]);
                arrived_.erase(arrived_.begin() + static_cast<std::ptrdiff_t>(i));
                if (begins_with(candidate.socket, word, client)) {
                    return candidate;
                }
            }
            for (std::size_t place = 0; place < listeners.size(); ++place) {
                if (auto socket = listeners[place]->try_accept()) {
                    arrived_.push_back({*std::move(socket), place});
                }
            }
            if (events.front().revents != 0) {
                reason_ = "the client: " + what_came(client);
                return std::nullopt;
            }
        }
    }

    /// Why nothing was found.
    [[nodiscard]] const std::string& reason() const noexcept { return reason_; }
    /// Whether nothing was found since nothing came.
    [[nodiscard]] bool timed_out() const noexcept { return timed_out_; }

    /// Closes all that nobody has been found for.
    void clear() { arrived_.clear(); }

private:
    bool begins_with(Socket& socket, const std::string& word, const Socket& client) {
        try {
            socket.set_timeout(run_.config().timeouts.io);
            run_.open_server(socket, client.local());
            return socket.read(word.size()) == word;
        } catch (const ToolEnded&) {
            throw;
        } catch (const SetupError&) {
            throw;
        } catch (const Error&) { // its client has gone
            return false;
        }
    }

    PairRun& run_;
    std::vector<Found> arrived_;
    std::string reason_;
    bool timed_out_ = false;
};

} // namespace test_tunnel::check
