#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/detail/platform.hpp"
#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/net/datagram_socket.hpp"
#include "test_tunnel/net/detail/socket_address.hpp"
#include "test_tunnel/net/supervisor.hpp"
#include "test_tunnel/net/wait.hpp"

#if TEST_TUNNEL_LINUX
#include <linux/errqueue.h>
#include <time.h>
#endif

namespace test_tunnel {

namespace detail {

/// Whether an errno is one that an earlier datagram has brought back, and none of this call.
constexpr bool is_brought_back(int error) {
    return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH ||
           error == ECONNRESET || error == EHOSTDOWN || error == ENOPROTOOPT || error == EPROTO ||
           error == EACCES || error == EOPNOTSUPP;
}

inline void set_option(int fd, int level, int option, std::string_view name) {
    const int on = 1;
    checked(::setsockopt(fd, level, option, &on, sizeof on), name);
}

/// Has the system tell of each datagram where it was sent to, and of errors and losses.
inline void tell_all(int fd, bool ipv6) {
    if (ipv6) {
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, "setsockopt(IPV6_V6ONLY)");
        set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, "setsockopt(IPV6_RECVPKTINFO)");
    }
#if TEST_TUNNEL_LINUX
    if (ipv6) {
        set_option(fd, IPPROTO_IPV6, IPV6_RECVERR, "setsockopt(IPV6_RECVERR)");
    } else {
        set_option(fd, IPPROTO_IP, IP_PKTINFO, "setsockopt(IP_PKTINFO)");
        set_option(fd, IPPROTO_IP, IP_RECVERR, "setsockopt(IP_RECVERR)");
    }
    set_option(fd, SOL_SOCKET, SO_RXQ_OVFL, "setsockopt(SO_RXQ_OVFL)");
#elif defined(IP_RECVDSTADDR)
    if (!ipv6) {
        set_option(fd, IPPROTO_IP, IP_RECVDSTADDR, "setsockopt(IP_RECVDSTADDR)");
    }
#endif
}

/// A message for recvmsg(2), with room for what the system tells of a datagram.
class Message {
public:
    Message(char* buffer, std::size_t size) : part_{.iov_base = buffer, .iov_len = size} {
        head_.msg_name = from_.data();
        head_.msg_namelen = *from_.length();
        head_.msg_iov = &part_;
        head_.msg_iovlen = 1;
        head_.msg_control = control_.data();
        head_.msg_controllen = control_.size();
    }
    Message(const Message&) = delete;
    Message& operator=(const Message&) = delete;
    ~Message() = default;

    [[nodiscard]] msghdr* head() noexcept { return &head_; }
    [[nodiscard]] bool has_name() const noexcept { return head_.msg_namelen > 0; }
    [[nodiscard]] Endpoint from() const { return from_.endpoint(); }
    [[nodiscard]] bool is_truncated() const noexcept { return (head_.msg_flags & MSG_TRUNC) != 0; }

    /// Returns what the system has told under this name, as the structure that it is.
    template <typename Told>
    [[nodiscard]] std::optional<Told> told(int level, int type) {
        for (auto* each = CMSG_FIRSTHDR(&head_); each != nullptr;
             each = CMSG_NXTHDR(&head_, each)) {
            if (each->cmsg_level == level && each->cmsg_type == type &&
                each->cmsg_len >= CMSG_LEN(sizeof(Told))) {
                Told result{};
                std::memcpy(&result, CMSG_DATA(each), sizeof result);
                return result;
            }
        }
        return std::nullopt;
    }

    /// Returns the address to which the datagram was sent.
    [[nodiscard]] std::optional<Address> destination() {
        const auto address = [](const auto& bytes) {
            std::array<char, sizeof bytes> packed{};
            std::memcpy(packed.data(), &bytes, packed.size());
            return Address::from_packed({packed.data(), packed.size()});
        };
        if (const auto found = told<in6_pktinfo>(IPPROTO_IPV6, IPV6_PKTINFO)) {
            const auto plain = address(found->ipi6_addr);
            return Address::from_packed(plain.packed(),
                                        static_cast<std::uint32_t>(found->ipi6_ifindex));
        }
#if TEST_TUNNEL_LINUX
        if (const auto found = told<in_pktinfo>(IPPROTO_IP, IP_PKTINFO)) {
            return address(found->ipi_addr);
        }
#elif defined(IP_RECVDSTADDR)
        if (const auto found = told<in_addr>(IPPROTO_IP, IP_RECVDSTADDR)) {
            return address(*found);
        }
#endif
        return std::nullopt;
    }

private:
    static constexpr std::size_t room = 512;

    SocketAddress from_;
    iovec part_;
    alignas(cmsghdr) std::array<char, room> control_{};
    msghdr head_{};
};

} // namespace detail

TEST_TUNNEL_INLINE std::string DatagramError::text() const {
    return fmt::format("{}{}", std::generic_category().message(code),
                       target ? fmt::format(", of a datagram to {}", *target) : "");
}

TEST_TUNNEL_INLINE DatagramSocket::DatagramSocket(Family family, Duration timeout)
    : timeout_{timeout} {
    // NOLINTNEXTLINE(cppcoreguidelines-prefer-member-initializer): family_id may throw first
    const bool ipv6 = family_id(family) == '6';
    fd_ =
        detail::open_socket(static_cast<int>(family), SOCK_DGRAM,
                            ipv6 ? "socket(AF_INET6, SOCK_DGRAM)" : "socket(AF_INET, SOCK_DGRAM)");
    detail::tell_all(fd(), ipv6);
}

TEST_TUNNEL_INLINE Endpoint DatagramSocket::local() const {
    return detail::socket_name(::getsockname, fd(), "getsockname");
}

TEST_TUNNEL_INLINE std::string DatagramSocket::name() const {
    detail::SocketAddress here;
    const bool known = ::getsockname(fd(), here.data(), here.length()) == 0;
    return fmt::format("UDP, {}", known ? here.endpoint().text() : "(closed)");
}

TEST_TUNNEL_INLINE void DatagramSocket::wait(short events, std::string_view awaited) const {
    const auto supervisor = supervisor_.lock();
    const auto what = fmt::format("{} ({})", awaited, name());
    if (!wait_for(event(events), Deadline::after(timeout_), supervisor.get(), what)) {
        throw TimedOut{
            fmt::format("nothing for {} while waiting for {}", text_of(scaled(timeout_)), what)};
    }
}

TEST_TUNNEL_INLINE void DatagramSocket::bind(const Endpoint& endpoint) {
    detail::SocketAddress address{endpoint};
    if (::bind(fd(), address.data(), *address.length()) == -1) {
        const int error = errno;
        throw SystemError{fmt::format("bind to {} (UDP)", endpoint), error};
    }
}

TEST_TUNNEL_INLINE void DatagramSocket::connect(const Endpoint& endpoint) {
    detail::SocketAddress address{endpoint};
    if (::connect(fd(), address.data(), *address.length()) == -1) {
        const int error = errno;
        throw SystemError{fmt::format("connect to {} ({})", endpoint, name()), error};
    }
}

TEST_TUNNEL_INLINE bool DatagramSocket::try_send(std::string_view data, const Endpoint* target) {
    detail::SocketAddress address;
    if (target != nullptr) {
        address = detail::SocketAddress{*target};
    }
    // What earlier datagrams have brought back fails the next call, once each.
    constexpr int most_errors = 64;
    for (int attempt = 0;; ++attempt) {
        const auto count = detail::retry_eintr([&] {
            return ::sendto(fd(), data.data(), data.size(), 0,
                            target == nullptr ? nullptr : address.data(),
                            target == nullptr ? 0 : *address.length());
        });
        const int error = errno;
        if (count >= 0) {
            return true;
        }
        if (error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS) {
            return false;
        }
        if (!detail::is_brought_back(error) || attempt == most_errors) {
            throw SystemError{fmt::format("send {} bytes{} ({})", data.size(),
                                          target == nullptr ? "" : " to " + target->text(), name()),
                              error};
        }
        collect_errors();
    }
}

TEST_TUNNEL_INLINE bool DatagramSocket::try_send(std::string_view data, const Endpoint& target) {
    return try_send(data, &target);
}

TEST_TUNNEL_INLINE void DatagramSocket::send(std::string_view data, const Endpoint* target) {
    while (!try_send(data, target)) {
        wait(POLLOUT, "a datagram to be taken");
    }
}

TEST_TUNNEL_INLINE void DatagramSocket::send(std::string_view data, const Endpoint& target) {
    send(data, &target);
}

TEST_TUNNEL_INLINE void DatagramSocket::send(std::string_view data) {
    send(data, nullptr);
}

TEST_TUNNEL_INLINE std::optional<Datagram> DatagramSocket::try_receive(std::size_t size) {
    static thread_local std::vector<char> buffer(whole);
    size = std::min(size, buffer.size());
    for (;;) {
        detail::Message message{buffer.data(), size};
        const auto count = detail::retry_eintr([&] { return ::recvmsg(fd(), message.head(), 0); });
        const int error = errno;
        if (count >= 0) {
#if TEST_TUNNEL_LINUX
            overflows_ = message.told<std::uint32_t>(SOL_SOCKET, SO_RXQ_OVFL).value_or(overflows_);
#endif
            Datagram result{.data = {buffer.data(), static_cast<std::size_t>(count)},
                            .from = message.from(),
                            .truncated = message.is_truncated()};
            if (const auto address = message.destination()) {
                result.to = Endpoint{*address, local().port};
            }
            return result;
        }
        if (error == EAGAIN || error == EWOULDBLOCK) {
            collect_errors(); // else the descriptor would stay ready
            return std::nullopt;
        }
        if (!detail::is_brought_back(error)) {
            throw SystemError{fmt::format("receive ({})", name()), error};
        }
        collect_errors();
#if !TEST_TUNNEL_LINUX
        errors_.push_back({.code = error});
#endif
    }
}

TEST_TUNNEL_INLINE Datagram DatagramSocket::receive() {
    const auto deadline = Deadline::after(timeout_);
    if (auto result = receive(deadline)) {
        return *std::move(result);
    }
    throw TimedOut{fmt::format("nothing for {} while waiting for a datagram ({})",
                               text_of(scaled(timeout_)), name())};
}

TEST_TUNNEL_INLINE std::optional<Datagram> DatagramSocket::receive(Deadline deadline) {
    const auto supervisor = supervisor_.lock();
    for (;;) {
        if (supervisor) {
            supervisor->require_time("a datagram");
        }
        if (auto result = try_receive()) {
            return result;
        }
        if (!wait_for(event(POLLIN), deadline, supervisor.get(), "a datagram")) {
            return std::nullopt;
        }
    }
}

#if TEST_TUNNEL_LINUX

/// Empties the queue of errors (ip(7), IP_RECVERR).
TEST_TUNNEL_INLINE void DatagramSocket::collect_errors() {
    constexpr std::size_t most_kept = 256;
    for (;;) {
        std::array<char, 1> part{};
        detail::Message message{part.data(), part.size()};
        const auto count = detail::retry_eintr(
            [&] { return ::recvmsg(fd(), message.head(), MSG_ERRQUEUE | MSG_DONTWAIT); });
        if (count == -1) {
            return;
        }
        auto told = message.told<sock_extended_err>(IPPROTO_IP, IP_RECVERR);
        if (!told) {
            told = message.told<sock_extended_err>(IPPROTO_IPV6, IPV6_RECVERR);
        }
        if (told && errors_.size() < most_kept) {
            DatagramError error{.code = static_cast<int>(told->ee_errno)};
            if (message.has_name()) {
                error.target = message.from();
            }
            errors_.push_back(error);
        }
    }
}

#else

TEST_TUNNEL_INLINE void DatagramSocket::collect_errors() {}

#endif

TEST_TUNNEL_INLINE std::vector<DatagramError> DatagramSocket::take_errors() {
    collect_errors();
    return std::exchange(errors_, {});
}

TEST_TUNNEL_INLINE std::optional<DatagramError> DatagramSocket::take_error_of(
    const Endpoint& target) {
    collect_errors();
    std::optional<DatagramError> result;
    std::erase_if(errors_, [&](const DatagramError& error) {
        const bool is_of = !error.target || *error.target == target;
        if (is_of) {
            result = error;
        }
        return is_of;
    });
    return result;
}

TEST_TUNNEL_INLINE void DatagramSocket::set_receive_buffer(std::size_t size) {
    const int value = static_cast<int>(size);
    detail::checked(::setsockopt(fd(), SOL_SOCKET, SO_RCVBUF, &value, sizeof value),
                    "setsockopt(SO_RCVBUF)");
}

} // namespace test_tunnel
