#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/discovery/detail/port_lock.hpp"
#include "test_tunnel/discovery/detail/port_search.hpp"
#include "test_tunnel/discovery/ports.hpp"

namespace test_tunnel {

TEST_TUNNEL_INLINE PortReservation::PortReservation(std::vector<detail::PortLock> locks)
    : locks_{std::make_shared<const std::vector<detail::PortLock>>(std::move(locks))} {}

TEST_TUNNEL_INLINE Endpoint AddrPort::client() const {
    if (clients.empty()) {
        throw NoCombinations{fmt::format("{} has no client address", address)};
    }
    return {clients.front(), proxy_port};
}

TEST_TUNNEL_INLINE std::vector<AddrPort> find_ports(const Config& config,
                                                    const std::vector<Address>& addresses,
                                                    int first_port) {
    detail::PortSearch search{first_port, config.offset};
    std::vector<AddrPort> result;
    for (const auto& address : addresses) {
        const auto svc_port = search.take(address);
        const auto proxy_port = svc_port ? search.take(address) : std::nullopt;
        if (!proxy_port) {
            config.log->info(fmt::format("{} is left out: nothing can be bound there", address));
            continue;
        }
        result.push_back({address, *svc_port, *proxy_port, {}, {}});
    }
    const auto reservation = std::move(search).reservation();
    for (auto& entry : result) {
        entry.reservation = reservation;
    }
    return result;
}

} // namespace test_tunnel
