#pragma once

// How one connection through the tool is made, from top to bottom: dial, accept, verify the source;
// then what else there is to try where it can't be made. How it is opened, and what comes first on
// it, is in opening.ipp.

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/discovery/bind.hpp"
#include "test_tunnel/handshakes/detail/reply.hpp"
#include "test_tunnel/net/expect.hpp"
#include "test_tunnel/net/wait.hpp"
#include "test_tunnel/process/detail/settle.hpp"
#include "test_tunnel/process/listening.hpp"
#include "test_tunnel/run/detail/elsewhere.hpp"
#include "test_tunnel/run/detail/ends_soon.hpp"
#include "test_tunnel/run/detail/pair_state.hpp"
#include "test_tunnel/run/detail/reported_source.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel {

// --- Dial

TEST_TUNNEL_INLINE Socket PairRun::connect_client() {
    state_.may_ask_otherwise = true;
    return state_.tunnel.connect_client(*this);
}

TEST_TUNNEL_INLINE Socket PairRun::connect_client_as_usual() {
    const auto looks_after = upstream().supervisor(); // starts the tool where it does not run
    const auto target = pair().proxy_listen.listen();
    step(StepKind::connect, fmt::format("the tool accepts a connection at {}", target),
         Party::client);
    const auto patience = state_.patience.value_or(config().timeouts.connect);
    const auto deadline = Deadline::after(patience);
    const auto began = Clock::now();
    constexpr Duration shortest_pause = std::chrono::microseconds{100};
    constexpr Duration longest_pause = std::chrono::milliseconds{5};
    auto own = pair().proxy_listen.client();
    if (state_.life.has_used_ports()) {
        own.port = 0;
    }
    const detail::PromptTimers prompt;
    detail::Elsewhere elsewhere{target, state_.tunnel.is_told_port()
                                            ? detail::Elsewhere::OtherPorts::may_come_first
                                            : detail::Elsewhere::OtherPorts::are_wrong};
    for (;;) {
        auto client = bind_to(config(), own);
        client.set_timeout(state_.patience.value_or(config().timeouts.io));
        client.supervise(looks_after);
        try {
            if (client.try_connect(target)) {
                client.set_timeout(config().timeouts.io);
                state_.life.count_connection();
                return client;
            }
        } catch (const SystemError& error) {
            const bool was_reset = error.code() == ECONNRESET;
            state_.life.set_was_reset(was_reset);
            if (was_reset) { // it was there, and the tool has ended it already
                state_.life.count_connection();
            }
            throw;
        }
        if (deadline.passed()) {
            const auto other = elsewhere.text();
            if (!other.empty()) {
                state_.journal.hint("it listens somewhere else than it was told to");
            }
            throw TimedOut{fmt::format("every connection was refused for {}{}",
                                       text_of(scaled(patience)),
                                       other.empty() ? "" : "; the tool listens at " + other)};
        }
        if (connections() == 0) { // one that has served some may close its listener
            if (const auto other = elsewhere.look(tool())) {
                config().log->warn(
                    fmt::format("{} {}: the tool is awaited at {} until {} are over; so far it "
                                "listens at {} only",
                                state_.tunnel.slug(), pair().name(), target,
                                text_of(scaled(patience)), *other));
            }
        }
        // No system tells when somebody begins to listen. In proportion to what it has taken so
        // far: a tool that starts fast is noticed as soon, relatively, as a slow one.
        const auto pause =
            std::clamp<Duration>((Clock::now() - began) / 24, shortest_pause, longest_pause);
        test_tunnel::pause(std::min(pause, deadline.remaining()), looks_after.get(),
                           "the tool to listen");
    }
}

// --- Accept

/// Whether the tool's connection to the server comes by `deadline`. Not just a wait for the
/// listener: a tool that gives the client up instead is noticed at once.
TEST_TUNNEL_INLINE bool PairRun::connects_without_a_word(Socket& client, Deadline deadline) {
    if (!state_.granted.empty()) {
        return true;
    }
    const auto* const guard = state_.life.target_guard();
    std::array events{listener().event(POLLIN), client.event(POLLIN),
                      guard != nullptr ? guard->event(POLLIN) : SocketEvent{}};
    if (!wait_for(std::span{events}.first(guard != nullptr ? 3 : 2), deadline,
                  "the tool to connect to the server")) {
        return false;
    }
    if (events[2].revents != 0) {
        upstream().require_nothing_past();
    }
    if (events[0].revents == 0) {
        std::array<char, 256> bytes{};
        const auto count = client.read_some(bytes.data(), bytes.size());
        throw Unexpected{fmt::format("the tool connects to the {} at {}", upstream().name(),
                                     pair().svc_listen.server()),
                         count == 0 ? "it ended the client's connection instead"
                                    : "before it connected, the client was sent " +
                                          bytes_around({bytes.data(), count}, 0)};
    }
    return true;
}

/// Whether it comes within `patience`, whatever the timeout scale. A tool that is still busy then,
/// since it may have got no CPU in that time, has as long again at most until it is idle.
TEST_TUNNEL_INLINE bool PairRun::connects_by_itself(Socket& client, Duration patience) {
    if (connects_without_a_word(client, Deadline::unscaled(patience))) {
        return true;
    }
    if (!has_tool()) {
        return false;
    }
    detail::wait_until_idle(tool(), patience);
    return connects_without_a_word(client, Deadline::now());
}

TEST_TUNNEL_INLINE Socket PairRun::accept(Socket& client) {
    step(StepKind::accept,
         fmt::format("the tool connects to the {} at {}", upstream().name(),
                     pair().svc_listen.server()),
         Party::tool, Party::server);
    const auto patience = state_.patience.value_or(config().timeouts.io);
    if (!connects_without_a_word(client, Deadline::after(patience))) {
        throw TimedOut{
            fmt::format("nothing for {} while waiting for the tool to connect to the server{}",
                        text_of(scaled(patience)),
                        traits().speaks_first == false
                            ? "; one that waits for the client's first word has to declare " +
                                  wording(trait::speaks_first, true)
                            : "")};
    }
    auto server = accept_opened(client);
    state_.life.set_last_connection(server.peer(), server.local());
    return server;
}

/// The tool's connection, on which what comes first has come.
TEST_TUNNEL_INLINE Socket PairRun::accept_opened(Socket& client) {
    if (auto granted = upstream().take_granted()) {
        return *std::move(granted);
    }
    auto server = listener().accept();
    state_.life.count_arrival(server);
    try {
        open_server(server, client.local());
        return server;
    } catch (const detail::CutShort&) {
        // One that learns by a 407 that it needs credentials may bring them on another connection.
        if (!std::holds_alternative<HttpConnectOptions>(state_.upstream) ||
            !std::get<HttpConnectOptions>(state_.upstream).user || !detail::ends_soon(server)) {
            throw;
        }
    }
    const auto patience = state_.patience.value_or(config().timeouts.io);
    if (!connects_without_a_word(client, Deadline::after(patience))) {
        throw TimedOut{
            fmt::format("nothing for {} while waiting for the tool to connect to its "
                        "upstream proxy again, with its credentials",
                        text_of(scaled(patience)))};
    }
    if (auto granted = upstream().take_granted()) {
        return *std::move(granted);
    }
    server = listener().accept();
    state_.life.count_arrival(server);
    open_server(server, client.local());
    return server;
}

TEST_TUNNEL_INLINE std::optional<Socket> PairRun::try_accept() {
    if (auto granted = upstream().take_granted()) {
        return granted;
    }
    auto server = listener().try_accept();
    if (server) {
        state_.life.count_arrival(*server);
        open_server(*server);
    }
    return server;
}

// --- Verify the source

TEST_TUNNEL_INLINE void PairRun::verify_source(const Endpoint& source,
                                               const std::optional<Endpoint>& reported) {
    const auto& [proxy_listen, svc_listen] = pair();
    const auto& assigned = svc_listen.clients.front();
    step(StepKind::source, fmt::format("the tool connects to the server from {}", assigned),
         Party::tool, Party::server);
    if (source.address.family() != assigned.family()) {
        note(
            "it talks to its upstream proxy over the other family of addresses, where it is told "
            "none to connect from",
            trait::binds_source.name);
        return;
    }
    const bool is_judged = state_.tunnel.is_told_source() || traits().binds_source == false;
    if (is_judged && traits().binds_source == true && source.address != assigned) {
        if (source.address == svc_listen.address) {
            state_.journal.hint(
                "it did not bind its outgoing side at all: this is what the system chooses");
        } else if (source.address == proxy_listen.address) {
            state_.journal.hint("it bound its outgoing side to the address on which it listens");
        }
        throw Unexpected{
            expected(),
            fmt::format("a connection from {}; a tool that can't choose has to declare {}", source,
                        wording(trait::binds_source, false))};
    }
    if (is_judged) {
        judge(trait::binds_source, source.address == assigned);
    } else {
        note("nothing tells it from which address to connect, so that it may be any",
             trait::binds_source.name);
    }
    // What it connects from to the target is for its upstream proxy to say.
    if (!reported || state_.has_upstream()) {
        return;
    }
    const auto kind =
        detail::reported_source(*reported, source, svc_listen.listen(), proxy_listen.listen());
    if (!kind) {
        throw Unexpected{fmt::format("a connection from {}, as the handshake reported", *reported),
                         fmt::format("a connection from {}", source)};
    }
    judge(trait::reports_source, *kind);
}

// --- All of it

TEST_TUNNEL_INLINE Connection PairRun::connect_as_usual() {
    set_strays_aside();
    // What comes first may be for another client: then it takes a word to tell them apart.
    const bool is_alone = !has_tool() || state_.life.expected_arrivals() == 0;
    const bool may_ask_otherwise = state_.may_ask_otherwise;
    auto client = connect_client();
    state_.may_ask_otherwise = may_ask_otherwise; // this one does not
    if (connections() == 1) {
        require_own_listener(tool(), pair().proxy_listen.listen());
    }
    try {
        const auto began = Clock::now();
        client.set_timeout(state_.patience.value_or(config().timeouts.io));
        const auto reported = handshake(client);
        client.set_timeout(config().timeouts.io);

        auto& trial = state_.habits.first_word();
        const auto asked = Clock::now();
        state_.life.expect_arrival();
        const bool has_to_speak =
            !is_alone || trial.needs_act() == true ||
            (!trial.needs_act() && !connects_by_itself(client, trial.patience()));
        std::string word;
        if (has_to_speak) {
            word = pattern(state_.said++).bytes(0, 16);
            client.write(word);
        }
        const auto spoken = Clock::now();
        auto server = is_alone ? accept(client) : accept_by_word(client, word);
        const auto arrived = Clock::now();

        verify_source(server.peer(), reported);
        if (is_alone) {
            if (has_to_speak) {
                state_.tunnel.expect_read(server, word, up);
            }
            learn_first_word(has_to_speak, spoken - asked, arrived - spoken);
        }
        // Not what it was waited for in vain.
        state_.habits.learn_time((asked - began) + (arrived - (has_to_speak ? spoken : asked)));
        return {std::move(client), std::move(server)};
    } catch (const SetupError&) {
        throw;
    } catch (const ToolEnded&) {
        throw;
    } catch (...) {
        state_.life.set_was_reset(client.is_reset());
        upstream().require_right_requests(); // which would be why it refuses
        throw;
    }
}

/// A connection has come: by itself, or `after` the client's first word, which was said when it had
/// been `waited` for in vain.
TEST_TUNNEL_INLINE void PairRun::learn_first_word(bool has_spoken, Duration waited,
                                                  Duration after) {
    auto& trial = state_.habits.first_word();
    if (trial.needs_act()) {
        if (has_spoken) {
            trial.came_after_prompt_act(after);
        }
        return;
    }
    if (has_spoken) {
        trial.came_after_act(waited, after);
    } else {
        trial.came_by_itself();
    }
    // As long as it is not known, the declaration stands.
    if (trial.needs_act() || (has_spoken && traits().speaks_first == true)) {
        judge(trait::speaks_first, state_.habits.speaks_first());
    }
}

// --- Where it can't be made at the first attempt

TEST_TUNNEL_INLINE Connection PairRun::connect() {
    auto& life = state_.life;
    const int before = has_tool() ? connections() : 0;
    try {
        auto connection = state_.tunnel.connect(*this);
        if (before > 0 && traits().serves_again == false) {
            judge(trait::serves_again, true);
        }
        return connection;
    } catch (const SetupError&) {
        throw;
    } catch (const std::exception&) { // whatever a hook makes of it
        if (before == 0 && life.may_have_been_too_early()) {
            return connect_when_settled();
        }
        if (before != 1 || !life.ends_well()) {
            throw;
        }
    }
    // It has served just one, and this was not it.
    life.set_connections(before);
    life.end_by_itself();
    return state_.tunnel.connect(*this);
}

/// The tool is started anew: if it was too early, then its first connection now, a moment later, is
/// served.
TEST_TUNNEL_INLINE Connection PairRun::connect_when_settled() {
    state_.habits.learn_to_wait_for_it();
    state_.life.kill();
    auto connection = state_.tunnel.connect(*this);
    note(
        "it resets connections that are made within a moment of its start: it listens before it is "
        "ready");
    return connection;
}

} // namespace test_tunnel
