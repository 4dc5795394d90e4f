#pragma once

// What checks say on connections, and what they demand of them.

#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/kernel/processes.hpp"
#include "test_tunnel/net/expect.hpp"
#include "test_tunnel/net/wait.hpp"
#include "test_tunnel/process/detail/settle.hpp"
#include "test_tunnel/process/listening.hpp"
#include "test_tunnel/run/detail/pair_state.hpp"
#include "test_tunnel/run/detail/timed_act.hpp"
#include "test_tunnel/run/detail/trial.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel {

/// Writes one line of text, which is another one each time, and returns it.
TEST_TUNNEL_INLINE std::string PairRun::write_line(Socket& from, Party speaker) {
    auto text = fmt::format("Hello from the {} {}\n", text_of(speaker),
                            hex(pattern(state_.said++).bytes(0, 8)));
    from.write(text);
    return text;
}

TEST_TUNNEL_INLINE void PairRun::say(Socket& from, Socket& to, Party speaker) {
    const auto text = write_line(from, speaker);
    const auto name = speaker == Party::client ? up : down;
    demand_answer(to, name);
    state_.tunnel.expect_read(to, text, name);
}

/// Demands that what has just been written to the tool is passed on by the time that
/// `timeouts.answer` gives it. Only as much of that time counts as the tool was seen to be idle:
/// not where it computes, or gets no CPU.
TEST_TUNNEL_INLINE void PairRun::demand_answer(Socket& reader, std::string_view name) {
    constexpr Duration look = std::chrono::milliseconds{50};
    if (wait_for(reader.event(POLLIN), Deadline::unscaled(look), "an answer") ||
        !test_tunnel::is_idle(::getpid()).has_value()) { // the system can't tell
        return;
    }
    const auto deadline = Deadline::after(config().timeouts.io);
    auto left = scaled(config().timeouts.answer);
    while (left > Duration::zero() && !deadline.passed()) {
        left -= detail::is_idle(tool()) ? look : Duration::zero();
        if (wait_for(reader.event(POLLIN), Deadline::unscaled(look), "an answer")) {
            return;
        }
    }
    if (!deadline.passed()) {
        throw TimedOut{
            fmt::format("{}: nothing of a few bytes for {}, though the tool had nothing "
                        "else to do",
                        name, text_of(scaled(config().timeouts.answer)))};
    }
}

TEST_TUNNEL_INLINE void PairRun::round_trip(Connection& connection) {
    auto& [client, server] = connection;
    step("round trip", "a few bytes go from the client to the server and back", Party::client,
         Party::server);
    say(client, server, Party::client);
    say(server, client, Party::server);
}

TEST_TUNNEL_INLINE void PairRun::sentinel() {
    auto connection = connect();
    round_trip(connection);
    step("no further bytes", "there is nothing on the connection that nobody has written",
         Party::tool, Party::client);
    require_silence({&connection.client, &connection.server});
}

TEST_TUNNEL_INLINE void PairRun::transfer(std::vector<Stream> streams) {
    test_tunnel::transfer(streams, supervisor(),
                          {.patience = config().timeouts.io, .soft_end = soft_end()});
}

TEST_TUNNEL_INLINE void PairRun::require_silence(std::vector<Socket*> sockets, Duration duration) {
    std::vector<SocketEvent> events;
    events.reserve(sockets.size());
    for (const auto* socket : sockets) {
        events.push_back(socket->event(POLLIN));
    }
    if (detail::stays_silent(tool(), events, duration, supervisor().get())) {
        return;
    }
    for (std::size_t i = 0; i < events.size(); ++i) {
        if (events[i].revents != 0) {
            throw Unexpected{expected(), what_came(*sockets[i])};
        }
    }
}

TEST_TUNNEL_INLINE void PairRun::require_no_unasked_connection() {
    if (const auto unasked = take_arrival()) {
        throw Unexpected{
            "the tool connects to the server once for each client",
            fmt::format("a connection from {} that no client has asked for", unasked->peer())};
    }
}

TEST_TUNNEL_INLINE void PairRun::demand_end(Socket& reader, std::string_view name) {
    const auto direction = name == down ? Direction::down : Direction::up;
    if (must_pass_end(direction)) {
        try {
            state_.tunnel.expect_read(reader, {}, name);
        } catch (const TimedOut& error) {
            throw Unexpected{
                fmt::format("{}: the end of the stream", name),
                fmt::format("{}; a tool that does not pass it on has to declare {}", error.what(),
                            wording(trait::passes_eof, direction, false)),
                Cause::timed_out};
        }
        return;
    }
    using namespace std::chrono_literals;
    const bool ended =
        wait_for(reader.event(POLLIN), Deadline::unscaled(wait(1s)), "the end of the stream");
    if (ended) {
        state_.tunnel.expect_read(reader, {}, name);
    }
    state_.habits.learn_end(direction, ended);
    judge(trait::passes_eof, direction, ended);
}

TEST_TUNNEL_INLINE bool PairRun::is_concurrent() {
    using namespace std::chrono_literals;
    using detail::Concurrency;
    auto& habits = state_.habits;
    if (habits.concurrency() != Concurrency::unknown) {
        return habits.concurrency() == Concurrency::several;
    }
    std::optional<Connection> first = connect();
    std::optional<Connection> second; // open until the first one has been tried beside it
    detail::Trial trial{detail::waits_of_trial(config(), 2s, 5s)};
    constexpr int most_rounds = 4;
    for (int round = 0; round < most_rounds && first && !trial.needs_act() &&
                        listens_at(tool(), pair().proxy_listen.listen()).value_or(true);
         ++round) {
        bool is_closed = false;
        second = connect_beside(*first, trial, Until::carries, is_closed);
        if (is_closed) {
            first = std::exchange(second, std::nullopt);
        } else if (!second) { // it is not served, and that without a delay
            break;
        }
    }
    const bool serves_second = trial.needs_act() == false;
    habits.learn_concurrency(serves_second);
    if (first) {
        round_trip(*first);
    }
    if (serves_second) {
        round_trip(*second);
    } else {
        // What the second client has left behind would meet the next one. Not judged: how the tool
        // ends is for other checks to say.
        state_.life.kill();
    }
    return serves_second;
}

/// One connection beside `other`. Where it has not been made when the trial's patience is over, or
/// does not carry what the client says, if that is asked for, `other` is closed, which `is_closed`
/// tells. Nothing where no connection can be made; throws what is wrong with one that was made.
TEST_TUNNEL_INLINE std::optional<Connection> PairRun::connect_beside(Connection& other,
                                                                     detail::Trial& trial,
                                                                     Until until, bool& is_closed) {
    const auto own = tool().supervisor();
    const auto began = Clock::now();
    const auto act = std::make_shared<detail::TimedAct>(own, began + trial.patience(), [&] {
        other.client.close();
        other.server.close();
        is_closed = true;
    });
    std::optional<Connection> result;
    state_.supervisor = act;
    try {
        result = state_.tunnel.connect(*this);
    } catch (const SetupError&) {
        throw;
    } catch (const std::exception&) { // whatever a hook makes of it
        state_.supervisor.reset();
        if (until == Until::connected && !is_closed) {
            throw;
        }
        return std::nullopt;
    }
    state_.supervisor.reset();
    auto& [client, server] = *result;
    if (until == Until::carries) {
        server.supervise(act);
        // It may wait for the other connection's end: no answer is demanded before.
        const auto text = write_line(client, Party::client);
        state_.tunnel.expect_read(server, text, up);
    }
    client.supervise(own);
    server.supervise(own);
    if (is_closed) {
        trial.came_after_act(act->done_at() - began, Clock::now() - act->done_at());
    } else {
        trial.came_by_itself();
    }
    return result;
}

TEST_TUNNEL_INLINE bool PairRun::add_connection(std::vector<Connection>& connections) {
    using namespace std::chrono_literals;
    const auto count = connections.size();
    detail::Trial trial{detail::waits_of_trial(config(), 2s, 5s)};
    constexpr int most_rounds = 4;
    for (int round = 0; round < most_rounds && !trial.needs_act(); ++round) {
        bool is_closed = false;
        auto further = connect_beside(connections.front(), trial, Until::connected, is_closed);
        if (is_closed) {
            connections.erase(connections.begin());
        }
        if (!further) {
            kill_after_check(); // the client has left, but may still be in its queue
            break;
        }
        connections.push_back(*std::move(further));
    }
    if (trial.needs_act() == false) {
        return true;
    }
    serves_at_most(count);
    return false;
}

TEST_TUNNEL_INLINE void PairRun::need_concurrency() {
    const bool concurrent = is_concurrent();
    if (!std::exchange(state_.is_concurrency_judged, true)) {
        judge(trait::concurrent, concurrent);
    }
    if (!concurrent) {
        throw NotApplicable{fmt::format("it serves one connection at a time ({})",
                                        wording(trait::concurrent.name))};
    }
}

} // namespace test_tunnel
