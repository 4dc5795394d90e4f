#pragma once

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/file_io.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/private_network/detail/hosts_file.hpp"

namespace test_tunnel {

namespace detail {

/// Returns whether the system's resolver knows the name, by this address alone.
inline bool resolves_to(const std::string& name, const Address& address) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    if (::getaddrinfo(name.c_str(), nullptr, &hints, &list) != 0) {
        return false;
    }
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner{list, ::freeaddrinfo};
    for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
        if (Address::from_sockaddr(*entry->ai_addr) != address) {
            return false;
        }
    }
    return list != nullptr;
}

/// Returns the names that /etc/hosts has for an address and for good, those of a private network
/// first.
inline std::vector<std::string> names_to_try(const Address& address) {
    auto names = names_in_hosts(read_file(hosts_path).value_or(""), address);
    std::erase_if(names, [](const auto& name) { return name.ends_with(moving_end); });
    std::stable_partition(names.begin(), names.end(),
                          [](const auto& name) { return name.ends_with(names_end); });
    return names;
}

} // namespace detail

/// Returns the names by which a tool can be asked for an address of this machine: those of
/// /etc/hosts for which the system's resolver has this address and no other, of either family, so
/// that it does not matter which family the tool would prefer. In a private network
/// (`enter_private_network`) that could mount a hosts file of its own, each address has three: one
/// like "ip4-1.test-tunnel.test", one of a single byte, and one of 253 bytes, which is the longest
/// that DNS allows. On the host's network it is "localhost" at most, and often none: where
/// "localhost" is both 127.0.0.1 and ::1, it is neither's.
///
/// Does not throw, and blocks for as long as the system's resolver does, which asks no server for a
/// name of /etc/hosts unless /etc/nsswitch.conf has told it to. A tool in a chroot of its own does
/// not see the system's /etc/hosts, unless it resolves names before.
inline std::vector<std::string> names_of(const Address& address) {
    std::vector<std::string> result;
    for (auto& name : detail::names_to_try(address)) {
        if (detail::resolves_to(name, address)) {
            result.push_back(std::move(name));
        }
    }
    return result;
}

/// Returns the first of `names_of`, which has a usual length; nothing where there is none.
inline std::optional<std::string> host_name_of(const Address& address) {
    for (auto& name : detail::names_to_try(address)) {
        if (detail::resolves_to(name, address)) {
            return std::move(name);
        }
    }
    return std::nullopt;
}

} // namespace test_tunnel
