#pragma once

// Addresses, ports and pairs as the tests of discovery compare them.

#include <unistd.h>
#include <test_tunnel/base/detail/system.hpp>
#include <test_tunnel/base/text.hpp>
#include <test_tunnel/config/config.hpp>
#include <test_tunnel/discovery/bind.hpp>
#include <test_tunnel/discovery/pairs.hpp>
#include <test_tunnel/discovery/ports.hpp>
#include <test_tunnel/net/address.hpp>
#include <test_tunnel/net/socket.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "forked.hpp"

namespace support {

inline std::vector<test_tunnel::Address> parse_all(const std::vector<std::string>& texts) {
    std::vector<test_tunnel::Address> result;
    for (const auto& text : texts) {
        result.push_back(test_tunnel::Address::parse(text));
    }
    return result;
}

inline std::vector<std::string> texts_of(const std::vector<test_tunnel::Address>& addresses) {
    std::vector<std::string> result;
    for (const auto& address : addresses) {
        result.push_back(address.text());
    }
    return result;
}

inline std::vector<test_tunnel::Address> addresses_of(
    const std::vector<test_tunnel::AddrPort>& entries) {
    std::vector<test_tunnel::Address> result;
    for (const auto& entry : entries) {
        result.push_back(entry.address);
    }
    return result;
}

inline std::vector<int> ports_of(const std::vector<test_tunnel::AddrPort>& entries) {
    std::vector<int> result;
    for (const auto& entry : entries) {
        result.push_back(entry.svc_port);
        result.push_back(entry.proxy_port);
    }
    return result;
}

inline std::vector<int> ports_of(const std::vector<test_tunnel::Pair>& pairs) {
    std::vector<int> result;
    for (const auto& pair : pairs) {
        const auto some = ports_of({pair.proxy_listen, pair.svc_listen});
        result.insert(result.end(), some.begin(), some.end());
    }
    return result;
}

template <typename Value>
bool all_different(const std::vector<Value>& values) {
    return std::set<Value>{values.begin(), values.end()}.size() == values.size();
}

inline bool contains(const std::vector<test_tunnel::Address>& addresses,
                     const test_tunnel::Address& address) {
    return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
}

inline bool contains(const std::vector<int>& ports, int port) {
    return std::find(ports.begin(), ports.end(), port) != ports.end();
}

/// All TCP sockets of this network that are listening, connected or lingering, as the kernel lists
/// them; those that are only bound are in no list.
inline std::string tcp_sockets() {
    std::string result;
    for (const auto* const path : {"/proc/net/tcp", "/proc/net/tcp6"}) {
        std::ifstream file{path};
        std::string line;
        std::getline(file, line);
        while (std::getline(file, line)) {
            result += line + '\n';
        }
    }
    return result;
}

inline test_tunnel::Socket listen_on(const test_tunnel::Config& config,
                                     const test_tunnel::Endpoint& endpoint) {
    auto socket = test_tunnel::bind_to(config, endpoint);
    socket.listen();
    return socket;
}

/// All ports that so many processes find at once, each by `find`, and keep until all have found
/// theirs.
template <typename Find>
std::vector<int> ports_found_at_once(std::size_t processes, Find find) {
    Pipe start;
    std::vector<Forked> all;
    for (std::size_t i = 0; i < processes; ++i) {
        all.emplace_back([&] {
            start.write_end.reset();
            char none = 0;
            // Returns when the last one that could write, the test, has closed its end.
            test_tunnel::detail::retry_eintr(
                [&] { return ::read(start.read_end.get(), &none, 1); });
            // Kept until the process is killed.
            static const auto found = find();
            return test_tunnel::joined(ports_of(found), " ");
        });
    }
    start.write_end.reset();
    std::vector<int> ports;
    for (auto& process : all) {
        const auto text = process.text();
        INFO(text);
        std::istringstream numbers{text};
        std::copy(std::istream_iterator<int>{numbers}, {}, std::back_inserter(ports));
    }
    return ports;
}

} // namespace support
