#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/escape.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/discovery/detail/probing.hpp"
#include "test_tunnel/discovery/pairs.hpp"

namespace test_tunnel {

TEST_TUNNEL_INLINE std::string Pair::name() const {
    return fmt::format("{}→{}", proxy_listen.family_id(), svc_listen.family_id());
}

TEST_TUNNEL_INLINE std::string Pair::text(std::string_view separator) const {
    const auto upstream =
        svc_listen.upstream ? fmt::format("upstream {} → ", *svc_listen.upstream) : "";
    return fmt::format("client {} → tool {}{}tool {} → {}server {}", proxy_listen.client().address,
                       proxy_listen.listen(), separator, svc_listen.client().address, upstream,
                       svc_listen.listen());
}

TEST_TUNNEL_INLINE std::vector<AddrPort> find_pairs(const Config& config,
                                                    const std::vector<AddrPort>& ports,
                                                    std::size_t limit,
                                                    std::optional<std::size_t> client_limit) {
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

TEST_TUNNEL_INLINE std::vector<Pair> pick_pairs(const Config& config,
                                                const std::vector<AddrPort>& pairs) {
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

TEST_TUNNEL_INLINE std::string parse_pair_name(std::string_view text) {
    constexpr std::array<std::string_view, 4> known{"4→4", "4→6", "6→4", "6→6"};
    std::string name{text};
    if (const auto dash = name.find('-'); dash != std::string::npos) {
        name.replace(dash, 1, "→");
    }
    if (std::find(known.begin(), known.end(), name) == known.end()) {
        throw InvalidConfig{
            fmt::format("'{}' is no combination of address families; there are: "
                        "{}, and 4-6 stands for 4→6",
                        detail::escape_controls(text), joined(known, ", "))};
    }
    return name;
}

namespace detail {

/// Those of `all` that `config.pairs` names; all, where that is empty. Throws PairsMissing where
/// this machine lacks one of them.
inline std::vector<Pair> select_pairs(const Config& config, const std::vector<Pair>& all) {
    std::set<std::string> missing;
    for (const auto& name : config.pairs) {
        missing.insert(parse_pair_name(name));
    }
    std::vector<Pair> result;
    for (const auto& pair : all) {
        if (config.pairs.empty() || missing.erase(pair.name()) > 0) {
            result.push_back(pair);
        }
    }
    if (!missing.empty()) {
        throw PairsMissing{fmt::format("this machine has no addresses for {}: nothing is tested",
                                       joined(missing, ", "))};
    }
    return result;
}

} // namespace detail

TEST_TUNNEL_INLINE std::vector<Pair> discover_pairs(const Config& config) {
    constexpr std::ptrdiff_t batch_size = 4;
    constexpr std::size_t wanted = 2;
    // With three clients to choose from, all four addresses of a combination can differ.
    constexpr std::size_t wanted_clients = 3;
    const auto addresses = get_addresses(config);
    std::vector<AddrPort> usable;
    int first_port = default_first_port;
    for (const auto family : {Family::ipv4, Family::ipv6}) {
        const auto candidates = detail::addresses_to_try(addresses, family);
        const auto deadline = Deadline::after(config.timeouts.connect);
        std::size_t found = 0;
        const auto look_at = [&](const std::vector<Address>& some) {
            const auto ports = detail::find_ports_from(first_port, config, some);
            first_port = ports.empty() ? first_port : detail::port_behind(ports.back(), config);
            for (auto& entry : find_pairs(config, ports, wanted, wanted_clients)) {
                config.log->info(fmt::format("{} can be reached from {}", entry.address,
                                             joined(entry.clients, ", ")));
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
    auto result = detail::select_pairs(config, pick_pairs(config, usable));
    config.log->info(
        fmt::format("{} combination{} to test", result.size(), result.size() == 1 ? "" : "s"));
    return result;
}

} // namespace test_tunnel
