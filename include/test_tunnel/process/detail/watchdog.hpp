#pragma once

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sched.h>
#include <signal.h> // NOLINT(modernize-deprecated-headers): kill is POSIX, not C
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/base/detail/unique_fd.hpp"
#include "test_tunnel/process/detail/child.hpp"

namespace test_tunnel::detail {

/// The variable in the environment of every tool by which those are recognized that have left its
/// process group: the mark of the tool, after those of the tools that its harness stems from
/// itself.
inline constexpr std::string_view tool_mark = "TEST_TUNNEL_TOOL";

/// The name of every watchdog's process: one whose harness is under test itself ends without help.
inline constexpr const char* watchdog_name = "tool-watchdog";

/// Removes a directory with all that is in it, as far as that is possible; follows no links.
inline void remove_tree(const std::string& path) noexcept {
    const auto remove_one = [](const char* entry, const struct stat* /*info*/, int /*type*/,
                               FTW* /*position*/) {
        static_cast<void>(std::remove(entry)); // the next may go
        return 0;
    };
    constexpr int descriptors = 16;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the current directory stays what it is
    ::nftw(path.c_str(), remove_one, descriptors, FTW_DEPTH | FTW_PHYS);
}

/// A small process that outlives the harness, however that ends, to end the tools and remove
/// the directories that it could not: SIGKILL leaves a harness no time for its own destructors, and
/// the parent-death signal reaches its children, but not theirs.
class Watchdog {
public:
    /// Returns the watchdog of this process; the first call starts it and waits until it runs. A
    /// process that was forked off gets its own. Throws SystemError where it can't start.
    static Watchdog& instance() {
        auto& watchdog = started();
        watchdog.await_start();
        return watchdog;
    }

    /// Starts the one of this process when it begins to live, and waits for it at its end.
    class Start {
    public:
        Start() { started(); }
        ~Start() {
            try {
                started().await_start();
            } catch (const SystemError&) { // who needs it gets told
            }
        }
        Start(const Start&) = delete;
        Start& operator=(const Start&) = delete;
    };

    /// Returns a mark for one more tool of this process.
    [[nodiscard]] std::string new_mark() { return fmt::format("{}.{}", mark_, ++tools_); }

    /// Returns the watchdog's own process id, so that it isn't taken for something that a tool left
    /// behind.
    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

    /// Ends this process group, should the harness not do so.
    void guard(pid_t group) {
        groups_.push_back(group);
        tell({Action::guard, group});
    }

    /// Ends the guarding of a group. To be called before its leader is reaped: its number may
    /// belong to others then.
    void release(pid_t group) {
        groups_.erase(std::remove(groups_.begin(), groups_.end(), group), groups_.end());
        tell({Action::release, group});
    }

    /// Removes this directory, should the harness not do so.
    void guard(const std::string& directory) { tell({Action::guard, 0}, directory); }
    void release(const std::string& directory) { tell({Action::release, 0}, directory); }

    /// Returns whether this is a tool that has been started and not been reaped.
    [[nodiscard]] bool guards(pid_t pid) const {
        return std::find(groups_.begin(), groups_.end(), pid) != groups_.end();
    }

private:
    enum class Action : int { guard, release };
    struct Order {
        Action action = Action::guard;
        pid_t group = 0;
        /// The length of the directory's name that follows.
        std::size_t length = 0;
    };

    static Watchdog& started() {
        static Watchdog watchdog;
        if (watchdog.owner_ != ::getpid()) {
            watchdog = Watchdog{};
        }
        return watchdog;
    }

    /// Waits until it is no descendant of this process any more.
    void await_start() {
        static std::mutex mutex;
        const std::lock_guard lock{mutex};
        if (starting_ == -1) {
            return;
        }
        retry_eintr([&] { return ::waitpid(starting_, nullptr, 0); });
        starting_ = -1;
        const auto answer = std::move(answer_);
        const auto count = retry_eintr([&] { return ::read(answer.get(), &pid_, sizeof pid_); });
        if (count != sizeof pid_ || pid_ == -1) {
            owner_ = -1; // the next call of `started` tries again
            throw SystemError{"start the watchdog", EAGAIN};
        }
    }

    Watchdog() : owner_{::getpid()} {
        mark_ = fmt::format("{}-{}", owner_,
                            std::chrono::steady_clock::now().time_since_epoch().count());
        // Not a pipe: should somebody kill the watchdog, a write must not raise SIGPIPE.
        std::array<int, 2> ends{};
        checked(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), "socketpair");
        set_no_sigpipe(ends[0]);
        const UniqueFd low_here{ends[0]};
        const UniqueFd low_there{ends[1]};
        // Out of the way of the standard streams, which the harness may open again, and of those
        // that the watchdog keeps.
        orders_ = UniqueFd{checked(::fcntl(ends[0], F_DUPFD_CLOEXEC, kept_harness + 1), "fcntl")};
        const UniqueFd orders{
            checked(::fcntl(ends[1], F_DUPFD_CLOEXEC, kept_harness + 1), "fcntl")};
#if TEST_TUNNEL_LINUX
        const UniqueFd low_self{static_cast<int>(::syscall(SYS_pidfd_open, owner_, 0U))};
        const UniqueFd self{low_self ? ::fcntl(low_self.get(), F_DUPFD_CLOEXEC, kept_harness + 1)
                                     : -1};
#else
        const UniqueFd self{};
#endif
        Pipe answer = make_pipe();
        // Twice: it shall not be a child that somebody who waits for any child would find.
        const pid_t between = checked(::fork(), "fork");
        if (between == 0) {
#if TEST_TUNNEL_LINUX
            // Here, so that the watchdog is known by its name from the start.
            ::prctl(PR_SET_NAME, watchdog_name);
            // An order, or the end, wakes it on the harness's CPU, which shall not wait for it.
            const sched_param priority{};
            ::sched_setscheduler(0, SCHED_BATCH, &priority);
#endif
            const pid_t watching = ::fork();
            if (watching == 0) {
                watch(orders.get(), self.get(), mark_);
            }
            [[maybe_unused]] const auto count =
                ::write(answer.write_end.get(), &watching, sizeof watching);
            ::_exit(0);
        }
        starting_ = between;
        answer_ = std::move(answer.read_end);
    }

    void tell(Order order, std::string_view directory = {}) const {
        order.length = directory.size();
        std::string message(sizeof order, '\0');
        std::memcpy(message.data(), &order, sizeof order);
        message += directory;
        send_quietly(orders_.get(), message);
    }

    template <typename Value>
    static void change(std::vector<Value>& guarded, Action action, const Value& value) {
        if (action == Action::guard) {
            guarded.push_back(value);
        } else {
            guarded.erase(std::remove(guarded.begin(), guarded.end(), value), guarded.end());
        }
    }

    /// Receives a part of an order; false where there is nobody any more who could send it.
    static bool receive(int orders, void* data, std::size_t size) {
        return retry_eintr([&] { return ::recv(orders, data, size, MSG_WAITALL); }) ==
               static_cast<ssize_t>(size);
    }

    /// Waits for an order; false where the harness is gone and has left none. Others, which it has
    /// forked, may have the other end of the orders for longer.
    static bool await_order() {
        std::array<pollfd, 2> fds{{{.fd = kept_orders, .events = POLLIN, .revents = 0},
                                   {.fd = kept_harness, .events = POLLIN, .revents = 0}}};
        // Where there is no pidfd, the end of the orders is that of the harness.
        fds[1].fd = ::fcntl(kept_harness, F_GETFD) == -1 ? -1 : kept_harness;
        retry_eintr([&] { return ::poll(fds.data(), fds.size(), -1); });
        return fds[0].revents != 0;
    }

    /// The watchdog's life: it ends when the harness has.
    [[noreturn]] static void watch(int orders, int harness, const std::string& mark) {
        ::setsid(); // a Ctrl-C for the harness is none for it
        for (const int other : {0, 1, 2, kept_harness}) {
            ::close(other);
        }
        ::dup2(orders, kept_orders);
        ::dup2(harness, kept_harness);
        close_from(kept_harness + 1); // its own end of the orders too
        for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) {
            ::signal(signal, SIG_IGN);
        }
        std::vector<pid_t> groups;
        std::vector<std::string> directories;
        Order order{};
        while (await_order() && receive(kept_orders, &order, sizeof order)) {
            if (order.length == 0) {
                change(groups, order.action, order.group);
                continue;
            }
            std::string directory(order.length, '\0');
            if (receive(kept_orders, directory.data(), directory.size())) {
                change(directories, order.action, directory);
            }
        }
        for (const pid_t group : groups) {
            ::kill(-group, SIGKILL);
        }
        kill_marked(mark);
        for (const auto& directory : directories) {
            remove_tree(directory);
        }
        ::_exit(0);
    }

    static void kill_marked(std::string_view mark);

    /// The watchdog's only descriptors.
    static constexpr int kept_orders = 3;
    static constexpr int kept_harness = 4;

    pid_t owner_;
    pid_t pid_ = -1;
    /// The process that starts it; -1 when that has been waited for.
    pid_t starting_ = -1;
    /// The pipe from which its pid can be read then.
    UniqueFd answer_;
    std::string mark_;
    unsigned tools_ = 0;
    std::vector<pid_t> groups_;
    UniqueFd orders_;
};

} // namespace test_tunnel::detail
