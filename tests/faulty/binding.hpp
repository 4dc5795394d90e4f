// SOCKS5's BIND, right or wrong: a peer calls the client.

#pragma once

#include <poll.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>

#include "asked_target.hpp"
#include "behaviours.hpp"
#include "handshakes.hpp"
#include "relay.hpp"
#include "sockets.hpp"

/// Waits for a connection from the peer that the client has asked for; nothing: the client has
/// gone.
inline Descriptor accept_peer(const Descriptor& client, const Descriptor& listener) {
    for (;;) {
        std::array<pollfd, 2> states{pollfd{listener.get(), POLLIN, 0},
                                     pollfd{client.get(), POLLIN, 0}};
        ::poll(states.data(), is("bind-outlives-client") ? 1 : states.size(), -1);
        if (states[1].revents != 0) {
            return {};
        }
        Descriptor peer{::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)};
        if (peer && (is("bind-lets-anybody-call") ||
                     peer_endpoint(peer.get()).packed() == asked_target->packed())) {
            return peer;
        }
        if (is("bind-ends-by-stranger")) {
            return {};
        }
    }
}

/// Lets a peer call the client, who has asked for it, at the address from which it connects
/// onwards.
inline std::unique_ptr<Relay> let_be_called(const Handshake& handshake, Descriptor client,
                                            Endpoint source) {
    source.set_port(0);
    auto listener = listen_at(source);
    const auto where = local_endpoint(listener.get());
    auto told = where;
    if (is("bind-tells-wrong-place")) {
        told.set_port(static_cast<std::uint16_t>(where.port() - 1));
    }
    if (is("bind-tells-no-place")) {
        told = any_address(where.family(), where.port());
    }
    write_all(client.get(), handshake.reply(Verdict::connected, told));
    auto peer = accept_peer(client, listener);
    if (!peer) {
        if (is("bind-ends-by-stranger") && !is_readable(client.get(), 0)) {
            write_all(client.get(), handshake.reply(Verdict::not_allowed, {}));
        }
        return nullptr;
    }
    const auto who = peer_endpoint(peer.get());
    if (!is("bind-replies-once")) {
        write_all(client.get(),
                  handshake.reply(Verdict::connected, is("bind-tells-own-address") ? where : who));
    }
    if (is("bind-listens-on")) {
        static_cast<void>(::dup(listener.get()));
    }
    return std::make_unique<Relay>(std::move(client), std::move(peer));
}
