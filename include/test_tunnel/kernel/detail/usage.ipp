#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/detail/platform.hpp"
#include "test_tunnel/kernel/usage.hpp"

#if TEST_TUNNEL_LINUX
#include <limits.h> // NOLINT(modernize-deprecated-headers): PATH_MAX is POSIX, not C
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <string_view>
#include <utility>

#include "test_tunnel/kernel/tcp_sockets.hpp"

#include "test_tunnel/base/detail/file_io.hpp"
#include "test_tunnel/kernel/detail/proc_files.hpp"
#endif

namespace test_tunnel {

TEST_TUNNEL_INLINE std::string ToolUsage::text() const {
    return fmt::format("{} descriptors, {} processes, {} threads, {} zombies", descriptors(),
                       processes, threads, zombies);
}

TEST_TUNNEL_INLINE bool ToolUsage::is_near(const ToolUsage& before, std::size_t slack) const {
    return descriptors() <= before.descriptors() + slack && processes <= before.processes + slack &&
           threads <= before.threads + slack && zombies <= before.zombies + slack;
}

TEST_TUNNEL_INLINE ToolUsage& ToolUsage::operator+=(const ToolUsage& other) {
    const auto sum = [](std::optional<std::uint64_t> one, std::optional<std::uint64_t> another) {
        return one && another ? std::optional{*one + *another} : std::nullopt;
    };
    cpu += other.cpu;
    private_memory = sum(private_memory, other.private_memory);
    memory = sum(memory, other.memory);
    address_space += other.address_space;
    files += other.files;
    pipes += other.pipes;
    sockets += other.sockets;
    others += other.others;
    processes += other.processes;
    threads += other.threads;
    zombies += other.zombies;
    return *this;
}

#if TEST_TUNNEL_LINUX

namespace detail {

/// Counts the descriptors of a process, by kind, and adds the numbers of its sockets.
inline void count_descriptors(const std::string& process, ToolUsage& usage,
                              std::vector<std::uint64_t>& sockets) {
    const auto directory = process + "/fd";
    for (const pid_t descriptor : numbers_in(directory)) {
        // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): readlink() fills it
        std::array<char, PATH_MAX> target;
        const auto length = ::readlink(fmt::format("{}/{}", directory, descriptor).c_str(),
                                       target.data(), target.size());
        const std::string_view text{target.data(),
                                    static_cast<std::size_t>(std::max<ssize_t>(length, 0))};
        constexpr std::string_view socket = "socket:[";
        if (text.starts_with(socket)) {
            std::uint64_t inode = 0;
            std::from_chars(text.data() + socket.size(), text.data() + text.size(), inode);
            sockets.push_back(inode);
        }
        ++(text.starts_with(socket)          ? usage.sockets
           : text.starts_with("pipe:")       ? usage.pipes
           : text.starts_with("anon_inode:") ? usage.others
                                             : usage.files);
    }
}

/// Returns what one process uses, but for the states of its sockets, whose numbers it adds.
inline ToolUsage usage_of_process(pid_t pid, std::vector<std::uint64_t>& sockets) {
    const auto process = fmt::format("/proc/{}", pid);
    const auto state = detail::state_of(process + "/stat");
    ToolUsage result;
    if (state.letter == 'Z') {
        result.zombies = 1;
        return result;
    }
    if (state.letter == 0) {
        return result;
    }
    result.processes = 1;
    result.threads = detail::numbers_in(process + "/task").size();
    const std::chrono::duration<double> cpu{static_cast<double>(state.cpu_ticks) /
                                            static_cast<double>(::sysconf(_SC_CLK_TCK))};
    result.cpu = std::chrono::duration_cast<Duration>(cpu);
    result.address_space = static_cast<std::uint64_t>(state.address_space);
    detail::count_descriptors(process, result, sockets);
    // Empty where it may not be read, and where the process has ended meanwhile.
    const auto memory = detail::read_file(process + "/smaps_rollup").value_or("");
    result.private_memory = bytes_in(memory, "Private_Dirty:");
    result.memory = bytes_in(memory, "Pss:");
    return result;
}

} // namespace detail

TEST_TUNNEL_INLINE std::optional<ToolUsage> usage_of(pid_t pid) {
    return usage_of(std::vector{pid});
}

TEST_TUNNEL_INLINE std::optional<ToolUsage> usage_of(const std::vector<pid_t>& pids) {
    ToolUsage result;
    std::vector<std::uint64_t> sockets;
    for (const pid_t pid : pids) {
        result += detail::usage_of_process(pid, sockets);
    }
    result.tcp = tcp_states_of(std::move(sockets));
    return result;
}

TEST_TUNNEL_INLINE std::optional<Holding> holding_of(const std::vector<pid_t>& pids,
                                                     WithMemory with_memory) {
    Holding result;
    for (const pid_t pid : pids) {
        const auto process = fmt::format("/proc/{}", pid);
        result.descriptors += detail::numbers_in(process + "/fd").size();
        if (with_memory == WithMemory::yes) {
            const auto text = detail::read_file(process + "/smaps_rollup").value_or("");
            result.memory += detail::bytes_in(text, "Pss:").value_or(0);
        }
    }
    return result;
}

#else

TEST_TUNNEL_INLINE std::optional<ToolUsage> usage_of(pid_t /*pid*/) {
    return std::nullopt;
}

TEST_TUNNEL_INLINE std::optional<ToolUsage> usage_of(const std::vector<pid_t>& /*pids*/) {
    return std::nullopt;
}

TEST_TUNNEL_INLINE std::optional<Holding> holding_of(const std::vector<pid_t>& /*pids*/,
                                                     WithMemory /*with_memory*/) {
    return std::nullopt;
}

#endif

} // namespace test_tunnel
