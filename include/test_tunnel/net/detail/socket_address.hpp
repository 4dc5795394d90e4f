#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstring>
#include <string_view>

#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel::detail {

/// An endpoint in the form in which the socket calls take and return it.
class SocketAddress {
public:
    /// Makes an empty one, for a call to fill in.
    SocketAddress() = default;

    explicit SocketAddress(const Endpoint& endpoint) {
        const auto packed = endpoint.address.packed();
        if (endpoint.address.family() == Family::ipv4) {
            sockaddr_in in{};
            in.sin_family = AF_INET;
            in.sin_port = htons(endpoint.port);
            std::memcpy(&in.sin_addr, packed.data(), packed.size());
            std::memcpy(&storage_, &in, sizeof in);
            length_ = sizeof in;
        } else {
            sockaddr_in6 in6{};
            in6.sin6_family = AF_INET6;
            in6.sin6_port = htons(endpoint.port);
            in6.sin6_scope_id = endpoint.address.scope();
            std::memcpy(&in6.sin6_addr, packed.data(), packed.size());
            std::memcpy(&storage_, &in6, sizeof in6);
            length_ = sizeof in6;
        }
    }

    [[nodiscard]] sockaddr* data() noexcept {
        return reinterpret_cast<sockaddr*>(&storage_); // NOLINT(*-reinterpret-cast): the API's
    }
    [[nodiscard]] socklen_t* length() noexcept { return &length_; }

    /// Returns the endpoint. Throws UnsupportedAddressFamily.
    [[nodiscard]] Endpoint endpoint() const {
        sockaddr_in6 in6{};
        // sin_port and sin6_port stand at the same offset.
        static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
        std::memcpy(&in6, &storage_, sizeof in6);
        return {Address::from_sockaddr(reinterpret_cast<const sockaddr&>(storage_)), // NOLINT
                ntohs(in6.sin6_port)};
    }

private:
    sockaddr_storage storage_{};
    socklen_t length_ = sizeof(sockaddr_storage);
};

/// Returns the endpoint that `call`, getsockname(2) or getpeername(2), tells of a descriptor.
/// Throws SystemError.
template <typename Call>
Endpoint socket_name(Call call, int fd, std::string_view name) {
    SocketAddress address;
    checked(call(fd, address.data(), address.length()), name);
    return address.endpoint();
}

} // namespace test_tunnel::detail
