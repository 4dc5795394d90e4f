#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <cerrno>
#include <string_view>

#include "test_tunnel/base/detail/platform.hpp"
#include "test_tunnel/base/detail/unique_fd.hpp"
#include "test_tunnel/base/error.hpp"

#if TEST_TUNNEL_LINUX
#include <sys/prctl.h>
#endif

namespace test_tunnel::detail {

/// Calls `call` until it is not interrupted by a signal, and returns its result; errno is that of
/// the last call.
template <typename Call>
auto retry_eintr(Call call) {
    auto result = call();
    while (result == -1 && errno == EINTR) {
        result = call();
    }
    return result;
}

/// Returns the result of a system call; throws SystemError, with what was `attempted`, where the
/// call failed.
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

/// Keeps `send_quietly` from raising SIGPIPE on systems where that is set on the socket. To be
/// called before there is a connection, or as soon as there is one.
inline void set_no_sigpipe([[maybe_unused]] int fd) noexcept {
#ifndef MSG_NOSIGNAL // macOS; it refuses to where the other side is gone
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
}

/// Sends as send(2) does, but raises no SIGPIPE where nobody reads any more.
inline ssize_t send_quietly(int fd, std::string_view data) noexcept {
#ifdef MSG_NOSIGNAL
    constexpr int flags = MSG_NOSIGNAL;
#else
    constexpr int flags = 0;
#endif
    return retry_eintr([&] { return ::send(fd, data.data(), data.size(), flags); });
}

inline void prepare_socket(int fd) {
    set_cloexec(fd);
    set_nonblocking(fd);
    set_no_sigpipe(fd);
}

/// Returns a new socket that is closed on exec and does not block. Throws SystemError.
inline UniqueFd open_socket(int family, int type, std::string_view attempted) {
#if TEST_TUNNEL_LINUX
    return UniqueFd{checked(::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), attempted)};
#else
    UniqueFd fd{checked(::socket(family, type, 0), attempted)};
    prepare_socket(fd.get());
    return fd;
#endif
}

/// Accepts a connection that waits; its descriptor is closed on exec and does not block. Returns an
/// empty one, with an errno, where there is none.
inline UniqueFd accept_socket(int fd, sockaddr* from, socklen_t* length) {
#if TEST_TUNNEL_LINUX
    return UniqueFd{
        retry_eintr([&] { return ::accept4(fd, from, length, SOCK_CLOEXEC | SOCK_NONBLOCK); })};
#else
    UniqueFd accepted{retry_eintr([&] { return ::accept(fd, from, length); })};
    if (accepted) {
        prepare_socket(accepted.get());
    }
    return accepted;
#endif
}

/// Has TCP end the connection by a reset when the last descriptor of this socket is closed.
inline void reset_when_closed(int fd) noexcept {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

/// While it lives, the waits of this thread end when they are due, and not up to 50 microseconds
/// later, as Linux has it otherwise (timer slack). Processes that are started meanwhile inherit
/// that.
class PromptTimers {
public:
    PromptTimers() noexcept { set_slack(1); }
    ~PromptTimers() { set_slack(before_); }
    PromptTimers(const PromptTimers&) = delete;
    PromptTimers& operator=(const PromptTimers&) = delete;

private:
#if TEST_TUNNEL_LINUX
    static void set_slack(int nanoseconds) noexcept {
        if (nanoseconds > 0) {
            // All of its arguments are read, says valgrind.
            ::prctl(PR_SET_TIMERSLACK, static_cast<unsigned long>(nanoseconds), 0UL, 0UL, 0UL);
        }
    }

    int before_ = ::prctl(PR_GET_TIMERSLACK);
#else
    static void set_slack(int /*nanoseconds*/) noexcept {}

    int before_ = 0;
#endif
};

} // namespace test_tunnel::detail
