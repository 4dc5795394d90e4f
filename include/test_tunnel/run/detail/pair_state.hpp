#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "test_tunnel/config/traits.hpp"
#include "test_tunnel/discovery/pairs.hpp"
#include "test_tunnel/handshakes/protocol.hpp"
#include "test_tunnel/net/pattern.hpp"
#include "test_tunnel/net/socket.hpp"
#include "test_tunnel/net/supervisor.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/detail/habits.hpp"
#include "test_tunnel/run/detail/journal.hpp"
#include "test_tunnel/run/detail/prepared.hpp"
#include "test_tunnel/run/detail/tool_life.hpp"
#include "test_tunnel/run/tunnel.hpp"
#include "test_tunnel/run/upstream_proxy.hpp"

namespace test_tunnel::detail {

/// All that is known while a pair is tested. PairTest goes through the checks with it; a check sees
/// of it what PairRun shows.
struct PairState {
    /// What a tool carries and, where it is asked by a protocol, TCP: that goes over a connection,
    /// whatever is asked for.
    static Transports reached_by(const TestTunnel& tunnel) {
        auto result = tunnel.transports();
        result.tcp = result.tcp || !std::holds_alternative<std::monostate>(tunnel.protocol());
        return result;
    }

    PairState(TestTunnel& under_test, const Pair& pair, std::uint64_t run_seed)
        : tunnel{under_test},
          config{tunnel.config()},
          traits{tunnel.traits()},
          seed{Pattern{run_seed}.derive(pair.name())},
          pattern{seed},
          journal{config.log},
          habits{traits, config},
          life{config,
               traits,
               pair,
               [this](const AddrPort& here, const AddrPort& there) {
                   return tunnel.spawn_server(here, there);
               },
               journal,
               habits,
               reached_by(tunnel)},
          upstream{tunnel.upstream()} {
        if (has_upstream()) {
            life.set_upstream(tunnel.upstream_family().value_or(pair.svc_listen.address.family()));
        }
    }
    PairState(const PairState&) = delete;
    PairState& operator=(const PairState&) = delete;
    ~PairState() = default;

    [[nodiscard]] const Pair& pair() const noexcept { return life.pair(); }
    [[nodiscard]] bool has_upstream() const noexcept {
        return !std::holds_alternative<std::monostate>(upstream);
    }

    /// What looks after the tool; null where there is none.
    [[nodiscard]] std::shared_ptr<Supervisor> own_supervisor() {
        return supervisor || !life.has_tool() ? supervisor : life.tool().supervisor();
    }

    TestTunnel& tunnel;
    /// The tunnel's; a tool that has failed gets less time (Patience).
    ConfigProg config;
    const Traits traits;
    /// From what the pair's data is made, and the check's.
    Pattern seed;
    Pattern pattern;
    /// How much has been said so far: no two texts are alike.
    std::uint64_t said = 0;

    Journal journal;
    Habits habits;
    Prepared prepared;
    ToolLife life;

    /// The check that is being run.
    Check check;
    /// How long new connections are waited for, in place of the configuration's timeouts.
    std::optional<Duration> patience;
    /// What looks after the tool in place of its own supervisor; null: nothing does.
    std::shared_ptr<Supervisor> supervisor;
    /// Connections that have arrived for clients which were not waited for.
    std::vector<Socket> strays;
    /// By which handshake the tool asks its upstream proxy.
    const Protocol upstream;
    /// What looks after the tool and plays the upstream proxy; null where there is none.
    std::shared_ptr<Supervisor> upstream_supervisor;
    /// The names that stand for the target for good; nothing where nobody has asked yet.
    std::optional<std::vector<std::string>> names_of_target;
    /// Connections that the upstream proxy has granted while something else was awaited.
    std::deque<Socket> granted;
    /// What a check has the upstream proxy answer, in place of granting what is asked.
    std::function<void(Socket)> upstream_answer;
    /// A request to the upstream proxy that was wrong, on a connection that was then given up.
    std::optional<WrongRequest> wrong_request;
    /// Whether a client of this check may have asked the tool for something else than the target.
    bool may_ask_otherwise = false;
    /// What has been said in datagrams that were sent twice, since the first one did not come: it
    /// may come late.
    std::vector<std::string> said_twice;
    /// How many datagrams had to be sent again.
    std::size_t losses = 0;
    /// For how long, at most, the tool had nothing else to do until a datagram arrived.
    Duration slowest_datagram{};
    /// Where the tool took datagrams besides its listener, when no client had come yet.
    std::vector<Endpoint> other_receivers;
    /// Where the client of the flow has to be that is being made, in place of the pair's own.
    std::optional<Endpoint> client_of_flow;
    /// Whether it has been judged that the tool serves one connection at a time, or several.
    bool is_concurrency_judged = false;
};

} // namespace test_tunnel::detail
