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

#include "../deadline.hpp"
#include "../watch.hpp"
#include "kernel_tables.hpp"
#include "platform.hpp"
#include "watchdog.hpp"

#if TEST_TUNNEL_LINUX
#include <sys/prctl.h>
#endif

namespace test_tunnel::detail {

/// A process that a tool has started and not waited for.
struct Straggler {
    pid_t pid;
    std::string name;
};

/// Whether one of `pids` is among these.
inline bool any_of(const std::vector<Straggler>& stragglers, const std::vector<pid_t>& pids) {
    return std::any_of(stragglers.begin(), stragglers.end(), [&](const Straggler& straggler) {
        return std::find(pids.begin(), pids.end(), straggler.pid) != pids.end();
    });
}

#if TEST_TUNNEL_LINUX

/// Whoever loses its parent becomes a child of this process from now on, and can be found.
inline void adopt_orphans() {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
}

/// The value of `tool_mark` in the environment that a process was started with. A zombie has none,
/// and some programs overwrite it to show a title.
inline std::optional<std::string> marks_of(pid_t pid) {
    const auto environment = '\0' + read_proc(fmt::format("/proc/{}/environ", pid)).value_or("");
    const auto variable = fmt::format("{}{}=", '\0', tool_mark);
    const auto found = environment.find(variable);
    if (found == std::string::npos) {
        return std::nullopt;
    }
    const auto value = environment.substr(found + variable.size());
    return value.substr(0, value.find('\0'));
}

/// Whether `mark`, or where it ends in a dot, one that begins like this, is among `marks`.
inline bool has_mark(std::string_view marks, std::string_view mark) {
    for (auto word = next_word(marks); !word.empty(); word = next_word(marks)) {
        if (word == mark || (mark.ends_with('.') && word.starts_with(mark))) {
            return true;
        }
    }
    return false;
}

/// Whether a process stems from the tool with this group and mark.
inline bool stems_from(pid_t pid, pid_t group, std::string_view mark) {
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
    return parent == group || (parent > 1 && stems_from(parent, group, mark));
}

/// The processes that a tool has left to this process; those that have ended are reaped.
inline std::vector<Straggler> stragglers(pid_t group, std::string_view mark) {
    constexpr int most_rounds = 100; // for those that leave one another without end
    for (int round = 0;; ++round) {
        std::vector<Straggler> result;
        bool any_reaped = false;
        for (const pid_t pid : children_of(::getpid())) {
            if (!stems_from(pid, group, mark)) {
                continue;
            }
            const pid_t reaped = ::waitpid(pid, nullptr, WNOHANG);
            any_reaped = any_reaped || reaped == pid;
            if (reaped == 0) {
                result.push_back({pid, name_of(pid)});
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
inline std::vector<pid_t> terminate_wrapped(const std::vector<Straggler>& left,
                                            const std::string& program) {
    std::vector<pid_t> result;
    for (const auto& straggler : left) {
        const auto own = program_of(straggler.pid);
        if (!program.empty() && own && *own != program && ::kill(straggler.pid, SIGTERM) == 0) {
            ::kill(straggler.pid, SIGCONT); // a stopped process takes no SIGTERM
            result.push_back(straggler.pid);
        }
    }
    return result;
}

/// Ends all that a tool has left, children's children too: these turn up when their parents are
/// gone.
inline void end_stragglers(pid_t group, std::string_view mark) {
    // Not for ever: one that has changed its user may be out of reach.
    const auto deadline = Deadline::after(std::chrono::seconds{2});
    constexpr auto pause = std::chrono::microseconds{200};
    for (auto left = stragglers(group, mark); !left.empty() && !deadline.passed();
         left = stragglers(group, mark)) {
        for (const auto& straggler : left) {
            if (straggler.name != watchdog_name) {
                ::kill(straggler.pid, SIGKILL);
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
            if (marks && has_mark(*marks, any_tool) && name_of(pid) != watchdog_name) {
                any = ::kill(pid, SIGKILL) == 0 || any;
            }
        }
    }
}

#else

inline void adopt_orphans() {}

inline std::vector<Straggler> stragglers(pid_t /*group*/, std::string_view /*mark*/) {
    return {};
}
inline std::optional<std::string> program_of(pid_t /*pid*/) {
    return std::nullopt;
}
inline bool has_tcp_socket(pid_t /*pid*/) {
    return false;
}
inline std::vector<pid_t> terminate_wrapped(const std::vector<Straggler>& /*left*/,
                                            const std::string& /*program*/) {
    return {};
}
inline void end_stragglers(pid_t /*group*/, std::string_view /*mark*/) {}
inline void Watchdog::kill_marked(std::string_view /*mark*/) {}

#endif

} // namespace test_tunnel::detail
