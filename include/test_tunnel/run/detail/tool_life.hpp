#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/config/config.hpp"
#include "test_tunnel/config/traits.hpp"
#include "test_tunnel/config/transports.hpp"
#include "test_tunnel/discovery/pairs.hpp"
#include "test_tunnel/net/datagram_socket.hpp"
#include "test_tunnel/net/socket.hpp"
#include "test_tunnel/process/detail/peak_use.hpp"
#include "test_tunnel/process/resource_use.hpp"
#include "test_tunnel/process/server.hpp"
#include "test_tunnel/run/detail/habits.hpp"
#include "test_tunnel/run/detail/journal.hpp"

namespace test_tunnel::detail {

/// The tool's life, from its start to its judged end, as often as a pair takes a new one.
class ToolLife {
public:
    /// Starts the tool: the user's hook.
    using Spawn = std::function<Server(const AddrPort& proxy_listen, const AddrPort& svc_listen)>;

    /// What is given by reference must outlive it.
    ToolLife(const Config& config, const Traits& traits, Pair pair, Spawn spawn, Journal& journal,
             const Habits& habits, Transports transports = {.tcp = true});

    /// Has the tool connect to an upstream proxy of this family, which the harness plays. To be
    /// called before the first one is started.
    void set_upstream(Family family) { upstream_family_ = family; }
    /// The listener at the target, where the server's is at the upstream proxy: nobody may connect
    /// there. Null where there is no upstream proxy, or no tool yet.
    [[nodiscard]] Socket* target_guard() noexcept { return guard_ ? &*guard_ : nullptr; }
    /// Throws Unexpected where the tool has connected to the target itself, or sent it a datagram.
    void require_nothing_past();

    /// Where the tool that is running now listens and connects to.
    [[nodiscard]] const Pair& pair() const noexcept { return pair_; }

    /// The tool; started where it does not run.
    [[nodiscard]] Server& tool();
    /// Kills the tool, if there is one, and starts another one while nobody listens at the target:
    /// `listener().listen()` ends that.
    void restart_early();
    /// Kills the tool, if there is one, and starts another one at once where that was: at the same
    /// addresses and ports.
    void restart_there();
    /// The server's listener, which is there before the tool.
    [[nodiscard]] Socket& listener();
    /// The server's UDP socket, which is there before the tool. Throws InvalidConfig for a tool
    /// that carries no datagrams.
    [[nodiscard]] DatagramSocket& datagram_server();
    /// Whether there is a tool: running, or not yet seen to have ended.
    [[nodiscard]] bool has_tool() const noexcept { return tool_.has_value(); }

    /// How many tools have been started.
    [[nodiscard]] int starts() const noexcept { return starts_; }
    /// How many connections have been made to the last one.
    [[nodiscard]] int connections() const noexcept { return connections_; }
    void count_connection();
    /// Whether the ports have been used: on them connections may still be in TIME_WAIT.
    [[nodiscard]] bool has_used_ports() const noexcept {
        return connections_ > 0 || is_there_again_;
    }
    /// An attempt was no connection: there have been `count`.
    void set_connections(int count) noexcept { connections_ = count; }

    /// A client has connected for which a connection to the server may come.
    void expect_arrival() noexcept {
        if (is_early_) {
            is_early_ = false;
        } else {
            ++expected_;
        }
    }
    /// A connection has come to the server.
    void count_arrival(const Socket& server) {
        expected_ = std::max(expected_ - 1, 0);
        if (tool_) {
            peak_.look_at_connection(*tool_, server.fd());
        }
    }
    /// A connection has come while something else was awaited: maybe before it was expected.
    void count_early_arrival(const Socket& server) {
        is_early_ = expected_ == 0;
        count_arrival(server);
    }
    /// What has come so far was not for the next client.
    void forget_early_arrival() noexcept { is_early_ = false; }
    /// For how many clients a connection may still come.
    [[nodiscard]] int expected_arrivals() const noexcept { return expected_; }

    /// The tool's end of its last connection to the server, and the server's.
    void set_last_connection(const Endpoint& from, const Endpoint& to) { tool_end_ = {from, to}; }
    /// Whether the last client that was not served had its connection reset.
    void set_was_reset(bool was_reset) noexcept { was_reset_ = was_reset; }

    /// Whether the tool reset its first connection when it was just started. Some listen in one
    /// process until another one does, or anew when they have dropped their privileges; connections
    /// that have come in before are lost.
    [[nodiscard]] bool may_have_been_too_early();

    /// Whether the tool ends, within a moment, as one does that serves just one connection.
    [[nodiscard]] bool ends_well();
    /// The tool has ended by itself: it must have served just one connection.
    void end_by_itself();

    /// Stops the tool, and judges how it ended.
    void stop();
    /// Judges how a stopped tool ended; `ended_before` says of each process whether it had ended by
    /// itself. Throws Unexpected.
    void judge_end(const std::vector<bool>& ended_before);
    /// Kills the tool in whatever state it is: only what no tool may do is judged.
    void kill();
    /// Has `settle` kill the tool.
    void kill_after_check() noexcept { kill_after_check_ = true; }
    /// All connections have been closed: the tool must run on, or end as one that serves just one.
    void settle();
    /// Stops the tool, if there is one; how it ends is not judged. It can still be asked what it
    /// has printed, until `forget`.
    void stop_unjudged();
    void forget() noexcept { tool_.reset(); }

    /// How long the first tool took until it accepted its first connection.
    [[nodiscard]] std::optional<Duration> time_to_start() const noexcept { return time_to_start_; }
    /// How long the first one that was stopped when nothing went on took for that.
    [[nodiscard]] std::optional<Duration> time_to_stop() const noexcept { return time_to_stop_; }

    /// What all tools that have ended so far have used.
    [[nodiscard]] ResourceUse use() const {
        auto result = use_;
        return result += peak_.seen();
    }

    /// It did not rest in all of the time in which something was waited for in vain.
    void count_restless() noexcept { ++restless_; }
    /// Whether it has never rested lately, though it had time for that after each of some checks.
    [[nodiscard]] bool never_rests() const noexcept { return restless_ >= enough_restless; }

    /// Throws away what has arrived at the server's UDP socket, for clients of an earlier check,
    /// and what has come back there of what was sent to them.
    void discard_datagrams();
    /// A check begins, and has its time.
    void begin_check();

private:
    enum class Target { listens, is_closed };
    void start(Target state);
    [[nodiscard]] AddrPort find_upstream() const;
    void set_guard();
    void start_tool();
    void count_use();
    [[nodiscard]] bool passes_ends() const;

    const Config& config_;
    const Traits& traits_;
    Pair pair_;
    Spawn spawn_;
    Journal& journal_;
    const Habits& habits_;
    std::optional<Family> upstream_family_;
    /// Keeps the port of the upstream proxy.
    PortReservation upstream_port_;
    std::optional<Socket> guard_;
    std::optional<DatagramSocket> datagram_guard_;
    Transports transports_;
    std::optional<Socket> listener_;
    std::optional<DatagramSocket> datagram_server_;
    std::optional<Server> tool_;
    int starts_ = 0;
    int connections_ = 0;
    bool is_there_again_ = false;
    int expected_ = 0;
    bool is_early_ = false; // the connection of the next client that is expected has come
    /// How many times in a row it had not become idle after a check, and how many are enough to
    /// believe that it never does.
    int restless_ = 0;
    static constexpr int enough_restless = 2;
    std::optional<Duration> time_to_start_;
    std::optional<Duration> time_to_stop_;
    ResourceUse use_;
    PeakUse peak_;
    /// Up to which start `use_` has been counted.
    int counted_ = 0;
    bool was_reset_ = false;
    bool kill_after_check_ = false;
    std::optional<std::pair<Endpoint, Endpoint>> tool_end_;
};

} // namespace test_tunnel::detail

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/run/detail/tool_life.ipp" // IWYU pragma: export
#endif
