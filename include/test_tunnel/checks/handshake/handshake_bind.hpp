#pragma once

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/checks/detail/after_refusal.hpp"
#include "test_tunnel/checks/detail/handshake_client.hpp"
#include "test_tunnel/checks/detail/odd_kinds.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/discovery/addresses.hpp"
#include "test_tunnel/discovery/bind.hpp"
#include "test_tunnel/discovery/detail/probing.hpp"
#include "test_tunnel/handshakes/socks5.hpp"
#include "test_tunnel/handshakes/socks5_bind.hpp"
#include "test_tunnel/kernel/tcp_sockets.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// A client that has asked to be called.
struct Callee {
    Socket client;
    /// Who shall call; not connected yet.
    Socket peer;
    /// Where the tool listens for the peer.
    Endpoint where;
};

/// Returns a socket that can connect from `address`, and nowhere yet.
inline Socket caller_from(PairRun& run, const Address& address) {
    auto result = bind_to(run.config(), {address, 0});
    result.supervise(run.supervisor());
    return result;
}

/// Has a client ask to be called from the target's address.
inline Callee ask_to_be_called(PairRun& run, const Socks5Options& options) {
    auto client = run.open_client();
    auto peer = caller_from(run, run.pair().svc_listen.address);
    run.step("bind", "the first reply to BIND tells where the tool listens for the peer",
             Party::client, Party::tool);
    const auto where = socks5_bind(client, peer.local(), options);
    return {std::move(client), std::move(peer), where};
}

/// Returns whether a connection to `where` from `address` is taken, and not closed at once, nor
/// soon.
inline bool is_taken(PairRun& run, const Address& address, const Endpoint& where) {
    using namespace std::chrono_literals;
    auto caller = caller_from(run, address);
    caller.set_timeout(test_tunnel::detail::probe_timeout);
    try {
        if (!caller.try_connect(where)) {
            return false;
        }
        if (!run.wait_for(caller.event(POLLIN), Deadline::unscaled(run.wait(2s)),
                          "the end of a connection that nobody has asked for")) {
            return true;
        }
        char byte = 0;
        return caller.read_some(&byte, 1) > 0;
    } catch (const TimedOut&) { // there is no way from there
        return false;
    } catch (const SystemError& error) {
        if (test_tunnel::detail::is_own_fault(error.code())) {
            throw;
        }
        return false;
    }
}

/// Another address than the target's, from which one can connect to where the tool listens for the
/// target's.
inline std::optional<Address> address_of_stranger(PairRun& run) {
    const auto& target = run.pair().svc_listen.address;
    for (const auto& each : get_addresses(run.config())) {
        if (each.family() == target.family() && each != target) {
            return each;
        }
    }
    return std::nullopt;
}

/// Has somebody call a client who was not asked for, from another address: the client must not be
/// told that its peer has called. It may be told that somebody was refused, which ends its request.
inline void call_as_stranger(PairRun& run, const Socks5Options& options) {
    const auto stranger = address_of_stranger(run);
    if (!stranger) {
        return;
    }
    auto callee = ask_to_be_called(run, options);
    run.step(
        "stranger",
        fmt::format("nobody but {} is let through to the client", run.pair().svc_listen.address),
        Party::server, Party::tool);
    static_cast<void>(is_taken(run, *stranger, callee.where)); // it may be, and be left alone
    if (!run.wait_for(callee.client.event(POLLIN), Deadline::now(), "what the client is told")) {
        return;
    }
    HandshakeClient client{callee.client};
    std::optional<Endpoint> who;
    const auto told =
        attempt(client, [&](HandshakeClient& each) { who = socks5_await_peer(each); });
    if (!told.is_refused()) {
        throw Unexpected{
            run.expected(),
            who ? fmt::format("the client is told that {} has called", *who) : told.text};
    }
}

/// Demands that nobody can call any more, in time.
inline void require_no_listener(PairRun& run, const Endpoint& where, std::string_view when) {
    using namespace std::chrono_literals;
    run.step("end of bind", fmt::format("nobody can connect to {} {}", where, when), Party::server,
             Party::tool);
    // What ends it is an event at one of its sockets, to which tools respond in milliseconds.
    const auto deadline = Deadline::after(5s);
    while (tcp_listener(where)) {
        if (deadline.passed()) {
            throw Unexpected{run.expected(), "it listens there still", Cause::timed_out};
        }
        run.pause(10ms, "the tool to listen no more");
    }
    if (is_taken(run, run.pair().svc_listen.address, where)) { // where no table of the system tells
        throw Unexpected{run.expected(), "a connection was taken"};
    }
}

/// Has clients be called by a peer (RFC 1928 §4).
inline void be_called(PairRun& run) {
    const auto protocol = need_protocol(run);
    const auto* socks5 = std::get_if<Socks5Options>(&protocol);
    if (socks5 == nullptr || run.traits().serves_bind != true) {
        throw NotApplicable{fmt::format("it is not declared to let clients be called ({})",
                                        run.wording(trait::serves_bind, true))};
    }
    call_as_stranger(run, *socks5);
    auto [client, peer, where] = ask_to_be_called(run, *socks5);
    run.step("call", fmt::format("the peer can connect to {}", where), Party::server, Party::tool);
    if (!peer.try_connect(where)) {
        throw Unexpected{run.expected(), "it is refused"};
    }
    run.step("second reply",
             fmt::format("the second reply to BIND tells that {} has connected", peer.local()),
             Party::tool, Party::client);
    const auto who = socks5_await_peer(client);
    if (who.address.packed() != peer.local().address.packed() || who.port != peer.local().port) {
        throw Unexpected{run.expected(), fmt::format("it tells {}", who)};
    }
    run.say(peer, client, Party::server);
    run.say(client, peer, Party::client);
    require_no_listener(run, where, "when the peer has");
    run.say(client, peer, Party::client);
    peer.close();
    run.demand_end(client, run.down);
    client.close();
    auto left = ask_to_be_called(run, *socks5);
    left.client.close();
    require_no_listener(run, left.where, "when the client has gone");
    run.require_no_unasked_connection();
    run.sentinel();
}

inline constexpr Check handshake_bind{
    .id = "handshake.bind",
    .title = "a client that has asked for it is called by its peer, and by nobody else",
    .trait = trait::serves_bind.name,
    .run = be_called};

} // namespace test_tunnel::check
