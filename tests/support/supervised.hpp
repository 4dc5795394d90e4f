#pragma once

// Tools that start others, and how it is seen that those have ended.

#include <sys/wait.h>
#include <test_tunnel/base/deadline.hpp>
#include <test_tunnel/net/detail/poll.hpp>
#include <test_tunnel/net/supervisor.hpp>
#include <test_tunnel/net/wait.hpp>
#include <test_tunnel/process/process.hpp>

#include <cerrno>
#include <chrono>
#include <deque>
#include <string>
#include <utility>

#include "child.hpp"
#include "fifo.hpp"

namespace support {

/// The number after "pid " in what a child has printed.
inline pid_t told_pid(const std::string& output) {
    const auto found = output.find("pid ");
    return found == std::string::npos ? -1 : std::stoi(output.substr(found + 4));
}

inline pid_t told_pid(test_tunnel::Process& process) {
    test_tunnel::detail::pump(process, soon(),
                              [&] { return process.out().find("pid ") != std::string::npos; });
    return told_pid(process.out());
}

/// Waits until this process, which adopts whoever loses its parent, has no child any more: so all
/// that stemmed from it have ended.
inline bool all_have_ended() {
    const auto deadline = soon();
    for (;;) {
        const pid_t pid = ::waitpid(-1, nullptr, WNOHANG);
        if (pid == -1) {
            return errno == ECHILD;
        }
        if (pid == 0) {
            if (deadline.passed()) {
                return false;
            }
            test_tunnel::detail::poll_once({}, std::chrono::milliseconds{2});
        }
    }
}

/// Keeps a tool until this process, a forked harness, is killed.
inline test_tunnel::Process& keep(test_tunnel::Process process) {
    static std::deque<test_tunnel::Process> kept;
    kept.push_back(std::move(process));
    return kept.back();
}

/// A process that a tool leaves behind: it holds the FIFO and tells its pid.
class Straggling {
public:
    /// What the tool is told: `how` is how it starts the orphan, which then does `what`.
    [[nodiscard]] Words words(Words how, const Words& what = {"wait"}) const {
        for (const auto& word : Words{"say-pid", "hold", fifo_.path(), "create", there_}) {
            how.push_back(word);
        }
        how.insert(how.end(), what.begin(), what.end());
        how.emplace_back("parent");
        return how;
    }

    /// What the tool does until the orphan is there.
    [[nodiscard]] Words await() const { return {"await", there_}; }

    [[nodiscard]] const Fifo& fifo() const { return fifo_; }

private:
    TemporaryDirectory directory_;
    Fifo fifo_;
    std::string there_ = directory_.file("there");
};

} // namespace support
