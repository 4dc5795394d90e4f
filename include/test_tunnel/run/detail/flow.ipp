#pragma once

// How one flow of datagrams through the tool is made, from top to bottom: wait until the tool
// receives, open, say the first word, verify the source; then how datagrams are carried on it.

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

namespace detail {

/// "a datagram of 5 bytes from 192.0.2.1:80", and its bytes.
inline std::string datagram_text(const Datagram& datagram) {
    return fmt::format("a datagram from {}: {}", datagram.from, bytes_around(datagram.data, 0));
}

} // namespace detail

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
    }
    auto own = self().pair().proxy_listen.client();
    if (self().state_.life.has_used_ports()) {
        own.port = 0;
    }
    Flow flow{.client = bind_datagrams_to(self().config(), own),
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

// --- Receive

TEST_TUNNEL_INLINE std::optional<Datagram> FlowRun::receive_at_server(Deadline deadline) {
    auto result = datagram_server().receive(deadline);
    if (!result) {
        return std::nullopt;
    }
    const auto told = self().state_.tunnel.open_datagram(result->data);
    const auto& client = self().pair().proxy_listen.clients.front();
    if (told && told->address.packed() != client.packed()) {
        throw Unexpected{fmt::format("the tool tells the server that its client is at {}", client),
                         fmt::format("it says {}", *told)};
    }
    return result;
}

TEST_TUNNEL_INLINE std::optional<Datagram> FlowRun::receive_at_client(Flow& flow,
                                                                      Deadline deadline) {
    auto result = flow.client.receive(deadline);
    if (!result) {
        return std::nullopt;
    }
    if (result->from != flow.relay && self().traits().answers_from_listener != false) {
        throw Unexpected{fmt::format("an answer from {}, to which the client has sent", flow.relay),
                         fmt::format("{}\na tool that answers from elsewhere has to declare {}",
                                     detail::datagram_text(*result),
                                     self().wording(trait::answers_from_listener, false))};
    }
    self().judge(trait::answers_from_listener, result->from == flow.relay);
    if (flow.layer) {
        auto content = flow.layer->decode(result->data);
        if (content.sender && *content.sender != flow.target) {
            throw Unexpected{fmt::format("an answer that names {} as its sender", flow.target),
                             fmt::format("one that names {}", *content.sender)};
        }
        result->data = std::move(content.payload);
        result->from = content.sender.value_or(result->from);
    }
    return result;
}

TEST_TUNNEL_INLINE void FlowRun::require_no_datagram(std::vector<Flow*> flows, Duration duration) {
    std::vector<SocketEvent> events{datagram_server().event(POLLIN)};
    for (const auto* flow : flows) {
        events.push_back(flow->client.event(POLLIN));
    }
    const auto deadline = Deadline::unscaled(duration);
    for (;;) {
        const auto left = deadline.remaining();
        if (detail::stays_silent(self().tool(), events, left, self().supervisor().get())) {
            return;
        }
        // It may be an error that has come back, or what was sent twice.
        while (auto came = receive_at_server(Deadline::now())) {
            if (!has_been_sent_twice(came->data)) {
                throw Unexpected{self().expected(),
                                 "at the server " + detail::datagram_text(*came)};
            }
        }
        for (auto* flow : flows) {
            while (auto came = receive_at_client(*flow, Deadline::now())) {
                if (!has_been_sent_twice(came->data)) {
                    throw Unexpected{self().expected(),
                                     "at the client " + detail::datagram_text(*came)};
                }
            }
        }
        if (deadline.passed() && left == Duration::zero()) {
            return;
        }
    }
}

// --- Carry

TEST_TUNNEL_INLINE bool FlowRun::has_been_sent_twice(std::string_view payload) {
    const auto& known = self().state_.said_twice;
    return std::find(known.begin(), known.end(), payload) != known.end();
}

TEST_TUNNEL_INLINE void FlowRun::count_losses(std::size_t count) {
    // Nothing is lost on a loopback interface, but what a buffer that is full has no room for; a
    // tool that changes its socket may miss what comes in between.
    constexpr std::size_t most = 2;
    self().state_.losses += count;
    if (self().state_.losses > most) {
        throw Unexpected{"no datagram is lost where few are under way",
                         fmt::format("{} had to be sent again so far", self().state_.losses)};
    }
}

TEST_TUNNEL_INLINE void FlowRun::forgive_losses() noexcept {
    self().state_.losses = 0;
}

TEST_TUNNEL_INLINE void FlowRun::expect_again(std::string_view payload) {
    self().state_.said_twice.emplace_back(payload);
}

TEST_TUNNEL_INLINE void FlowRun::forget_twice(std::string_view payload) {
    std::erase(self().state_.said_twice, payload);
}

TEST_TUNNEL_INLINE void FlowRun::take_source(Flow& flow, const Endpoint& source) {
    if (!flow.source || flow.source->address != source.address) {
        verify_flow_source(source);
    }
    flow.source = source;
}

TEST_TUNNEL_INLINE Duration FlowRun::patience_for(int sent) {
    if (!test_tunnel::is_idle(::getpid())) { // the system can't tell
        return scaled(self().config().timeouts.io) / 2;
    }
    // Longer than a tool takes to find its target; no longer, since the next one comes then.
    constexpr Duration first = std::chrono::milliseconds{300};
    return scaled(sent == 1 ? first : self().config().timeouts.answer);
}

/// Whether what was said arrives in time (`patience_for`). Only as much of that counts as the tool
/// was seen to be idle: not where it computes, or gets no CPU. An error that comes back ends the
/// wait.
TEST_TUNNEL_INLINE bool FlowRun::arrives(Flow& flow, Party speaker, std::string_view payload,
                                         int sent) {
    constexpr Duration look = std::chrono::milliseconds{20};
    const bool is_up = speaker == Party::client;
    const auto deadline = Deadline::after(self().config().timeouts.io);
    auto left = patience_for(sent);
    while (left > Duration::zero() && !deadline.passed()) {
        const auto came = is_up ? receive_at_server(Deadline::unscaled(look))
                                : receive_at_client(flow, Deadline::unscaled(look));
        if (came && came->data == payload) {
            if (is_up) {
                take_source(flow, came->from);
            }
            return true;
        }
        if (came && !has_been_sent_twice(came->data)) {
            throw Unexpected{fmt::format("{} ({} bytes)", self().expected(), payload.size()),
                             detail::datagram_text(*came)};
        }
        if (!came) {
            left -= detail::is_idle(self().tool()) ? look : Duration::zero();
            const auto errors = is_up ? flow.client.take_errors() : datagram_server().take_errors();
            if (!errors.empty() && sent == 1) {
                return false; // what it was sent to was gone for a moment
            }
        }
    }
    return false;
}

TEST_TUNNEL_INLINE void FlowRun::carry(Flow& flow, Party speaker, std::string_view payload) {
    const bool is_up = speaker == Party::client;
    if (!is_up && !flow.source) {
        throw InvalidConfig{"the server answers on a flow on which it has been told nothing"};
    }
    const auto send = [&] {
        if (is_up) {
            flow.send(payload);
        } else {
            datagram_server().send(payload, *flow.source);
        }
    };
    send();
    if (arrives(flow, speaker, payload, 1)) {
        return;
    }
    expect_again(payload);
    send();
    if (arrives(flow, speaker, payload, 2)) {
        self().note(fmt::format("a datagram from the {} did not arrive before it was sent again",
                                text_of(speaker)));
        count_losses(1);
        return;
    }
    throw TimedOut{
        fmt::format("{}: a datagram of {} bytes that was sent twice did not arrive, though the "
                    "tool had nothing else to do",
                    is_up ? PairRun::up : PairRun::down, payload.size())};
}

} // namespace test_tunnel
