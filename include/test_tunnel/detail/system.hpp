#pragma once

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <string_view>

#include "../error.hpp"

namespace test_tunnel::detail {

/// Calls `call` until it is not interrupted by a signal; errno is the last call's.
template <typename Call>
auto retry_eintr(Call call) {
    auto result = call();
    while (result == -1 && errno == EINTR) {
        result = call();
    }
    return result;
}

/// The result of a system call, or SystemError with what was attempted.
template <typename Result>
Result checked(Result result, std::string_view attempted) {
    if (result == -1) {
        throw SystemError{attempted, errno};
    }
    return result;
}

/// Whether an errno tells of something that this process or machine has run out of, or that
/// somebody else has taken: no tool under test can be blamed for that.
constexpr bool is_own_fault(int error) {
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS ||
           error == EADDRINUSE || error == EADDRNOTAVAIL;
}

inline void set_nonblocking(int fd) {
    const int flags = checked(::fcntl(fd, F_GETFL), "fcntl(F_GETFL)");
    checked(::fcntl(fd, F_SETFL, flags | O_NONBLOCK), "fcntl(F_SETFL, O_NONBLOCK)");
}

inline void set_cloexec(int fd) {
    checked(::fcntl(fd, F_SETFD, FD_CLOEXEC), "fcntl(F_SETFD, FD_CLOEXEC)");
}

/// Has TCP end the connection by a reset when the last descriptor of this socket is closed.
inline void reset_when_closed(int fd) noexcept {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

} // namespace test_tunnel::detail
