#pragma once

// What Socket does: included by socket.hpp, behind it.

#include "../socket.hpp"

namespace test_tunnel {

namespace detail {

inline void enable_option(int fd, int level, int option, std::string_view name) {
    const int on = 1;
    checked(::setsockopt(fd, level, option, &on, sizeof on), name);
}

template <typename Call>
Endpoint socket_name(Call call, int fd, std::string_view name) {
    SocketAddress address;
    checked(call(fd, address.data(), address.length()), name);
    return address.endpoint();
}

} // namespace detail

inline Socket::Socket(Family family, Duration timeout) : timeout_{timeout} {
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

inline Endpoint Socket::local() const {
    return detail::socket_name(::getsockname, fd(), "getsockname");
}

inline Endpoint Socket::peer() const {
    return peer_ ? *peer_ : detail::socket_name(::getpeername, fd(), "getpeername");
}

inline bool Socket::is_reset() const noexcept {
    detail::SocketAddress other;
    return ::getpeername(fd(), other.data(), other.length()) == -1;
}

/// "192.0.2.1:6375 → 127.0.0.1:6374": this end first.
inline std::string Socket::name() const {
    detail::SocketAddress here;
    const bool known = ::getsockname(fd(), here.data(), here.length()) == 0;
    return fmt::format("{} → {}", known ? here.endpoint().text() : "(closed)",
                       peer_ ? peer_->text() : "(nobody)");
}

inline void Socket::wait(short events, std::string_view awaited) const {
    const auto watch = watch_.lock();
    const auto what = fmt::format("{} ({})", awaited, name());
    if (!detail::wait_for_socket(event(events), Deadline::after(timeout_), watch.get(), what)) {
        throw TimedOut{fmt::format("nothing for {} while waiting for {}",
                                   detail::text_of(detail::scaled(timeout_)), what)};
    }
}

inline void Socket::set_layer(std::unique_ptr<Layer> layer) {
    if (layer_) {
        throw InvalidConfig{fmt::format("the socket has a layer already ({})", name())};
    }
    layer_ = std::move(layer);
    ++written_;
}

inline void Socket::bind(const Endpoint& endpoint) {
    detail::enable_option(fd(), SOL_SOCKET, SO_REUSEADDR, "setsockopt(SO_REUSEADDR)");
    detail::SocketAddress address{endpoint};
    if (::bind(fd(), address.data(), *address.length()) == -1) {
        const int error = errno;
        throw SystemError{fmt::format("bind to {}", endpoint), error};
    }
}

inline void Socket::listen(int backlog) {
    if (::listen(fd(), backlog) == -1) {
        const int error = errno;
        throw SystemError{fmt::format("listen on {}", local()), error};
    }
}

inline std::optional<Socket> Socket::try_accept() {
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

inline Socket Socket::accept() {
    for (;;) {
        if (auto accepted = try_accept()) {
            return *std::move(accepted);
        }
        wait(POLLIN, "a connection");
    }
}

inline bool Socket::try_connect(const Endpoint& endpoint) {
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

inline void Socket::connect(const Endpoint& endpoint) {
    if (!try_connect(endpoint)) {
        throw SystemError{fmt::format("connect {}", name()), ECONNREFUSED};
    }
}

inline std::size_t Socket::read_some(char* buffer, std::size_t size) {
    for (;;) {
        if (const auto watch = watch_.lock()) {
            // A tool that never stops to write must not keep the call from ending either.
            watch->require_time("data");
        }
        if (const auto count = try_read(buffer, size)) {
            return *count;
        }
        wait(POLLIN, "data");
    }
}

inline std::optional<std::size_t> Socket::try_read(char* buffer, std::size_t size) {
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

inline std::string Socket::read(std::size_t size) {
    std::string result(size, '\0');
    std::size_t filled = 0;
    while (filled < size) {
        const auto count = read_some(result.data() + filled, size - filled);
        if (count == 0) {
            throw Unexpected{fmt::format("{} bytes ({})", size, name()),
                             detail::bytes_around(std::string_view{result}.substr(0, filled),
                                                  filled, ", then end of stream")};
        }
        filled += count;
    }
    return result;
}

inline void Socket::read_end() {
    std::array<char, 256> extra{};
    std::size_t count = 0;
    const auto expected = [&] { return fmt::format("end of stream ({})", name()); };
    try {
        count = read_some(extra.data(), extra.size());
    } catch (const SystemError& error) {
        throw Unexpected{expected(), error.what()};
    }
    if (count > 0) {
        throw Unexpected{expected(), detail::bytes_around({extra.data(), count}, 0)};
    }
}

inline std::size_t Socket::pending() const {
    if (layer_) {
        return layer_->pending();
    }
    int count = 0;
    detail::checked(::ioctl(fd(), FIONREAD, &count), "ioctl(FIONREAD)");
    return static_cast<std::size_t>(count);
}

inline void Socket::write(std::string_view data) {
    while (!data.empty()) {
        if (const auto watch = watch_.lock()) {
            watch->require_time("data to be taken");
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

inline std::size_t Socket::try_write(std::string_view data) {
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

inline void Socket::set_receive_buffer(std::size_t size) {
    const int value = static_cast<int>(size);
    detail::checked(::setsockopt(fd(), SOL_SOCKET, SO_RCVBUF, &value, sizeof value),
                    "setsockopt(SO_RCVBUF)");
}

inline void Socket::acknowledge_now() noexcept {
#if TEST_TUNNEL_LINUX
    const int on = 1;
    ::setsockopt(fd(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
#endif
}

inline void Socket::shutdown_write() {
    if (layer_) {
        layer_->shutdown_write();
        return;
    }
    if (::shutdown(fd(), SHUT_WR) == -1) {
        const int error = errno;
        throw SystemError{fmt::format("shutdown ({})", name()), error};
    }
}

inline void Socket::reset() noexcept {
    detail::reset_when_closed(fd());
    if (layer_) {
        layer_->discard();
    }
    close();
}

} // namespace test_tunnel
