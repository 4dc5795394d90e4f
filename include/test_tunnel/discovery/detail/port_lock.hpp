#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "test_tunnel/base/detail/platform.hpp"
#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/base/detail/unique_fd.hpp"

namespace test_tunnel::detail {

/// The right to use a block of port numbers, among all harnesses of this machine (on Linux: of
/// this network namespace). Held as long as the object lives; a crash releases it.
///
/// On Linux the lock is an abstract Unix socket, which lives and dies with the process that bound
/// it and, like the ports, belongs to a network namespace. Elsewhere it is a UDP port of
/// the same number, which a tool that wants UDP too might miss.
class PortLock {
public:
    /// Ports are given out by blocks, so that thousands of them take few descriptors.
    static constexpr std::uint16_t block_size = 16;

    /// Takes the lock on the block that `port` stands in; nothing where another harness has it.
    /// Throws SystemError.
    static std::optional<PortLock> take(std::uint16_t port) {
        const unsigned block = port / block_size;
#if TEST_TUNNEL_LINUX
        auto fd = open_socket(AF_UNIX, SOCK_DGRAM, "socket(AF_UNIX)");
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        // The leading NUL makes it an abstract name: no file, no permissions, nothing to remove.
        const auto name = '\0' + fmt::format("test-tunnel/ports/{}", block);
        std::memcpy(&address.sun_path[0], name.data(), name.size());
        const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
#else
        auto fd = open_socket(AF_INET, SOCK_DGRAM, "socket(AF_INET, SOCK_DGRAM)");
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        // The last port of a block is never above 65535, the first one may be 0: "any".
        address.sin_port = htons(static_cast<std::uint16_t>(block * block_size + block_size - 1));
        const socklen_t length = sizeof address;
#endif
        // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the API's way
        if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) == -1) {
            const int error = errno;
            if (error == EADDRINUSE || error == EACCES) {
                return std::nullopt;
            }
            throw SystemError{fmt::format("lock of port {}", port), error};
        }
        return PortLock{std::move(fd)};
    }

private:
    explicit PortLock(UniqueFd fd) : fd_{std::move(fd)} {}

    UniqueFd fd_;
};

} // namespace test_tunnel::detail
