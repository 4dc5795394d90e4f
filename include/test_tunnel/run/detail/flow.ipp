#pragma once

// How one flow of datagrams through the tool is made, from top to bottom: wait until the tool
// receives, open, say the first word, verify the source. How datagrams are carried on it is in
// flow_carrying.ipp.

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/discovery/bind.hpp"
#include "test_tunnel/kernel/processes.hpp"
#include "test_tunnel/kernel/udp_sockets.hpp"
#include "test_tunnel/net/wait.hpp"
#include "test_tunnel/process/detail/settle.hpp"
#include "test_tunnel/process/listening.hpp"
#include "test_tunnel/run/detail/association.hpp"
#include "test_tunnel/run/detail/pair_state.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel {

TEST_TUNNEL_INLINE PairRun& FlowRun::self() noexcept {
    return static_cast<PairRun&>(*this); // NOLINT(*-static-cast-downcast): nothing else is one
}

TEST_TUNNEL_INLINE DatagramSocket& FlowRun::datagram_server() {
    return self().state_.life.datagram_server();
}

// --- Wait until it receives

/// Waits until somebody has the UDP port to which the clients send, which must be the tool. Sends
/// nothing: a datagram would begin a flow.
TEST_TUNNEL_INLINE void FlowRun::await_receiver(const Endpoint& endpoint) {
    const auto looks_after = self().supervisor();
    const auto patience = self().state_.patience.value_or(self().config().timeouts.connect);
    const auto deadline = Deadline::after(patience);
    const auto began = Clock::now();
    constexpr Duration shortest_pause = std::chrono::microseconds{200};
    constexpr Duration longest_pause = std::chrono::milliseconds{5};
    const detail::PromptTimers prompt;
    for (;;) {
        const auto sockets = udp_sockets_at(endpoint);
        if (!sockets || !sockets->empty()) { // unknown, or there
            break;
        }
        if (deadline.passed()) {
            throw TimedOut{fmt::format("nobody had the UDP port {} for {}", endpoint,
                                       text_of(scaled(patience)))};
        }
        // In proportion to what it has taken so far, as for a listener.
        const auto pause =
            std::clamp<Duration>((Clock::now() - began) / 24, shortest_pause, longest_pause);
        test_tunnel::pause(std::min(pause, deadline.remaining()), looks_after.get(),
                           "the tool to receive datagrams");
    }
    require_own_receiver(self().tool(), endpoint);
}

// --- Open

TEST_TUNNEL_INLINE Flow FlowRun::open_flow() {
    if (self().traits().concurrent == false && self().has_tool() && self().connections() > 0) {
        self().state_.life.kill(); // the flow that it has keeps it from serving another one
    }
    return self().state_.tunnel.open_flow(self());
}

TEST_TUNNEL_INLINE Flow FlowRun::open_flow(const Endpoint& client) {
    auto& chosen = self().state_.client_of_flow;
    chosen = client;
    try {
        auto result = open_flow();
        if (std::exchange(chosen, std::nullopt)) {
            throw NotApplicable{
                "its open_flow does not call TestTunnel::open_flow, which would have the client "
                "where the check wants it"};
        }
        return result;
    } catch (...) {
        chosen.reset();
        throw;
    }
}

TEST_TUNNEL_INLINE const std::vector<Endpoint>& FlowRun::other_receivers() {
    return self().state_.other_receivers;
}

TEST_TUNNEL_INLINE Endpoint FlowRun::client_of_flow() {
    if (const auto chosen = std::exchange(self().state_.client_of_flow, std::nullopt)) {
        return *chosen;
    }
    auto own = self().pair().proxy_listen.client();
    if (self().state_.life.has_used_ports()) {
        own.port = 0;
    }
    return own;
}

TEST_TUNNEL_INLINE Flow FlowRun::open_flow_as_usual() {
    const auto asked_by = self().protocol();
    if (const auto* socks5 = std::get_if<Socks5Options>(&asked_by)) {
        return detail::open_association(self(), *socks5);
    }
    const auto looks_after = self().supervisor(); // starts the tool where it does not run
    const auto relay = self().pair().proxy_listen.listen();
    self().step(StepKind::connect, fmt::format("the tool receives datagrams at {}", relay),
                Party::client);
    if (self().connections() == 0) {
        await_receiver(relay);
        self().state_.other_receivers = receives_elsewhere(self().tool(), relay);
    }
    Flow flow{.client = bind_datagrams_to(self().config(), client_of_flow()),
              .relay = relay,
              .target = self().pair().svc_listen.listen()};
    flow.client.supervise(looks_after);
    self().state_.life.count_connection();
    return flow;
}

// --- Say the first word

TEST_TUNNEL_INLINE Flow FlowRun::flow() {
    auto result = open_flow();
    round_trip(result);
    return result;
}

TEST_TUNNEL_INLINE void FlowRun::round_trip(Flow& flow) {
    const auto line = [&](Party speaker) {
        return fmt::format("Hello from the {} {}\n", text_of(speaker),
                           hex(self().pattern(self().state_.said++).bytes(0, 8)));
    };
    self().step("word", "what the client says arrives at the server", Party::client, Party::server);
    carry(flow, Party::client, line(Party::client));
    self().step("answer", "what the server answers arrives at the client", Party::server,
                Party::client);
    carry(flow, Party::server, line(Party::server));
}

TEST_TUNNEL_INLINE void FlowRun::say_request(Flow& flow) {
    carry(flow, Party::client, "request " + hex(self().pattern(self().state_.said++).bytes(0, 8)));
}

TEST_TUNNEL_INLINE void FlowRun::flow_sentinel() {
    auto last = flow();
    self().step("no further datagrams", "nothing arrives that nobody has sent", Party::tool,
                Party::client);
    require_no_datagram({&last});
}

// --- Verify the source

TEST_TUNNEL_INLINE void FlowRun::verify_flow_source(const Endpoint& source) {
    const auto count = self().steps();
    self().verify_source(source, std::nullopt);
    self().forget_steps(count); // what goes on is the step before
}

} // namespace test_tunnel
