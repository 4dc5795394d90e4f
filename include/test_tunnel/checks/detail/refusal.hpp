#pragma once

// A target at which nobody listens, and how a client learns of it.

#include <cerrno>
#include <chrono>
#include <exception>
#include <optional>
#include <string_view>

#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/config/traits.hpp"
#include "test_tunnel/discovery/bind.hpp"
#include "test_tunnel/discovery/detail/probing.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// How a client has learnt that nobody listens at the target.
struct Refusal {
    Refuses how{};
    /// Whether the tool had reported success before, in its handshake.
    bool after_success = false;
};

/// Waits until the connection of a client has ended which was told nothing in its handshake, or
/// `success`.
inline Refusal await_refusal_after(PairRun& run, Socket& client, std::string_view why, bool success,
                                   Deadline deadline) {
    using namespace std::chrono_literals;
    run.step(
        "refusal",
        fmt::format("the tool ends the client's connection, cleanly or by a reset, since {}", why),
        Party::tool, Party::client);
    auto ending = await_ending(run, client, Deadline::unscaled(run.wait(3s)));
    if (!ending && run.speaks_first()) {
        // Perhaps it connects only now. Not done before: it would turn an end into a reset.
        try {
            client.write("Is anybody there?\n");
        } catch (const SystemError&) {
            return {Refuses::by_reset, success};
        }
    }
    if (!ending) {
        ending = await_ending(run, client, deadline);
    }
    if (!ending) {
        throw Unexpected{run.expected(),
                         fmt::format("the client is left waiting: {}nothing came for {}",
                                     success ? "the handshake reported success, then " : "",
                                     text_of(scaled(run.config().timeouts.io))),
                         Cause::timed_out};
    }
    return {*ending == Ending::reset ? Refuses::by_reset : Refuses::by_end, success};
}

/// Connects a client to the tool, and waits until the client has learnt that it won't be connected:
/// `why` says for what reason, for texts. Throws Unexpected where it is left waiting.
inline Refusal await_refusal(PairRun& run, std::string_view why) {
    const auto patience = run.config().timeouts.io;
    auto client = Socket{run.pair().proxy_listen.address.family()};
    try {
        client = run.connect_client();
        run.expect_arrival(); // it may try again, and again
    } catch (const SystemError& error) {
        if (error.code() != ECONNRESET) {
            throw;
        }
        return {Refuses::by_reset}; // so soon that it is connect(2) that tells
    }
    const auto deadline = Deadline::after(patience);
    try {
        run.handshake(client);
    } catch (const SetupError&) {
        throw;
    } catch (const ToolEnded&) {
        throw;
    } catch (const std::exception& error) {
        if (deadline.passed()) { // whatever the hook has made of a TimedOut
            throw Unexpected{"the tool refuses in the handshake, or ends the client's connection",
                             fmt::format("the client is left waiting: {}", error.what()),
                             Cause::timed_out};
        }
        return {Refuses::in_handshake};
    }
    return await_refusal_after(run, client, why, client.has_received().value_or(false), deadline);
}

/// Connects a client, and waits until it has learnt that nobody listens at the target.
inline Refusal await_refusal(PairRun& run) {
    return await_refusal(run, fmt::format("nobody listens at {}", run.pair().svc_listen.server()));
}

/// Replaces the listener by a socket that is bound to `endpoint` and does not listen.
inline void stop_listening(PairRun& run, Socket& listener, const Endpoint& endpoint) {
    const auto deadline = Deadline::after(run.config().timeouts.start);
    listener.close();
    for (;;) {
        try {
            listener = bind_to(run.config(), endpoint);
            listener.supervise(run.supervisor());
            return;
        } catch (const SystemError& error) {
            if (error.code() != EADDRINUSE || deadline.passed()) {
                throw;
            }
        }
        // A process that was forked off lately may not yet have closed its copy of the listener.
        constexpr auto pause = std::chrono::milliseconds{1};
        run.pause(pause, "the server to stop listening");
    }
}

/// Returns whether the system refuses a connection to `target` from where the tool connects: not
/// every Linux lets the refusal from a global IPv6 address through to ::1.
inline bool is_refused(PairRun& run, const Endpoint& target) {
    const auto& told = run.pair().svc_listen.clients.front();
    // An upstream proxy may be of another family than what it is asked for.
    const auto& source = told.family() == target.address.family() ? told : target.address;
    auto probe = bind_to(run.config(), {source, 0});
    probe.set_timeout(detail::probe_timeout);
    try {
        return !probe.try_connect(target);
    } catch (const TimedOut&) {
        return false;
    } catch (const SystemError&) { // no route: the machine's fault, not the tool's
        return false;
    }
}

inline bool is_refused(PairRun& run) {
    return is_refused(run, run.pair().svc_listen.server());
}

/// Has nobody listen at the target: the server's listener is replaced by a socket that is bound
/// there, so that nobody else can listen. `listener().listen()` ends that. Throws NotApplicable
/// where the machine lets no refusal through.
inline void close_target(PairRun& run) {
    auto& listener = run.listener(); // starts the tool where it does not run
    const auto target = run.pair().svc_listen.server();
    run.step("closed target",
             fmt::format("the server can be bound to {} without listening", target), Party::server,
             Party::server);
    stop_listening(run, listener, target);
    if (!is_refused(run)) {
        listener.listen();
        throw NotApplicable{fmt::format("on this machine, nobody at {} learns that {} is closed",
                                        run.pair().svc_listen.clients.front(), target)};
    }
}

} // namespace test_tunnel::check
