#pragma once

// How datagrams are carried on a flow: how they are received, and waited for, and what becomes of
// those that do not come.

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/kernel/processes.hpp"
#include "test_tunnel/net/wait.hpp"
#include "test_tunnel/process/detail/settle.hpp"
#include "test_tunnel/run/detail/pair_state.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel {

namespace detail {

/// "a datagram of 5 bytes from 192.0.2.1:80", and its bytes.
inline std::string datagram_text(const Datagram& datagram) {
    return fmt::format("a datagram from {}: {}", datagram.from, bytes_around(datagram.data, 0));
}

} // namespace detail

// --- Receive

TEST_TUNNEL_INLINE std::optional<Datagram> FlowRun::receive_at_server(Deadline deadline) {
    auto result = datagram_server().receive(deadline);
    if (!result) {
        return std::nullopt;
    }
    result->told = self().state_.tunnel.open_datagram(result->data);
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

// --- Wait

TEST_TUNNEL_INLINE IdleWait FlowRun::begin_wait(Duration patience) {
    return {patience, Deadline::after(self().config().timeouts.io)};
}

TEST_TUNNEL_INLINE void FlowRun::count_silence(IdleWait& wait, Duration duration) {
    const bool rests = self().traits().busy_polls != true && !self().state_.life.never_rests();
    if (!rests || detail::is_idle(self().tool())) {
        wait.left -= duration;
    } else if (wait.deadline.passed() && wait.left == wait.patience) {
        self().state_.life.count_restless();
    }
}

/// Receives at the client of a flow or, without one, at the server.
TEST_TUNNEL_INLINE std::optional<Datagram> FlowRun::receive(Flow* at, IdleWait& wait) {
    constexpr Duration look = std::chrono::milliseconds{5};
    while (!wait.is_over()) {
        const auto moment = Deadline::unscaled(std::min(look, wait.left));
        auto came = at == nullptr ? receive_at_server(moment) : receive_at_client(*at, moment);
        if (came) {
            return came;
        }
        count_silence(wait, look);
    }
    return std::nullopt;
}

TEST_TUNNEL_INLINE std::optional<Datagram> FlowRun::receive_at_server(IdleWait& wait) {
    return receive(nullptr, wait);
}

TEST_TUNNEL_INLINE std::optional<Datagram> FlowRun::receive_at_client(Flow& flow, IdleWait& wait) {
    return receive(&flow, wait);
}

TEST_TUNNEL_INLINE Duration FlowRun::patience_of_at_least(Duration usual) {
    const auto late =
        std::min(2 * self().state_.slowest_datagram, scaled(self().config().timeouts.answer));
    return std::max(usual, late);
}

TEST_TUNNEL_INLINE Duration FlowRun::patience_for(int sent) {
    if (!test_tunnel::is_idle(::getpid())) { // the system can't tell
        return scaled(self().config().timeouts.io) / 2;
    }
    // Longer than most tools take to find their target; no longer, since the next one comes then.
    constexpr Duration first = std::chrono::milliseconds{300};
    return sent == 1 ? patience_of_at_least(scaled(first))
                     : scaled(self().config().timeouts.answer);
}

TEST_TUNNEL_INLINE Duration FlowRun::patience_for_copy(Duration delay) {
    const auto patience =
        std::max(patience_for(1), std::min(2 * delay, scaled(self().config().timeouts.answer)));
    // The flow must not be forgotten meanwhile.
    const auto limit = self().traits().flow_timeout;
    return limit ? std::min<Duration>(patience, *limit / 4) : patience;
}

TEST_TUNNEL_INLINE void FlowRun::remember_delay(Duration delay) {
    auto& slowest = self().state_.slowest_datagram;
    slowest = std::max(slowest, delay);
}

TEST_TUNNEL_INLINE void FlowRun::note_delay() {
    self().note(
        "a datagram arrived late, after it had been sent again, though the tool had "
        "nothing else to do");
}

TEST_TUNNEL_INLINE void FlowRun::require_no_datagram(const std::vector<Flow*>& flows,
                                                     Duration duration) {
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

TEST_TUNNEL_INLINE void FlowRun::take_source(Flow& flow, const Datagram& came) {
    if (!flow.source || flow.source->address != came.from.address) {
        verify_flow_source(came.from);
    }
    flow.source = came.from;
    const auto client = flow.client.local();
    // Without their scopes, which no protocol carries.
    if (came.told && (came.told->address.packed() != client.address.packed() ||
                      came.told->port != client.port)) {
        throw Unexpected{fmt::format("the tool tells the server that its client is {}", client),
                         fmt::format("it says {}", *came.told)};
    }
}

/// Whether an error has come back of what was sent last: what it was sent to is gone.
TEST_TUNNEL_INLINE bool FlowRun::has_error(Flow& flow, Party speaker) {
    return speaker == Party::client
               ? flow.client.take_error_of(flow.relay).has_value()
               : datagram_server().take_error_of(flow.source.value()).has_value();
}

/// Whether what was said arrives before the wait is over.
TEST_TUNNEL_INLINE bool FlowRun::arrives(Flow& flow, Party speaker, std::string_view payload,
                                         IdleWait& wait, OnError on_error) {
    constexpr Duration look = std::chrono::milliseconds{20};
    const bool is_up = speaker == Party::client;
    while (!wait.is_over()) {
        // In slices, since an error may come back in between.
        IdleWait slice{std::min(look, wait.left), wait.deadline};
        const auto came = receive(is_up ? nullptr : &flow, slice);
        wait.left -= slice.waited();
        if (came && came->data == payload) {
            if (is_up) {
                take_source(flow, *came);
            }
            return true;
        }
        if (came && !has_been_sent_twice(came->data)) {
            throw Unexpected{fmt::format("{} ({} bytes)", self().expected(), payload.size()),
                             detail::datagram_text(*came)};
        }
        if (!came && on_error == OnError::give_up && has_error(flow, speaker)) {
            return false; // what it was sent to was gone for a moment
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
    static_cast<void>(has_error(flow, speaker)); // of an earlier one
    send();
    auto first = begin_wait(patience_for(1));
    if (arrives(flow, speaker, payload, first, OnError::give_up)) {
        remember_delay(first.waited());
        return;
    }
    expect_again(payload);
    send();
    auto second = begin_wait(patience_for(2));
    if (arrives(flow, speaker, payload, second, OnError::wait_on)) {
        const auto delay = first.waited() + second.waited();
        // Where the other one comes, too, none was lost.
        auto copy = begin_wait(patience_for_copy(delay));
        if (arrives(flow, speaker, payload, copy, OnError::wait_on)) {
            remember_delay(delay);
            note_delay();
            return;
        }
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
