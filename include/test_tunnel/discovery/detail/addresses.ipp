#pragma once

#include <ifaddrs.h>
#include <net/if.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/discovery/addresses.hpp"

namespace test_tunnel {

TEST_TUNNEL_INLINE std::vector<Address> get_addresses(const Config& config) {
    ifaddrs* list = nullptr;
    detail::checked(::getifaddrs(&list), "getifaddrs");
    const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner{list, ::freeifaddrs};

    std::vector<Address> result;
    for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
        // An interface without an address of this kind has a null pointer there.
        if (entry->ifa_addr == nullptr || (entry->ifa_flags & IFF_UP) == 0) {
            continue;
        }
        const int family = entry->ifa_addr->sa_family;
        if (family == AF_INET || family == AF_INET6) {
            result.push_back(Address::from_sockaddr(*entry->ifa_addr));
        }
    }
    std::sort(result.begin(), result.end());
    result.erase(std::unique(result.begin(), result.end()), result.end());
    if (result.empty()) {
        throw NoAddresses{"no interface that is up has an IPv4 or IPv6 address"};
    }
    config.log->debug(fmt::format("{} addresses, from {} to {}", result.size(),
                                  result.front().text(), result.back().text()));
    return result;
}

} // namespace test_tunnel
