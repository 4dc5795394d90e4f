#pragma once

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

#include "../address.hpp"
#include "../config.hpp"
#include "../detail/platform.hpp"
#include "../detail/text.hpp"
#include "../error.hpp"
#include "../socket.hpp"
#include "addresses.hpp"
#include "ports.hpp"

namespace test_tunnel {

/// One combination: the harness's client connects to the tool at `proxy_listen`, and the tool
/// connects to the harness's server at `svc_listen`.
struct Pair {
    AddrPort proxy_listen;
    AddrPort svc_listen;

    /// "4→6": the family on which the tool listens, and the one on which it connects.
    [[nodiscard]] std::string name() const {
        return fmt::format("{}→{}", proxy_listen.family_id(), svc_listen.family_id());
    }

    /// Who stands where: "client 192.0.2.1 → tool 127.0.0.1:6374, tool 192.0.2.2 → server
    /// 192.0.2.1:6376", with `separator` for the comma. Throws NoCombinations where one has no
    /// client.
    [[nodiscard]] std::string text(std::string_view separator = ", ") const {
        return fmt::format("client {} → tool {}{}tool {} → server {}",
                           proxy_listen.client().address, proxy_listen.listen(), separator,
                           svc_listen.client().address, svc_listen.listen());
    }
};

namespace detail {

/// How long one connection from this machine to itself may take: they are immediate, but
/// for a firewall that drops packets.
inline constexpr auto probe_timeout = std::chrono::milliseconds{500};

/// Whether `client` can connect to `listener`, and both ends see each other as they are. Leaves
/// no lingering connection behind: both ends are closed by a reset.
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

/// The clients of `target` among `ports`, at most `limit`.
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

} // namespace detail

/// No limit: the full matrix of who can connect to whom.
inline constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

/// For each address the others of its family that can connect to it, to both of its ports, found
/// out by connecting and comparing what both ends say of themselves and of each other. An address
/// is its own client only where it is the only one of its family in `ports`; one without any
/// client is left out. Connections are made one after the other; each takes at most half a second.
///
/// With a `limit` the search of a family stops when so many of its addresses have a client,
/// and that of an address's clients when it has `client_limit` (default: as many).
inline std::vector<AddrPort> find_pairs(const Config& config, const std::vector<AddrPort>& ports,
                                        std::size_t limit = no_limit,
                                        std::optional<std::size_t> client_limit = std::nullopt) {
    std::vector<AddrPort> result;
    for (const auto& target : ports) {
        const auto same_family = [&](const AddrPort& other) {
            return other.address.family() == target.address.family();
        };
        if (static_cast<std::size_t>(std::count_if(result.begin(), result.end(), same_family)) >=
            limit) {
            continue;
        }
        auto clients = detail::find_clients(config, target, ports, client_limit.value_or(limit));
        if (clients.empty()) {
            config.log->info(
                fmt::format("{} is left out: nobody can connect to it", target.address));
            continue;
        }
        result.push_back(target);
        result.back().clients = std::move(clients);
    }
    return result;
}

namespace detail {

/// `entry` with one client: the first that is none of `avoided`; where there is no such client, the
/// last ones of `avoided` are given up first.
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

inline AddrPort with_fresh_ports(const Config& config, const AddrPort& entry) {
    auto found = find_ports(config, {entry.address});
    if (found.empty()) {
        throw NoCombinations{fmt::format("{} can't be bound any more", entry.address)};
    }
    found.front().clients = entry.clients;
    return found.front();
}

} // namespace detail

/// Two addresses per family (one, with other ports, where there is only one), one client each, and
/// of these every combination of families: 4→4, 4→6, 6→4, 6→6, or what there is of them. Where
/// there is a choice, the four addresses of a combination differ, so that a tool that takes one for
/// the other is caught.
///
/// Every pair has ports of its own: on those of another one an ended connection may linger for a
/// minute (TIME_WAIT), and the same two endpoints can't be connected again before.
/// Throws NoCombinations where `pairs` has no address with a client, and as `find_ports` does.
inline std::vector<Pair> pick_pairs(const Config& config, const std::vector<AddrPort>& pairs) {
    struct Choice {
        AddrPort proxy_listen;
        AddrPort svc_listen;
    };
    std::vector<Choice> choices;
    for (const auto family : {Family::ipv4, Family::ipv6}) {
        std::vector<AddrPort> usable;
        for (const auto& entry : pairs) {
            if (entry.address.family() == family && !entry.clients.empty()) {
                usable.push_back(entry);
            }
        }
        if (usable.empty()) {
            config.log->warn(fmt::format("no usable IPv{} address: nothing is tested with IPv{}",
                                         family_id(family), family_id(family)));
            continue;
        }
        const auto& proxy = usable.front();
        const auto& svc = usable.size() > 1 ? usable[1] : proxy;
        // Above all the tool's outgoing address must be no other one of the combination's.
        auto svc_listen = detail::with_one_client(svc, {proxy.address});
        auto proxy_listen =
            detail::with_one_client(proxy, {svc_listen.clients.front(), svc.address});
        choices.push_back({std::move(proxy_listen), std::move(svc_listen)});
    }
    std::vector<Pair> result;
    std::set<std::uint16_t> used;
    const auto unused = [&](const AddrPort& entry) {
        return used.insert(entry.svc_port).second ? entry : detail::with_fresh_ports(config, entry);
    };
    for (const auto& from : choices) {
        for (const auto& to : choices) {
            result.push_back({unused(from.proxy_listen), unused(to.svc_listen)});
        }
    }
    if (result.empty()) {
        throw NoCombinations{"no address that another one can connect to: nothing can be tested"};
    }
    return result;
}

namespace detail {

/// The addresses of one family that a run looks at, in that order. Link-local ones come last and
/// are for where there is no other: many a tool can't be told a scope, and they reach only each
/// other. Where Linux has fewer than three IPv4 addresses, 127.0.0.2 and 127.0.0.3 stand beside
/// them, since its loopback answers on all of 127.0.0.0/8: with fewer a tool that takes one address
/// for another would pass.
inline std::vector<Address> candidates(const std::vector<Address>& addresses, Family family) {
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

} // namespace detail

/// All of it for one run: the combinations that `pick_pairs` gives for this machine, with what was
/// found logged at `info`. Looks at no more addresses than it takes to find two of each family.
/// Where packets are dropped it gives up a family after `config.timeouts.connect` or soon after.
/// Throws NoAddresses, NoCombinations, and as `find_ports` does.
inline std::vector<Pair> discover_pairs(const Config& config) {
    constexpr std::ptrdiff_t batch_size = 4;
    constexpr std::size_t wanted = 2;
    // With three clients to choose from, all four addresses of a combination can differ.
    constexpr std::size_t wanted_clients = 3;
    const auto addresses = get_addresses(config);
    std::vector<AddrPort> usable;
    for (const auto family : {Family::ipv4, Family::ipv6}) {
        const auto candidates = detail::candidates(addresses, family);
        const auto deadline = Deadline::after(config.timeouts.connect);
        std::size_t found = 0;
        const auto look_at = [&](const std::vector<Address>& some) {
            for (auto& entry :
                 find_pairs(config, find_ports(config, some), wanted, wanted_clients)) {
                config.log->info(fmt::format("{} can be reached from {}", entry.address,
                                             detail::joined(entry.clients, ", ")));
                usable.push_back(std::move(entry));
                ++found;
            }
        };
        auto begin = candidates.begin();
        while (begin != candidates.end() && found < wanted && !deadline.passed()) {
            if (begin->is_link_local() && found > 0) {
                break; // one address with other ports serves more tools than a scope does
            }
            const auto others = std::find_if(begin, candidates.end(), [&](const Address& address) {
                return address.is_link_local() != begin->is_link_local();
            });
            // Nobody is left for a batch of its own: it would be its own client there.
            const auto end = others - begin <= batch_size + 1 ? others : begin + batch_size;
            look_at({begin, end});
            begin = end;
        }
        // None reaches another, as with a firewall between interfaces: then one that reaches
        // itself.
        for (const auto& address : candidates) {
            if (found == 0 && !deadline.passed()) {
                look_at({address});
            }
        }
        if (found < wanted && deadline.passed()) {
            config.log->warn(
                fmt::format("too many IPv{} addresses that can't be reached: no more "
                            "were tried",
                            family_id(family)));
        }
    }
    auto result = pick_pairs(config, usable);
    config.log->info(fmt::format("{} combinations to test", result.size()));
    return result;
}

} // namespace test_tunnel
