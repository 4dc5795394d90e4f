// Sockets, by the plain means of POSIX: what is tested must not stand on itself.

#pragma once

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "behaviours.hpp"

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

inline void sleep_for(std::chrono::milliseconds duration) {
    std::this_thread::sleep_for(duration); // the behaviour under test
}

/// Waits as if for ever: an hour is longer than any test.
[[noreturn]] inline void crash() {
    ::signal(SIGSEGV, SIG_DFL);
    ::raise(SIGSEGV);
    std::abort();
}

[[noreturn]] inline void hang() {
    for (;;) {
        sleep_for(1h);
    }
}

/// The peer went away, or broke the rules.
struct Gone : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline int checked(int result, const char* what) {
    if (result == -1) {
        throw std::system_error{errno, std::generic_category(), what};
    }
    return result;
}

class Descriptor {
public:
    Descriptor() = default;
    explicit Descriptor(int fd) : fd_{fd} {}
    Descriptor(Descriptor&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() { close(); }

    [[nodiscard]] int get() const { return fd_; }
    explicit operator bool() const { return fd_ != -1; }

    void close() {
        if (fd_ != -1) {
            ::close(std::exchange(fd_, -1));
        }
    }

    /// Closes the socket such that its peer sees a reset.
    void reset() {
        if (fd_ != -1) {
            const linger at_once{.l_onoff = 1, .l_linger = 0};
            ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
            close();
        }
    }

private:
    int fd_ = -1;
};

struct Endpoint {
    sockaddr_storage storage{};
    socklen_t length = 0;

    [[nodiscard]] int family() const { return storage.ss_family; }

    /// The address in network order, 4 or 16 bytes.
    [[nodiscard]] std::string packed() const {
        const auto* bytes = reinterpret_cast<const char*>(&storage);
        return family() == AF_INET
                   ? std::string{bytes + offsetof(sockaddr_in, sin_addr), sizeof(in_addr)}
                   : std::string{bytes + offsetof(sockaddr_in6, sin6_addr), sizeof(in6_addr)};
    }

    // The port has the same place in both families.
    [[nodiscard]] std::uint16_t port() const {
        return ntohs(reinterpret_cast<const sockaddr_in&>(storage).sin_port);
    }
    void set_port(std::uint16_t port) {
        reinterpret_cast<sockaddr_in&>(storage).sin_port = htons(port);
    }

    [[nodiscard]] std::string address_text() const {
        char text[NI_MAXHOST] = {};
        ::getnameinfo(address(), length, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
        return text;
    }

    [[nodiscard]] const sockaddr* address() const {
        return reinterpret_cast<const sockaddr*>(&storage);
    }
    [[nodiscard]] sockaddr* address() { return reinterpret_cast<sockaddr*>(&storage); }
};

/// Throws Gone where `address` is none.
inline Endpoint parse_endpoint(const std::string& address, std::uint16_t port) {
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (address.find('\0') != std::string::npos ||
        ::getaddrinfo(address.c_str(), nullptr, &hints, &found) != 0) {
        throw Gone{"no address: " + address};
    }
    Endpoint endpoint;
    std::memcpy(&endpoint.storage, found->ai_addr, found->ai_addrlen);
    endpoint.length = found->ai_addrlen;
    ::freeaddrinfo(found);
    endpoint.set_port(port);
    return endpoint;
}

inline Endpoint any_address(int family, std::uint16_t port) {
    return parse_endpoint(family == AF_INET ? "0.0.0.0" : "::", port);
}

inline Endpoint peer_endpoint(int fd) {
    Endpoint endpoint;
    endpoint.length = sizeof endpoint.storage;
    checked(::getpeername(fd, endpoint.address(), &endpoint.length), "getpeername");
    return endpoint;
}

inline Endpoint local_endpoint(int fd) {
    Endpoint endpoint;
    endpoint.length = sizeof endpoint.storage;
    checked(::getsockname(fd, endpoint.address(), &endpoint.length), "getsockname");
    return endpoint;
}

inline void set_option(int fd, int level, int option, int value) {
    ::setsockopt(fd, level, option, &value, sizeof value);
}

inline Descriptor new_socket(int family) {
    Descriptor descriptor{checked(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
    if (family == AF_INET6) {
        set_option(descriptor.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    return descriptor;
}

inline Descriptor listen_at(const Endpoint& endpoint) {
    auto listener = new_socket(endpoint.family());
    if (is("shares-port")) {
        set_option(listener.get(), SOL_SOCKET, SO_REUSEPORT, 1);
    } else if (!is("no-address-reuse") && !is("waits-for-port")) {
        set_option(listener.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    }
    if (is("reload-resets-queue") || is("successor-resets-queue") || is("successor-shares-port")) {
        set_option(listener.get(), SOL_SOCKET, SO_REUSEPORT, 1);
    }
    if (is("small-socket-buffers")) { // before the handshake of TCP, in which the window is scaled
        set_option(listener.get(), SOL_SOCKET, SO_RCVBUF, 1);
    }
    while (is("waits-for-port") &&
           ::bind(listener.get(), endpoint.address(), endpoint.length) == -1) {
        sleep_for(100ms);
    }
    if (!is("waits-for-port")) {
        checked(::bind(listener.get(), endpoint.address(), endpoint.length), "bind");
    }
    if (is("bound-but-not-listening")) {
        hang();
    }
    checked(::listen(listener.get(), SOMAXCONN), "listen");
    return listener;
}

/// What holds for both sides of a connection.
inline void set_up_stream(int fd) {
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, is("nagle") ? 0 : 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, is("keepalive") ? 1 : 0);
    if (is("small-socket-buffers")) {
        set_option(fd, SOL_SOCKET, SO_SNDBUF, 1);
        set_option(fd, SOL_SOCKET, SO_RCVBUF, 1);
    }
    // Whether a write takes a part must not depend on how the system sizes its buffers.
    if (is("ignores-partial-writes") || is("repeats-after-partial-write") ||
        is("full-buffer-is-end") || is("loses-tail-up") || is("loses-tail-down")) {
        set_option(fd, SOL_SOCKET, SO_SNDBUF, 16 * 1024);
    }
}

/// Waits until there is something to be read, or the timeout has passed (in ms; -1: never).
inline bool is_readable(int fd, int timeout) {
    pollfd ready{fd, POLLIN, 0};
    return ::poll(&ready, 1, timeout) > 0;
}

/// How many bytes can be read at once.
inline std::size_t readable_bytes(int fd) {
    int count = 0;
    ::ioctl(fd, FIONREAD, &count);
    return static_cast<std::size_t>(count);
}

/// Whether the peer has ended its direction, and all that it had said before is read.
inline bool has_ended(int fd) {
    char byte = 0;
    return ::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/// What comes next is the first byte of a message of the handshake.
inline void begin_message(int fd) {
    is_readable(fd, -1);
}

/// Faults of those for whom a message is what they read at once.
inline void require_whole(int fd, std::size_t count) {
    if (readable_bytes(fd) >= count) {
        return;
    }
    if (is("needs-whole-messages")) {
        throw Gone{"a message was cut up"};
    }
    if (is("crashes-on-pieces") && is_readable(fd, 1000)) {
        char byte = 0;
        if (::recv(fd, &byte, 1, MSG_PEEK) > 0) { // and not an end of the stream
            crash();
        }
    }
    if (is("merges-pieces-wrongly") && is_readable(fd, -1)) {
        char byte = 0;
        ::recv(fd, &byte, 1, 0);
    }
}

/// Exactly this many bytes, however they are cut up.
inline std::string read_exactly(int fd, std::size_t count) {
    std::string data(count, '\0');
    require_whole(fd, count);
    for (std::size_t done = 0; done < count;) {
        const auto result = ::recv(fd, data.data() + done, count - done, 0);
        if (result > 0) {
            done += static_cast<std::size_t>(result);
        } else if (result == 0 || errno != EINTR) {
            throw Gone{"the client left in the handshake"};
        }
    }
    return data;
}

inline void write_all(int fd, std::string_view data) {
    const std::size_t piece = is("reply-in-single-bytes") ? 1 : data.size();
    while (!data.empty()) {
        const auto result = ::send(fd, data.data(), std::min(piece, data.size()), MSG_NOSIGNAL);
        if (result > 0) {
            data.remove_prefix(static_cast<std::size_t>(result));
        } else if (errno != EINTR) {
            throw Gone{"the client left in the handshake"};
        }
        if (is("reply-in-single-bytes")) {
            sleep_for(1ms);
        }
    }
}

/// Discards what comes in this time, or until the end of the stream.
inline void discard(int fd, std::chrono::milliseconds duration) {
    const auto end = Clock::now() + duration;
    char data[4096];
    for (auto left = duration; left > 0ms;
         left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now())) {
        if (!is_readable(fd, static_cast<int>(left.count())) ||
            ::recv(fd, data, sizeof data, 0) <= 0) {
            return;
        }
    }
}

/// A message of the handshake has been read.
inline void end_message(int fd) {
    if (is("reads-ahead")) {
        char data[4096];
        static_cast<void>(::recv(fd, data, sizeof data, MSG_DONTWAIT));
    }
}

/// Closes after a last word: were there data unread, the system would send a reset, and the word be
/// lost.
inline void close_politely(Descriptor& descriptor) {
    ::shutdown(descriptor.get(), SHUT_WR);
    discard(descriptor.get(), 1s);
    descriptor.close();
}
