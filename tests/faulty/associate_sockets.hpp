// The sockets of associations, and what these share.

#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "behaviours.hpp"
#include "sockets.hpp"

/// Where the datagrams of all associations arrive that share a port, and what else they share.
struct SharedRelay {
    std::mutex mutex;
    Descriptor socket;
    std::vector<class Association*> associations;
    /// How many associations have ended.
    std::atomic<int> ended = 0;
    std::atomic<bool> has_stopped = false;
    /// Of a relay that knows but one client.
    std::optional<std::pair<int, Endpoint>> last_client;
};

inline SharedRelay shared_relay;

/// Whether it was sent.
inline bool send_datagram(int fd, const std::string& data, const Endpoint& to) {
    return ::sendto(fd, data.data(), data.size(), MSG_NOSIGNAL, to.address(), to.length) != -1;
}

/// Has a port on all addresses, beside the socket that has it on one of them.
inline Descriptor datagram_socket_everywhere(const Endpoint& beside, int beside_fd) {
    set_option(beside_fd, SOL_SOCKET, SO_REUSEADDR, 1);
    Descriptor result{checked(::socket(beside.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket")};
    if (beside.family() == AF_INET6) {
        set_option(result.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    set_option(result.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    const auto any = any_address(beside.family(), beside.port());
    checked(::bind(result.get(), any.address(), any.length), "bind");
    return result;
}

inline Descriptor datagram_socket(const Endpoint& at) {
    Descriptor result{checked(::socket(at.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket")};
    if (at.family() == AF_INET6) {
        set_option(result.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    checked(::bind(result.get(), at.address(), at.length), "bind");
    return result;
}

struct ReceivedDatagram {
    std::string data;
    Endpoint from;
};

/// Nothing: there is none, or an error was told.
inline std::optional<ReceivedDatagram> receive_datagram(int fd) {
    ReceivedDatagram result;
    constexpr std::size_t whole = 65536;
    constexpr std::size_t frame = 1500;
    result.data.resize(is("association-clips") ? frame : whole);
    result.from.length = sizeof result.from.storage;
    const auto count = ::recvfrom(fd, result.data.data(), result.data.size(), MSG_DONTWAIT,
                                  result.from.address(), &result.from.length);
    if (count == -1) {
        return std::nullopt;
    }
    result.data.resize(static_cast<std::size_t>(count));
    return result;
}
