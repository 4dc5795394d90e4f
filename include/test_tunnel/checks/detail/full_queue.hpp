#pragma once

// A server to which, for a while, nobody can connect.

#include <chrono>
#include <variant>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/kernel/tcp_sockets.hpp"
#include "test_tunnel/net/socket.hpp"
#include "test_tunnel/net/wait.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Keeps the server from being connected to, by filling the queue of its listener: connections are
/// not refused then, but the system of whoever connects tries again after a second.
class FullQueue {
public:
    /// The queue is as it was, until `fill` is called.
    explicit FullQueue(PairRun& run) : run_{run} {}
    FullQueue(const FullQueue&) = delete;
    FullQueue& operator=(const FullQueue&) = delete;
    ~FullQueue() = default;

    /// Fills the queue. Does nothing on a system where that does not delay connections, nor where
    /// the tool waits for its upstream proxy, which would take what fills the queue for clients.
    void fill() {
        if (!full_queue_delays_connections() || run_.upstream().is_there()) {
            return;
        }
        const auto target = run_.pair().svc_listen.server();
        run_.require_no_unasked_connection();
        run_.listener().listen(most - 1);
        for (int i = 0; i < most; ++i) {
            plugs_.emplace_back(target.address.family(), run_.config().timeouts.io);
            plugs_.back().connect(target);
        }
    }

    /// Waits until the tool waits for its connection to the server: for a second at most, since it
    /// may connect only when its client has said something.
    void await_dial() {
        using namespace std::chrono_literals;
        const auto target = run_.pair().svc_listen.server();
        const auto dials = [&] { return somebody_dials(target).value_or(true); };
        wait_until(dials, Deadline::unscaled(1s), run_.supervisor().get(),
                   "the tool to connect to the server");
    }

    /// Empties the queue: connections can be made again.
    void release() {
        if (!plugs_.empty()) {
            for (std::size_t i = 0; i < plugs_.size(); ++i) {
                if (auto accepted = run_.listener().try_accept()) {
                    accepted->reset(); // one of ours: nothing comes first on it
                }
            }
            plugs_.clear();
            run_.listener().listen();
        }
    }

    [[nodiscard]] bool is_released() const { return plugs_.empty(); }

private:
    static constexpr int most = 2;

    PairRun& run_;
    std::vector<Socket> plugs_;
};

/// Fills the queue, and has a client come for which the tool then waits to be connected: returns it
/// when the tool does. Throws NotApplicable where that can't be.
inline Socket connect_in_vain(PairRun& run, FullQueue& queue) {
    if (!std::holds_alternative<std::monostate>(run.protocol())) {
        throw NotApplicable{"its client would have to wait in the handshake"};
    }
    queue.fill();
    if (queue.is_released()) {
        throw NotApplicable{"on this system, no connection can be kept waiting"};
    }
    auto client = run.connect_client();
    run.expect_arrival();
    if (run.speaks_first()) {
        client.write("Is anybody there?\n");
    }
    queue.await_dial();
    return client;
}

} // namespace test_tunnel::check
