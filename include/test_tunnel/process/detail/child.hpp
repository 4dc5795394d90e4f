#pragma once

#include <fcntl.h>
#include <signal.h> // NOLINT(modernize-deprecated-headers): sigaction is POSIX, not C
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <vector>

#include "test_tunnel/base/detail/platform.hpp"
#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/base/detail/unique_fd.hpp"

#if TEST_TUNNEL_LINUX
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

namespace test_tunnel::detail {

struct Pipe {
    UniqueFd read_end;
    UniqueFd write_end;
};

/// Both ends close on exec and are above 2, even where this process has closed its standard
/// streams: so they can be moved onto a child's without being in each other's way.
inline Pipe make_pipe() {
    std::array<int, 2> ends{};
#if TEST_TUNNEL_LINUX
    checked(::pipe2(ends.data(), O_CLOEXEC), "pipe");
#else
    checked(::pipe(ends.data()), "pipe");
#endif
    const UniqueFd low_read{ends[0]};
    const UniqueFd low_write{ends[1]};
    return {UniqueFd{checked(::fcntl(ends[0], F_DUPFD_CLOEXEC, 3), "fcntl(F_DUPFD_CLOEXEC)")},
            UniqueFd{checked(::fcntl(ends[1], F_DUPFD_CLOEXEC, 3), "fcntl(F_DUPFD_CLOEXEC)")}};
}

/// All that a new child needs, made before there is one: between fork and exec it may neither
/// allocate nor lock anything.
struct ChildPlan {
    std::string path;
    std::vector<std::string> argv;
    std::vector<std::string> environment;
    /// Empty: the parent's.
    std::string directory;
    int out = -1;
    int err = -1;
};

/// What the child could not do, and its errno; zeros where it became the program.
struct ChildError {
    enum class Step : int { none, directory, exec };
    Step step = Step::none;
    int code = 0;
};

/// Throws InvalidConfig where the system would reap children by itself, their status unseen: a
/// disposition that some programs hand down to whatever they start.
inline void require_children_are_reported() {
    struct sigaction action {};
    ::sigaction(SIGCHLD, nullptr, &action);
    if (action.sa_handler == SIG_IGN || (action.sa_flags & SA_NOCLDWAIT) != 0) {
        throw InvalidConfig{
            "SIGCHLD is ignored, so the end of a process could not be seen; "
            "call signal(SIGCHLD, SIG_DFL) first"};
    }
}

inline std::vector<char*> pointers_to(std::vector<std::string>& strings) {
    std::vector<char*> result;
    result.reserve(strings.size() + 1);
    for (auto& string : strings) {
        result.push_back(string.data());
    }
    result.push_back(nullptr);
    return result;
}

inline void close_from(int first) noexcept {
#if TEST_TUNNEL_LINUX && defined(SYS_close_range)
    if (::syscall(SYS_close_range, static_cast<unsigned>(first), ~0U, 0U) == 0) {
        return;
    }
#endif
    rlimit limit{};
    constexpr rlim_t most = 65536; // "unlimited" must not take minutes
    const bool known = ::getrlimit(RLIMIT_NOFILE, &limit) == 0;
    const int end = static_cast<int>(known ? std::min(limit.rlim_cur, most) : most);
    for (int fd = first; fd < end; ++fd) {
        ::close(fd);
    }
}

/// Called in a new child of `parent`: it is killed when that ends, or has ended already. Does
/// nothing on systems other than Linux. Async-signal-safe.
inline void die_with([[maybe_unused]] pid_t parent) noexcept {
#if TEST_TUNNEL_LINUX
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) {
        ::_exit(127);
    }
#endif
}

/// Runs in the child, which after vfork() shares the parent's memory: only async-signal-safe calls.
[[noreturn]] inline void become(const ChildPlan& plan, char* const* argv, char* const* environment,
                                pid_t parent, int error_fd) noexcept {
    // A session and a group of its own: the tool and what it starts can be ended together, and are
    // told from what the test starts itself.
    ::setsid();
    // Killed harness, killed tool; and if the harness was gone before this line: no tool.
    die_with(parent);
    ChildError error;
    const int in = ::open("/dev/null", O_RDONLY);
    ::dup2(in, 0);
    ::dup2(plan.out, 1);
    ::dup2(plan.err, 2);
    constexpr int kept = 3;
    if (error_fd != kept) {
        ::dup2(error_fd, kept);
    }
    ::fcntl(kept, F_SETFD, FD_CLOEXEC);
    close_from(kept + 1);

    // Handlers would run in the parent's memory, and what the parent ignores is not the tool's
    // wish.
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    for (int signal = 1; signal < NSIG; ++signal) {
        ::sigaction(signal, &action, nullptr);
    }
    sigset_t none;
    ::sigemptyset(&none);
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);

    if (!plan.directory.empty() && ::chdir(plan.directory.c_str()) == -1) {
        error = {ChildError::Step::directory, errno};
    } else {
        ::execve(plan.path.c_str(), argv, environment);
        error = {ChildError::Step::exec, errno};
    }
    // Where even that fails, the parent sees a program that exits with 127.
    [[maybe_unused]] const auto written = ::write(kept, &error, sizeof error);
    ::_exit(127);
}

/// Starts a child. `error` tells what it could not do; it has been reaped then, and -1 is returned.
///
/// Not posix_spawn(3): that has no way to ask for the parent-death signal, without which a harness
/// that is killed leaves its tools behind. On Linux vfork(2), which takes no time that depends
/// on the harness's memory and suspends the parent until the child has become the program.
inline pid_t spawn_child(ChildPlan& plan, ChildError& error) {
    const auto argv = pointers_to(plan.argv);
    const auto environment = pointers_to(plan.environment);
    Pipe report = make_pipe();

    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t parent = ::getpid();
#if TEST_TUNNEL_LINUX
    const pid_t pid = ::vfork(); // NOLINT(clang-analyzer-security.insecureAPI.vfork)
#else
    const pid_t pid = ::fork();
#endif
    if (pid == 0) {
        // NOLINTNEXTLINE(clang-analyzer-unix.Vfork): its calls are async-signal-safe
        become(plan, argv.data(), environment.data(), parent, report.write_end.get());
    }
    const int fork_error = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (pid == -1) {
        throw SystemError{"fork", fork_error};
    }
    report.write_end.reset();
    const auto count =
        retry_eintr([&] { return ::read(report.read_end.get(), &error, sizeof error); });
    if (count == sizeof error) {
        int status = 0;
        retry_eintr([&] { return ::waitpid(pid, &status, 0); });
        return -1;
    }
    error = {};
    return pid;
}

} // namespace test_tunnel::detail
