#pragma once

// Sockets that listen, and where.

#include <test_tunnel/net/address.hpp>
#include <test_tunnel/net/socket.hpp>

#include <cstdint>

namespace support {

inline test_tunnel::Endpoint at(const char* address, std::uint16_t port) {
    return {test_tunnel::Address::parse(address), port};
}

inline test_tunnel::Socket listener(const char* address) {
    const auto any_port = at(address, 0);
    test_tunnel::Socket result{any_port.address.family()};
    result.bind(any_port);
    result.listen();
    return result;
}

} // namespace support
