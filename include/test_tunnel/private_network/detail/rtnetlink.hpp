#pragma once

#include "test_tunnel/base/detail/platform.hpp"

#if TEST_TUNNEL_LINUX

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/base/detail/unique_fd.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel::detail {

/// The kernel's network configuration (rtnetlink(7)), of the network namespace in which the object
/// was made. Every call waits for the kernel's answer and throws SystemError where it is no.
class Rtnetlink {
public:
    Rtnetlink()
        : fd_{checked(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE),
                      "socket(AF_NETLINK)")} {}

    void set_up(unsigned interface) {
        ifinfomsg body{};
        body.ifi_index = static_cast<int>(interface);
        body.ifi_flags = IFF_UP;
        body.ifi_change = IFF_UP;
        request(RTM_NEWLINK, 0, as_bytes(body), "set an interface up");
    }

    /// Adds an address without duplicate-address detection: it can be used at once.
    void add_address(unsigned interface, const Address& address) {
        ifaddrmsg body{};
        body.ifa_family = static_cast<std::uint8_t>(address.family());
        body.ifa_prefixlen = static_cast<std::uint8_t>(prefix_length(address.family()));
        body.ifa_flags = IFA_F_PERMANENT | IFA_F_NODAD;
        body.ifa_scope = RT_SCOPE_UNIVERSE;
        body.ifa_index = interface;
        const auto packed = address.packed();
        request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL,
                as_bytes(body) + attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed),
                fmt::format("add the address {}", address));
    }

private:
    template <typename Body>
    static std::string as_bytes(const Body& body) {
        std::string result(NLMSG_ALIGN(sizeof body), '\0');
        std::memcpy(result.data(), &body, sizeof body);
        return result;
    }

    static std::string attribute(std::uint16_t type, std::string_view value) {
        rtattr head{};
        head.rta_len = static_cast<std::uint16_t>(RTA_LENGTH(value.size()));
        head.rta_type = type;
        auto result = as_bytes(head) + std::string{value};
        result.resize(RTA_ALIGN(result.size()));
        return result;
    }

    void request(std::uint16_t type, std::uint16_t flags, const std::string& body,
                 std::string_view attempted) {
        nlmsghdr head{};
        head.nlmsg_len = static_cast<std::uint32_t>(NLMSG_LENGTH(body.size()));
        head.nlmsg_type = type;
        head.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
        const auto message = as_bytes(head) + body;
        checked(::send(fd_.get(), message.data(), message.size(), 0), attempted);

        struct {
            nlmsghdr head;
            nlmsgerr body;
        } answer{};
        checked(retry_eintr([&] { return ::recv(fd_.get(), &answer, sizeof answer, 0); }),
                attempted);
        if (answer.head.nlmsg_type != NLMSG_ERROR) {
            throw SystemError{attempted, EPROTO};
        }
        if (answer.body.error != 0) {
            throw SystemError{attempted, -answer.body.error};
        }
    }

    UniqueFd fd_;
};

} // namespace test_tunnel::detail

#endif
