#pragma once

#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "address.hpp"
#include "config.hpp"
#include "deadline.hpp"
#include "detail/platform.hpp"
#include "detail/system.hpp"
#include "detail/text.hpp"
#include "detail/unique_fd.hpp"
#include "error.hpp"
#include "watch.hpp"

namespace test_tunnel {

/// A TCP socket, move-only. It is used as a blocking one, but no call waits longer than its
/// timeout without progress (default 10 s): then it throws TimedOut.
///
/// Where the socket looks after a tool (`watch`), as those that the library hands to the hooks do,
/// every call that has to wait throws ToolEnded as soon as the tool has ended.
/// A failed system call throws SystemError, whose `code()` is its errno: ECONNRESET, for one.
class Socket {
public:
    /// A new socket that is neither bound nor connected.
    explicit Socket(Family family, Duration timeout = Timeouts{}.io);

    /// How long a call may wait without any progress.
    void set_timeout(Duration timeout) { timeout_ = timeout; }

    /// What to look after while a call waits; nothing, once it no longer exists.
    void watch(std::weak_ptr<Watch> watch) { watch_ = std::move(watch); }

    /// The descriptor, still owned by the socket; -1 after `close`.
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

    /// This end's endpoint.
    [[nodiscard]] Endpoint local() const;

    /// The other end's endpoint, as it was when the connection was made.
    [[nodiscard]] Endpoint peer() const;

    /// Binds with address reuse on. Throws SystemError.
    void bind(const Endpoint& endpoint);

    /// Takes connections from now on: they succeed even before `accept` is called.
    void listen(int backlog = SOMAXCONN);

    /// Waits for a connection, which gets this socket's timeout and watch.
    [[nodiscard]] Socket accept();

    /// The connection that is there already, if there is one; does not wait.
    [[nodiscard]] std::optional<Socket> try_accept();

    /// Connects. False where the other side refuses; the socket can't be used any more then.
    [[nodiscard]] bool try_connect(const Endpoint& endpoint);

    /// The same, but being refused is a SystemError too.
    void connect(const Endpoint& endpoint);

    /// Waits for data and stores at most `size` bytes of it; 0 means end of stream.
    [[nodiscard]] std::size_t read_some(char* buffer, std::size_t size);

    /// The same without waiting: nothing where nothing has arrived.
    [[nodiscard]] std::optional<std::size_t> try_read(char* buffer, std::size_t size);

    /// Reads exactly `size` bytes, however they are cut up. Throws Unexpected where the stream
    /// ends before.
    [[nodiscard]] std::string read(std::size_t size);

    /// Demands the end of the stream: throws Unexpected where there is another byte, or where the
    /// connection was reset.
    void read_end();

    /// How many bytes can be read without waiting.
    [[nodiscard]] std::size_t pending() const;

    /// Writes all of it; waits while the other side takes nothing.
    void write(std::string_view data);

    /// Writes as much of it as is taken without waiting; returns how much that was.
    [[nodiscard]] std::size_t try_write(std::string_view data);

    /// How many bytes have been written so far.
    [[nodiscard]] std::uint64_t written() const noexcept { return written_; }

    /// How much may arrive before it is read (SO_RCVBUF): to be set before the connection is made.
    void set_receive_buffer(std::size_t size);

    /// Has what has arrived acknowledged at once, not a little later together with what comes then
    /// (TCP_QUICKACK, until the system thinks otherwise). Does nothing on other systems than Linux.
    void acknowledge_now() noexcept;

    /// Ends this direction of the stream; the other one goes on.
    void shutdown_write();

    /// Ends the connection. Data that has arrived and was not read turns this into a reset: that
    /// is TCP's rule (RFC 9293 §3.6.1).
    void close() noexcept { fd_.reset(); }

    /// Ends the connection by a reset (RST): what is under way may be lost on both sides.
    void reset() noexcept;

private:
    Socket(detail::UniqueFd fd, const Endpoint& peer, const Socket& parent)
        : fd_{std::move(fd)}, peer_{peer}, timeout_{parent.timeout_}, watch_{parent.watch_} {}

    void wait(short events, std::string_view awaited) const;
    [[nodiscard]] std::string name() const;

    detail::UniqueFd fd_;
    std::optional<Endpoint> peer_;
    Duration timeout_;
    std::weak_ptr<Watch> watch_;
    std::uint64_t written_ = 0;
};

/// A TCP socket with the timeout of `config`, address reuse on, bound to `endpoint`; an IPv6 socket
/// takes IPv6 only. Throws SystemError, PermissionDenied for a port that this user may not have.
inline Socket bind_to(const Config& config, const Endpoint& endpoint) {
    Socket result{endpoint.address.family(), config.timeouts.io};
    try {
        result.bind(endpoint);
    } catch (const SystemError& error) {
        if (error.code() == EACCES) {
            throw PermissionDenied{
                fmt::format("{}: this user may not have that port", error.what())};
        }
        throw;
    }
    return result;
}

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
    fd_ = detail::UniqueFd{
        detail::checked(::socket(static_cast<int>(family), SOCK_STREAM | SOCK_CLOEXEC, 0),
                        ipv6 ? "socket(AF_INET6)" : "socket(AF_INET)")};
    detail::set_nonblocking(fd());
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

/// "192.0.2.1:6375 → 127.0.0.1:6374": this end first.
inline std::string Socket::name() const {
    detail::SocketAddress here;
    const bool known = ::getsockname(fd(), here.data(), here.length()) == 0;
    return fmt::format("{} → {}", known ? here.endpoint().text() : "(closed)",
                       peer_ ? peer_->text() : "(nobody)");
}

inline void Socket::wait(short events, std::string_view awaited) const {
    const auto watch = watch_.lock();
    detail::wait_for(fd(), events, timeout_, watch.get(), fmt::format("{} ({})", awaited, name()));
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
        detail::UniqueFd accepted{detail::retry_eintr(
            [&] { return ::accept4(fd(), from.data(), from.length(), SOCK_CLOEXEC); })};
        if (accepted) {
            detail::set_nonblocking(accepted.get());
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
}

inline std::size_t Socket::try_write(std::string_view data) {
    if (data.empty()) {
        return 0;
    }
    const auto count =
        detail::retry_eintr([&] { return ::send(fd(), data.data(), data.size(), MSG_NOSIGNAL); });
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
    if (::shutdown(fd(), SHUT_WR) == -1) {
        const int error = errno;
        throw SystemError{fmt::format("shutdown ({})", name()), error};
    }
}

inline void Socket::reset() noexcept {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
}

} // namespace test_tunnel
