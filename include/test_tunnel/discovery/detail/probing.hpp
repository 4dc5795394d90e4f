#pragma once

// Who can connect to whom, and which of them a run looks at.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/platform.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/config/config.hpp"
#include "test_tunnel/discovery/addresses.hpp"
#include "test_tunnel/discovery/bind.hpp"
#include "test_tunnel/discovery/ports.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/net/socket.hpp"

namespace test_tunnel::detail {

/// How long one connection from this machine to itself may take: they are immediate, but
/// for a firewall that drops packets.
inline constexpr auto probe_timeout = std::chrono::milliseconds{500};

/// Returns whether `client` can connect to `listener`, and both ends see each other as they are.
/// Both ends are closed by a reset, so that no ended connection is left behind.
inline bool can_connect(const Config& config, const Address& client, Socket& listener) {
    try {
        const auto target = listener.local();
        auto near = bind_to(config, {client, 0});
        near.set_timeout(probe_timeout);
        if (!near.try_connect(target)) {
            return false;
        }
        const auto end = Deadline::after(probe_timeout);
        while (!end.passed()) {
            auto far = listener.accept();
            // Anybody may have connected in between: go on until it is ours.
            const bool same = far.peer() == near.local() && far.local() == target &&
                              near.local().address == client;
            far.reset();
            if (same) {
                near.reset();
                return true;
            }
        }
    } catch (const SystemError& error) {
        config.log->debug(fmt::format("{} can't connect: {}", client, error.what()));
    } catch (const TimedOut& error) {
        config.log->debug(fmt::format("{} can't connect: {}", client, error.what()));
    } catch (const PermissionDenied& error) {
        config.log->debug(fmt::format("{} can't connect: {}", client, error.what()));
    }
    return false;
}

/// Returns the clients of `target` among `ports`, at most `limit`.
inline std::vector<Address> find_clients(const Config& config, const AddrPort& target,
                                         const std::vector<AddrPort>& ports, std::size_t limit) {
    std::vector<Address> result;
    std::array<std::optional<Socket>, 2> listeners;
    try {
        for (std::size_t i = 0; i < listeners.size(); ++i) {
            listeners[i] =
                bind_to(config, {target.address, i == 0 ? target.svc_port : target.proxy_port});
            listeners[i]->set_timeout(probe_timeout);
            listeners[i]->listen();
        }
    } catch (const Error& error) {
        config.log->info(fmt::format("{} is left out: {}", target.address, error.what()));
        return result;
    }
    const auto try_client = [&](const Address& client) {
        if (result.size() < limit && can_connect(config, client, *listeners[0]) &&
            can_connect(config, client, *listeners[1])) {
            result.push_back(client);
        }
    };
    bool only_one = true;
    for (const auto& other : ports) {
        if (other.address.family() == target.address.family() && other.address != target.address) {
            only_one = false;
            try_client(other.address);
        }
    }
    if (only_one) {
        try_client(target.address);
    }
    return result;
}

/// Returns `entry` with one client: the first that is none of `avoided`; where there is no such
/// client, the last ones of `avoided` are given up first.
inline AddrPort with_one_client(AddrPort entry, std::vector<Address> avoided) {
    for (;; avoided.pop_back()) {
        const auto chosen =
            std::find_if(entry.clients.begin(), entry.clients.end(), [&](const Address& client) {
                return std::find(avoided.begin(), avoided.end(), client) == avoided.end();
            });
        if (chosen != entry.clients.end()) {
            entry.clients = {Address{*chosen}};
            return entry;
        }
    }
}

/// Returns the first port for `find_ports` to go on with: on those before it a run may still have
/// ended connections (TIME_WAIT).
inline int port_behind(const AddrPort& entry, const Config& config) {
    return entry.proxy_port + 1 - config.offset;
}

/// Finds ports as `find_ports` does; where too few are left up to the last port, from the usual
/// first one.
inline std::vector<AddrPort> find_ports_from(int first_port, const Config& config,
                                             const std::vector<Address>& addresses) {
    try {
        return find_ports(config, addresses, first_port);
    } catch (const PortRangeError&) {
        return find_ports(config, addresses);
    }
}

inline AddrPort with_fresh_ports(const Config& config, const AddrPort& entry) {
    auto found = find_ports_from(port_behind(entry, config), config, {entry.address});
    if (found.empty()) {
        throw NoCombinations{fmt::format("{} can't be bound any more", entry.address)};
    }
    found.front().clients = entry.clients;
    return found.front();
}

/// Returns two free ports at `address`, none of them one of `entry`.
inline AddrPort fresh_ports_at(const Config& config, const AddrPort& entry,
                               const Address& address) {
    auto found = find_ports_from(port_behind(entry, config), config, {address});
    if (found.empty()) {
        throw NoCombinations{fmt::format("{} can't be bound any more", address)};
    }
    return std::move(found.front());
}

/// Returns the addresses of one family that a run looks at, in that order. Link-local ones come
/// last and are for where there is no other: many a tool can't be told a scope, and they reach only
/// each other. Where Linux has fewer than three IPv4 addresses, 127.0.0.2 and 127.0.0.3 are added,
/// since its loopback answers on all of 127.0.0.0/8: with fewer, a tool that takes one address for
/// another would pass.
inline std::vector<Address> addresses_to_try(const std::vector<Address>& addresses, Family family) {
    std::vector<Address> result;
    std::copy_if(addresses.begin(), addresses.end(), std::back_inserter(result),
                 [&](const Address& address) { return address.family() == family; });
    std::stable_partition(result.begin(), result.end(),
                          [](const Address& address) { return !address.is_link_local(); });
#if TEST_TUNNEL_LINUX
    constexpr std::size_t enough = 3;
    const bool has_loopback = std::any_of(
        result.begin(), result.end(), [](const Address& address) { return address.is_loopback(); });
    if (family == Family::ipv4 && has_loopback && result.size() < enough) {
        for (const auto* const text : {"127.0.0.2", "127.0.0.3"}) {
            if (std::find(result.begin(), result.end(), Address::parse(text)) == result.end()) {
                result.push_back(Address::parse(text));
            }
        }
    }
#endif
    return result;
}

} // namespace test_tunnel::detail
