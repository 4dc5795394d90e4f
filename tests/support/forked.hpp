#pragma once

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h> // NOLINT(modernize-deprecated-headers): kill is POSIX, not C
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#include <test_tunnel/base/detail/system.hpp>
#include <test_tunnel/base/detail/unique_fd.hpp>
#include <test_tunnel/net/wait.hpp>

#include <array>
#include <chrono>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace support {

struct Pipe {
    Pipe() {
        std::array<int, 2> ends{};
        test_tunnel::detail::checked(::pipe2(ends.data(), O_CLOEXEC), "pipe");
        read_end = test_tunnel::detail::UniqueFd{ends[0]};
        write_end = test_tunnel::detail::UniqueFd{ends[1]};
    }

    test_tunnel::detail::UniqueFd read_end;
    test_tunnel::detail::UniqueFd write_end;
};

/// A copy of this process that does something, tells the test one text, and then stays, with all
/// that it holds, until it is killed: by `kill`, the destructor, or the end of the test. No
/// assertions in it.
class Forked {
public:
    /// `body` returns the text; where it throws, that is "threw: " and the error's.
    template <typename Body>
    explicit Forked(Body body) {
        pid_ = test_tunnel::detail::checked(::fork(), "fork");
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            std::string text;
            try {
                text = body();
            } catch (const std::exception& error) {
                text = std::string{"threw: "} + error.what();
            }
            test_tunnel::detail::retry_eintr(
                [&] { return ::write(told_.write_end.get(), text.data(), text.size()); });
            told_.write_end.reset();
            for (;;) {
                ::pause();
            }
        }
        told_.write_end.reset();
    }

    Forked(Forked&& other) noexcept
        : pid_{std::exchange(other.pid_, -1)}, told_{std::move(other.told_)} {}
    Forked(const Forked&) = delete;
    Forked& operator=(const Forked&) = delete;
    Forked& operator=(Forked&&) = delete;
    ~Forked() { kill(); }

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

    /// What it tells. Throws TimedOut.
    [[nodiscard]] std::string text() {
        std::string result;
        for (;;) {
            constexpr auto patience = std::chrono::seconds{30};
            constexpr auto awaited = "what a forked process tells";
            if (!test_tunnel::wait_for({.fd = told_.read_end.get(), .events = POLLIN},
                                       test_tunnel::Deadline::after(patience), nullptr, awaited)) {
                throw test_tunnel::TimedOut{awaited};
            }
            std::array<char, 4096> buffer{};
            const auto count = test_tunnel::detail::retry_eintr(
                [&] { return ::read(told_.read_end.get(), buffer.data(), buffer.size()); });
            if (count <= 0) {
                return result;
            }
            result.append(buffer.data(), static_cast<std::size_t>(count));
        }
    }

    /// By SIGKILL; returns when it has ended.
    void kill() noexcept { end_by(SIGKILL); }

    /// By a signal that ends it; returns the status, as waitpid(2) tells it, when it has ended.
    int end_by(int signal) noexcept {
        int status = 0;
        if (pid_ > 0) {
            ::kill(pid_, signal);
            test_tunnel::detail::retry_eintr([&] { return ::waitpid(pid_, &status, 0); });
            pid_ = -1;
        }
        return status;
    }

private:
    pid_t pid_ = -1;
    Pipe told_;
};

/// Becomes nobody, for good: without any right, and a process as it is after a login.
inline void become_nobody() {
    constexpr unsigned nobody = 65534;
    test_tunnel::detail::checked(::setgroups(0, nullptr), "setgroups");
    test_tunnel::detail::checked(::setgid(nobody), "setgid");
    test_tunnel::detail::checked(::setuid(nobody), "setuid");
    // A process that has changed its user may not write its own /proc/self/uid_map otherwise.
    ::prctl(PR_SET_DUMPABLE, 1);
}

} // namespace support
