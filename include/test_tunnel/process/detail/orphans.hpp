#pragma once

#include <signal.h> // NOLINT(modernize-deprecated-headers): kill is POSIX, not C
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/platform.hpp"
#include "test_tunnel/kernel/processes.hpp"
#include "test_tunnel/net/detail/poll.hpp"
#include "test_tunnel/process/detail/watchdog.hpp"

#if TEST_TUNNEL_LINUX
#include <sys/prctl.h>

#include "test_tunnel/base/detail/file_io.hpp"
#include "test_tunnel/kernel/detail/proc_files.hpp"
#endif

namespace test_tunnel::detail {

/// A process that a tool has started and not waited for.
struct Orphan {
    pid_t pid;
    std::string name;
};

/// Returns whether one of `pids` is among the orphans.
inline bool any_of(const std::vector<Orphan>& orphans, const std::vector<pid_t>& pids) {
    return std::any_of(orphans.begin(), orphans.end(), [&](const Orphan& orphan) {
        return std::find(pids.begin(), pids.end(), orphan.pid) != pids.end();
    });
}

/// Returns whether all of them wait for something; true where the system can't tell.
inline bool are_idle(const std::vector<Orphan>& orphans) {
    return std::all_of(orphans.begin(), orphans.end(),
                       [](const Orphan& orphan) { return is_idle(orphan.pid).value_or(true); });
}

#if TEST_TUNNEL_LINUX

/// Has whoever loses its parent become a child of this process from now on, so that it can be
/// found. Some tell their parent by a signal what they have done, and mean the one that they had:
/// SIGUSR1 and SIGUSR2, which would end this process, are ignored unless it does something on them.
inline void adopt_orphans() {
    if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
        return;
    }
    for (const int signal : {SIGUSR1, SIGUSR2}) {
        struct sigaction action {};
        if (::sigaction(signal, nullptr, &action) == 0 && (action.sa_flags & SA_SIGINFO) == 0 &&
            action.sa_handler == SIG_DFL) {
            action.sa_handler = SIG_IGN;
            ::sigaction(signal, &action, nullptr);
        }
    }
}

/// Returns the value of `tool_mark` in the environment that a process was started with; nothing
/// where it has none. A zombie has none, and some programs overwrite it to show a title.
inline std::optional<std::string> marks_of(pid_t pid) {
    const auto environment = '\0' + read_file(fmt::format("/proc/{}/environ", pid)).value_or("");
    const auto variable = fmt::format("{}{}=", '\0', tool_mark);
    const auto found = environment.find(variable);
    if (found == std::string::npos) {
        return std::nullopt;
    }
    const auto value = environment.substr(found + variable.size());
    return value.substr(0, value.find('\0'));
}

/// Returns whether `mark`, or where it ends in a dot, one that begins like this, is among `marks`.
inline bool has_mark(std::string_view marks, std::string_view mark) {
    for (auto word = next_word(marks); !word.empty(); word = next_word(marks)) {
        if (word == mark || (mark.ends_with('.') && word.starts_with(mark))) {
            return true;
        }
    }
    return false;
}

/// Returns whether a process stems from the tool with this group and mark.
inline bool is_descendant_of(pid_t pid, pid_t group, std::string_view mark) {
    const auto& watchdog = Watchdog::instance();
    if (watchdog.guards(pid) || pid == watchdog.pid()) {
        return false;
    }
    // In a group of its own it may be in the tool's session still.
    const pid_t session = ::getsid(pid);
    if (::getpgid(pid) == group || session == group) {
        return true;
    }
    if (watchdog.guards(session)) {
        return false;
    }
    if (const auto marks = marks_of(pid)) {
        return has_mark(*marks, mark);
    }
    // Not marked: its parents tell, and where it has none but this process, its session tells it
    // from a child that the test itself has started.
    const pid_t parent = parent_of(pid);
    if (parent == ::getpid()) {
        return session != ::getsid(0);
    }
    return parent == group || (parent > 1 && is_descendant_of(parent, group, mark));
}

/// Returns the processes that a tool has left to this process; those that have ended are reaped.
inline std::vector<Orphan> orphans(pid_t group, std::string_view mark) {
    constexpr int most_rounds = 100; // for those that leave one another without end
    for (int round = 0;; ++round) {
        std::vector<Orphan> result;
        bool any_reaped = false;
        for (const pid_t pid : children_of(::getpid())) {
            if (!is_descendant_of(pid, group, mark)) {
                continue;
            }
            const pid_t reaped = ::waitpid(pid, nullptr, WNOHANG);
            any_reaped = any_reaped || reaped == pid;
            if (reaped == 0) {
                result.push_back({pid, process_name(pid)});
            }
        }
        // One that has ended since the children were read has left its own to this process.
        if (!any_reaped || !result.empty() || round == most_rounds) {
            return result;
        }
    }
}

/// Sends SIGTERM to the children that a wrapper, which ran `program` and has died of that signal,
/// has left to this process, and returns them: a shell waits for its tool without telling it.
/// What runs the wrapper's own program is no tool of its: one that leaves workers behind is at
/// fault.
inline std::vector<pid_t> terminate_wrapped_tool(const std::vector<Orphan>& left,
                                                 const std::string& program) {
    std::vector<pid_t> result;
    for (const auto& orphan : left) {
        const auto own = program_of(orphan.pid);
        if (!program.empty() && own && *own != program && ::kill(orphan.pid, SIGTERM) == 0) {
            ::kill(orphan.pid, SIGCONT); // a stopped process takes no SIGTERM
            result.push_back(orphan.pid);
        }
    }
    return result;
}

/// Ends all that a tool has left, children's children too: these turn up when their parents are
/// gone.
inline void end_orphans(pid_t group, std::string_view mark) {
    // Not for ever: one that has changed its user may be out of reach.
    const auto deadline = Deadline::after(std::chrono::seconds{2});
    constexpr auto pause = std::chrono::microseconds{200};
    for (auto left = orphans(group, mark); !left.empty() && !deadline.passed();
         left = orphans(group, mark)) {
        for (const auto& orphan : left) {
            if (orphan.name != watchdog_name) {
                ::kill(orphan.pid, SIGKILL);
            }
        }
        poll_once({}, pause);
    }
}

inline void Watchdog::kill_marked(std::string_view mark) {
    const auto any_tool = fmt::format("{}.", mark);
    // Again where there was one: it may have started others meanwhile. One that can't be ended is
    // no reason to stay.
    constexpr int most_rounds = 100;
    bool any = true;
    for (int round = 0; any && round < most_rounds; ++round) {
        any = false;
        for (const pid_t pid : numbers_in("/proc")) {
            const auto marks = marks_of(pid);
            if (marks && has_mark(*marks, any_tool) && process_name(pid) != watchdog_name) {
                any = ::kill(pid, SIGKILL) == 0 || any;
            }
        }
    }
}

#else

inline void adopt_orphans() {}

inline std::vector<Orphan> orphans(pid_t /*group*/, std::string_view /*mark*/) {
    return {};
}
inline bool is_descendant_of(pid_t /*pid*/, pid_t /*group*/, std::string_view /*mark*/) {
    return false;
}
inline std::vector<pid_t> terminate_wrapped_tool(const std::vector<Orphan>& /*left*/,
                                                 const std::string& /*program*/) {
    return {};
}
inline void end_orphans(pid_t /*group*/, std::string_view /*mark*/) {}
inline void Watchdog::kill_marked(std::string_view /*mark*/) {}

#endif

} // namespace test_tunnel::detail
