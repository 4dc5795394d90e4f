#pragma once

// What the benchmarks share: medians, lines of one table, processes of which the cost is known.

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h> // NOLINT(modernize-deprecated-headers): kill is POSIX, not C
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <test_tunnel/base/deadline.hpp>
#include <test_tunnel/base/detail/file_io.hpp>
#include <test_tunnel/base/detail/system.hpp>
#include <test_tunnel/base/detail/unique_fd.hpp>
#include <test_tunnel/base/error.hpp>
#include <test_tunnel/config/config.hpp>
#include <test_tunnel/net/detail/poll.hpp>
#include <test_tunnel/process/detail/child.hpp>
#include <test_tunnel/run/tunnel.hpp>
#include <utility>
#include <vector>

namespace bench {

inline double milliseconds(test_tunnel::Duration duration) {
    return std::chrono::duration<double, std::milli>{duration}.count();
}

inline double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

/// One line of the table. Where there is no budget, the line only reports.
struct Row {
    std::string what;
    std::string measured;
    std::string against = "—";
    std::string ratio = "—";
    std::string budget = "reported";
    std::optional<bool> is_kept{};
};

inline void print(const Row& row) {
    const auto* const verdict = !row.is_kept ? "" : *row.is_kept ? "kept" : "**missed**";
    fmt::print("| {} | {} | {} | {} | {} | {} |\n", row.what, row.measured, row.against, row.ratio,
               row.budget, verdict);
    std::fflush(stdout);
}

/// What one run of a process has cost.
struct Cost {
    double wall = 0;
    /// The CPU time of the process itself and of all that it has started, in milliseconds.
    double own = 0;
    double others = 0;
    /// The most that any of them had in memory, in KiB.
    long peak = 0;
    /// What it has printed.
    std::string output;
};

/// Runs a process to its end. Throws Error, with what it has printed, where its status is not 0 or
/// it takes a minute.
inline Cost run_process(std::vector<std::string> argv,
                        const test_tunnel::Environment& environment) {
    using namespace test_tunnel;
    const detail::UniqueFd output{detail::checked(::memfd_create("output", 0), "memfd_create")};
    const auto output_path = fmt::format("/proc/self/fd/{}", output.get());
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, output.get(), 1);
    ::posix_spawn_file_actions_adddup2(&actions, output.get(), 2);
    std::vector<std::string> variables;
    for (const auto& [name, value] : environment) {
        variables.push_back(fmt::format("{}={}", name, value));
    }
    const auto words = detail::pointers_to(argv);
    const auto env = detail::pointers_to(variables);

    pid_t pid = -1;
    const auto started = Clock::now();
    const int error =
        ::posix_spawnp(&pid, words.front(), &actions, nullptr, words.data(), env.data());
    ::posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        throw SystemError{argv.front(), error};
    }
    const detail::UniqueFd pidfd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U))};
    pollfd end{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
    constexpr auto longest = std::chrono::minutes{1};
    if (!detail::poll_once({&end, 1}, longest)) {
        ::kill(pid, SIGKILL);
    }
    Cost cost;
    cost.wall = milliseconds(Clock::now() - started);
    // A zombie still has it: nanoseconds on a CPU, its first word.
    const auto schedule = detail::read_file(fmt::format("/proc/{}/schedstat", pid)).value_or("0");
    cost.own = std::stod(schedule) / 1e6;
    int status = 0;
    rusage usage{};
    detail::retry_eintr([&] { return ::wait4(pid, &status, 0, &usage); });
    const auto of = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
    };
    cost.others = std::max(0.0, of(usage.ru_utime) + of(usage.ru_stime) - cost.own);
    cost.peak = usage.ru_maxrss;
    cost.output = detail::read_file(output_path).value_or("");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        throw Error{fmt::format("{}: status {}\n{}", argv.front(), status, cost.output)};
    }
    return cost;
}

/// The most that this process has had in memory so far, in KiB.
inline long peak_memory() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/// Says nothing of what is measured, and gives a check the time that it takes.
inline test_tunnel::ConfigProg quiet(std::string prog) {
    test_tunnel::ConfigProg config;
    config.log = std::make_shared<test_tunnel::Logger>("bench");
    config.prog = std::move(prog);
    config.timeouts.check = std::chrono::minutes{5};
    return config;
}

/// Throws where the tunnel has failed.
inline void require_passed(const test_tunnel::PairResult& result) {
    for (const auto& check : result.checks) {
        if (check.outcome != test_tunnel::Outcome::passed) {
            throw test_tunnel::Error{check.account};
        }
    }
}

} // namespace bench
