#pragma once

#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/detail/platform.hpp"
#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/base/detail/unique_fd.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/net/detail/socket_address.hpp"
#include "test_tunnel/net/layer.hpp"
#include "test_tunnel/net/socket.hpp"
#include "test_tunnel/net/supervisor.hpp"
#include "test_tunnel/net/wait.hpp"

namespace test_tunnel {

namespace detail {

inline void enable_option(int fd, int level, int option, std::string_view name) {
    const int on = 1;
    checked(::setsockopt(fd, level, option, &on, sizeof on), name);
}

#if TEST_TUNNEL_LINUX

inline std::optional<bool> has_received_bytes(int fd) {
    // Not netinet/tcp.h's structure, which ends before this member; the kernel's begins alike.
    constexpr std::size_t bytes_received = 128;
    std::array<char, 256> info{};
    socklen_t length = info.size();
    std::uint64_t count = 0;
    if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, info.data(), &length) == -1 ||
        length < bytes_received + sizeof count) {
        return std::nullopt;
    }
    std::memcpy(&count, info.data() + bytes_received, sizeof count);
    return count > 1; // the end of the stream counts as one
}

inline int set_quick_acknowledgement(int fd, int value) noexcept {
    return ::setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &value, sizeof value);
}

inline void set_cork(int fd, int value) noexcept {
    ::setsockopt(fd, IPPROTO_TCP, TCP_CORK, &value, sizeof value);
}

#else

inline std::optional<bool> has_received_bytes(int /*fd*/) {
    return std::nullopt;
}

inline int set_quick_acknowledgement(int /*fd*/, int /*value*/) noexcept {
    return 0;
}

inline void set_cork(int /*fd*/, int /*value*/) noexcept {}

#endif

} // namespace detail

TEST_TUNNEL_INLINE Socket::Socket(Family family, Duration timeout) : timeout_{timeout} {
    // NOLINTNEXTLINE(cppcoreguidelines-prefer-member-initializer): family_id may throw first
    const bool ipv6 = family_id(family) == '6';
    fd_ = detail::open_socket(static_cast<int>(family), SOCK_STREAM,
                              ipv6 ? "socket(AF_INET6)" : "socket(AF_INET)");
    // What a test writes is sent when it is written; accepted sockets inherit it on Linux.
    detail::enable_option(fd(), IPPROTO_TCP, TCP_NODELAY, "setsockopt(TCP_NODELAY)");
    if (ipv6) {
        detail::enable_option(fd(), IPPROTO_IPV6, IPV6_V6ONLY, "setsockopt(IPV6_V6ONLY)");
    }
}

TEST_TUNNEL_INLINE Endpoint Socket::local() const {
    return detail::socket_name(::getsockname, fd(), "getsockname");
}

TEST_TUNNEL_INLINE Endpoint Socket::peer() const {
    return peer_ ? *peer_ : detail::socket_name(::getpeername, fd(), "getpeername");
}

TEST_TUNNEL_INLINE bool Socket::is_reset() const noexcept {
    detail::SocketAddress other;
    return ::getpeername(fd(), other.data(), other.length()) == -1;
}

/// "192.0.2.1:6375 → 127.0.0.1:6374": this end first.
TEST_TUNNEL_INLINE std::string Socket::name() const {
    detail::SocketAddress here;
    const bool known = ::getsockname(fd(), here.data(), here.length()) == 0;
    return fmt::format("{} → {}", known ? here.endpoint().text() : "(closed)",
                       peer_ ? peer_->text() : "(nobody)");
}

TEST_TUNNEL_INLINE void Socket::wait(short events, std::string_view awaited) const {
    const auto supervisor = supervisor_.lock();
    const auto what = fmt::format("{} ({})", awaited, name());
    if (!wait_for(event(events), Deadline::after(timeout_), supervisor.get(), what)) {
        throw TimedOut{
            fmt::format("nothing for {} while waiting for {}", text_of(scaled(timeout_)), what)};
    }
}

TEST_TUNNEL_INLINE void Socket::set_layer(std::unique_ptr<Layer> layer) {
    if (layer_) {
        throw InvalidConfig{fmt::format("the socket has a layer already ({})", name())};
    }
    layer_ = std::move(layer);
    ++written_;
}

TEST_TUNNEL_INLINE void Socket::bind(const Endpoint& endpoint) {
    detail::enable_option(fd(), SOL_SOCKET, SO_REUSEADDR, "setsockopt(SO_REUSEADDR)");
    detail::SocketAddress address{endpoint};
    if (::bind(fd(), address.data(), *address.length()) == -1) {
        const int error = errno;
        throw SystemError{fmt::format("bind to {}", endpoint), error};
    }
}

TEST_TUNNEL_INLINE void Socket::listen(int backlog) {
    if (::listen(fd(), backlog) == -1) {
        const int error = errno;
        throw SystemError{fmt::format("listen on {}", local()), error};
    }
}

TEST_TUNNEL_INLINE std::optional<Socket> Socket::try_accept() {
    for (;;) {
        detail::SocketAddress from;
        auto accepted = detail::accept_socket(fd(), from.data(), from.length());
        if (accepted) {
            return Socket{std::move(accepted), from.endpoint(), *this};
        }
        const int error = errno;
        if (error == EAGAIN || error == EWOULDBLOCK) {
            return std::nullopt;
        }
        if (error != ECONNABORTED) { // a client that has gone again: take the next
            throw SystemError{fmt::format("accept on {}", local()), error};
        }
    }
}

TEST_TUNNEL_INLINE Socket Socket::accept() {
    for (;;) {
        if (auto accepted = try_accept()) {
            return *std::move(accepted);
        }
        wait(POLLIN, "a connection");
    }
}

TEST_TUNNEL_INLINE bool Socket::try_connect(const Endpoint& endpoint) {
    peer_ = endpoint;
    detail::SocketAddress address{endpoint};
    int result = ::connect(fd(), address.data(), *address.length());
    int error = result == -1 ? errno : 0;
    if (error == EINPROGRESS || error == EINTR) {
        wait(POLLOUT, "the connection to be made");
        socklen_t length = sizeof error;
        result = ::getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &length);
        detail::checked(result, "getsockopt(SO_ERROR)");
    }
    if (error == ECONNREFUSED) {
        return false;
    }
    if (error != 0) {
        throw SystemError{fmt::format("connect {}", name()), error};
    }
    return true;
}

TEST_TUNNEL_INLINE void Socket::connect(const Endpoint& endpoint) {
    if (!try_connect(endpoint)) {
        throw SystemError{fmt::format("connect {}", name()), ECONNREFUSED};
    }
}

TEST_TUNNEL_INLINE std::size_t Socket::read_some(char* buffer, std::size_t size) {
    for (;;) {
        if (const auto supervisor = supervisor_.lock()) {
            // A tool that never stops to write must not keep the call from ending either.
            supervisor->require_time("data");
        }
        if (const auto count = try_read(buffer, size)) {
            return *count;
        }
        wait(POLLIN, "data");
    }
}

TEST_TUNNEL_INLINE std::optional<std::size_t> Socket::try_read(char* buffer, std::size_t size) {
    if (layer_) {
        return layer_->try_read(buffer, size);
    }
    const auto count = detail::retry_eintr([&] { return ::recv(fd(), buffer, size, 0); });
    const int error = errno;
    if (count >= 0) {
        return static_cast<std::size_t>(count);
    }
    if (error != EAGAIN && error != EWOULDBLOCK) {
        throw SystemError{fmt::format("read ({})", name()), error};
    }
    return std::nullopt;
}

TEST_TUNNEL_INLINE std::string Socket::read(std::size_t size) {
    std::string result(size, '\0');
    std::size_t filled = 0;
    while (filled < size) {
        const auto count = read_some(result.data() + filled, size - filled);
        if (count == 0) {
            throw Unexpected{fmt::format("{} bytes ({})", size, name()),
                             bytes_around(std::string_view{result}.substr(0, filled), filled,
                                          ", then end of stream")};
        }
        filled += count;
    }
    return result;
}

TEST_TUNNEL_INLINE void Socket::read_end() {
    std::array<char, 256> extra{};
    std::size_t count = 0;
    const auto expected = [&] { return fmt::format("end of stream ({})", name()); };
    try {
        count = read_some(extra.data(), extra.size());
    } catch (const SystemError& error) {
        throw Unexpected{expected(), error.what()};
    }
    if (count > 0) {
        throw Unexpected{expected(), bytes_around({extra.data(), count}, 0)};
    }
}

TEST_TUNNEL_INLINE std::size_t Socket::pending() const {
    if (layer_) {
        return layer_->pending();
    }
    int count = 0;
    detail::checked(::ioctl(fd(), FIONREAD, &count), "ioctl(FIONREAD)");
    return static_cast<std::size_t>(count);
}

TEST_TUNNEL_INLINE std::optional<bool> Socket::has_received() const {
    return layer_ ? std::optional{layer_->received() > 0} : detail::has_received_bytes(fd());
}

TEST_TUNNEL_INLINE void Socket::acknowledge_now() const noexcept {
    detail::set_quick_acknowledgement(fd(), 1);
}

TEST_TUNNEL_INLINE void Socket::acknowledge_later() const {
    detail::checked(detail::set_quick_acknowledgement(fd(), 0), "setsockopt(TCP_QUICKACK)");
}

TEST_TUNNEL_INLINE void Socket::hold_back() const noexcept {
    detail::set_cork(fd(), 1);
}

TEST_TUNNEL_INLINE void Socket::send_held_back() const noexcept {
    detail::set_cork(fd(), 0);
}

TEST_TUNNEL_INLINE void Socket::write(std::string_view data) {
    while (!data.empty()) {
        if (const auto supervisor = supervisor_.lock()) {
            supervisor->require_time("data to be taken");
        }
        const auto count = try_write(data);
        data.remove_prefix(count);
        if (count == 0) {
            wait(POLLOUT, "data to be taken");
        }
    }
    while (has_unsent()) {
        wait(POLLOUT, "data to be taken");
        static_cast<void>(try_write({})); // throws what the layer has met
    }
}

TEST_TUNNEL_INLINE std::size_t Socket::try_write(std::string_view data) {
    if (layer_) {
        const auto count = layer_->try_write(data);
        written_ += count;
        return count;
    }
    if (data.empty()) {
        return 0;
    }
    const auto count = detail::send_quietly(fd(), data);
    const int error = errno;
    if (count >= 0) {
        written_ += static_cast<std::uint64_t>(count);
        return static_cast<std::size_t>(count);
    }
    if (error != EAGAIN && error != EWOULDBLOCK) {
        throw SystemError{fmt::format("write ({})", name()), error};
    }
    return 0;
}

TEST_TUNNEL_INLINE void Socket::set_receive_buffer(std::size_t size) {
    const int value = static_cast<int>(size);
    detail::checked(::setsockopt(fd(), SOL_SOCKET, SO_RCVBUF, &value, sizeof value),
                    "setsockopt(SO_RCVBUF)");
}

TEST_TUNNEL_INLINE void Socket::set_send_buffer(std::size_t size) {
    const int value = static_cast<int>(size);
    detail::checked(::setsockopt(fd(), SOL_SOCKET, SO_SNDBUF, &value, sizeof value),
                    "setsockopt(SO_SNDBUF)");
}

TEST_TUNNEL_INLINE std::size_t Socket::receive_buffer() const {
    int value = 0;
    socklen_t length = sizeof value;
    detail::checked(::getsockopt(fd(), SOL_SOCKET, SO_RCVBUF, &value, &length),
                    "getsockopt(SO_RCVBUF)");
    return static_cast<std::size_t>(value);
}

TEST_TUNNEL_INLINE void Socket::shutdown_write() {
    if (layer_) {
        layer_->shutdown_write();
        return;
    }
    shutdown_tcp();
}

TEST_TUNNEL_INLINE void Socket::shutdown_tcp() {
    if (::shutdown(fd(), SHUT_WR) == -1) {
        const int error = errno;
        throw SystemError{fmt::format("shutdown ({})", name()), error};
    }
}

TEST_TUNNEL_INLINE void Socket::reset() noexcept {
    detail::reset_when_closed(fd());
    if (layer_) {
        layer_->discard();
    }
    close();
}

} // namespace test_tunnel
