// The header that SOCKS5 puts before each datagram (RFC 1928 §7), right or wrong.

#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "behaviours.hpp"
#include "names.hpp"
#include "sockets.hpp"

inline constexpr char header_type_ipv4 = 1;
inline constexpr char header_type_name = 3;
inline constexpr char header_type_ipv6 = 4;

/// What a client wants to be sent, and to whom.
struct DatagramRequest {
    unsigned char fragment = 0;
    Endpoint target;
    /// The target in the words of the client, from the type of address to the port.
    std::string written{};
    bool is_by_name = false;
    std::string data{};
};

inline Endpoint endpoint_of(int family, std::string_view packed, std::uint16_t port) {
    auto result = any_address(family, port);
    auto* bytes = reinterpret_cast<char*>(&result.storage);
    std::memcpy(bytes + (family == AF_INET ? offsetof(sockaddr_in, sin_addr)
                                           : offsetof(sockaddr_in6, sin6_addr)),
                packed.data(), packed.size());
    return result;
}

inline std::string port_bytes(std::uint16_t port) {
    return {static_cast<char>(port >> 8), static_cast<char>(port & 0xff)};
}

inline std::string written_address(const Endpoint& endpoint) {
    const char type = endpoint.family() == AF_INET ? header_type_ipv4 : header_type_ipv6;
    return std::string(1, type) + endpoint.packed() + port_bytes(endpoint.port());
}

/// The address of this family that a name has, else any; nothing: it has none.
inline std::optional<Endpoint> looked_up_for(const std::string& name, int family,
                                             std::uint16_t port) {
    if (is("association-knows-no-names")) {
        return std::nullopt;
    }
    for (const int wanted : {family, AF_UNSPEC}) {
        if (const auto found = look_up(name, wanted, port); !found.empty()) {
            return found.front();
        }
    }
    return std::nullopt;
}

/// Nothing: it has no right header. `family` is preferred for names.
inline std::optional<DatagramRequest> read_request_header(std::string_view datagram, int family) {
    constexpr std::size_t fixed = 4; // reserved, fragment, type of address
    if (datagram.size() < fixed || datagram[0] != '\0' || datagram[1] != '\0') {
        return std::nullopt;
    }
    DatagramRequest request;
    request.fragment = static_cast<unsigned char>(datagram[2]);
    char type = datagram[3];
    if (is("association-guesses-type") && type != header_type_name && type != header_type_ipv6) {
        type = header_type_ipv4;
    }
    const std::string bytes{datagram};
    std::size_t begin = fixed;
    std::size_t length = 0;
    if (type == header_type_ipv4) {
        length = sizeof(in_addr);
    } else if (type == header_type_ipv6) {
        length = sizeof(in6_addr);
    } else if (type == header_type_name && datagram.size() > fixed && datagram[fixed] != '\0') {
        length = static_cast<unsigned char>(datagram[fixed]);
        begin = fixed + 1;
    } else {
        return std::nullopt;
    }
    if (datagram.size() < begin + length + 2) {
        return std::nullopt;
    }
    const auto host = bytes.substr(begin, length);
    const auto port =
        static_cast<std::uint16_t>(static_cast<unsigned char>(datagram[begin + length]) << 8 |
                                   static_cast<unsigned char>(datagram[begin + length + 1]));
    request.written = bytes.substr(fixed - 1, begin + length + 2 - (fixed - 1));
    request.data = bytes.substr(begin + length + 2);
    request.is_by_name = type == header_type_name;
    if (!request.is_by_name) {
        const int own = type == header_type_ipv4 ? AF_INET : AF_INET6;
        request.target = endpoint_of(own, host, port);
        return request;
    }
    const auto found = looked_up_for(host, family, port);
    if (!found) {
        return std::nullopt;
    }
    request.target = *found;
    return request;
}

/// What an answer begins with that came from `sender`; `relay` is where the client sends to.
inline std::string answer_header(const Endpoint& sender, const Endpoint& relay) {
    std::string header(3, '\0');
    if (is("association-header-reserved")) {
        header[1] = '\1';
    }
    if (is("association-header-fragment")) {
        header[2] = '\1';
    }
    if (is("association-header-wrong-source")) {
        return header + written_address(relay);
    }
    if (is("association-header-zeros")) {
        return header + written_address(any_address(AF_INET, 0));
    }
    if (is("association-header-wrong-type")) {
        return header + '\2' + sender.packed() + port_bytes(sender.port());
    }
    if (is("association-header-port-reversed")) {
        const auto port = port_bytes(sender.port());
        return header + written_address(sender).substr(0, 1 + sender.packed().size()) + port[1] +
               port[0];
    }
    if (is("association-header-ipv4-for-6") && sender.family() == AF_INET6) {
        return header + header_type_ipv4 + sender.packed().substr(12) + port_bytes(sender.port());
    }
    if (is("association-header-missing")) {
        return {};
    }
    header += written_address(sender);
    return is("association-header-doubled") ? header + header : header;
}
