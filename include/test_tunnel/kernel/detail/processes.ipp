#pragma once

#include <sys/types.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/detail/platform.hpp"
#include "test_tunnel/kernel/processes.hpp"

#if TEST_TUNNEL_LINUX
#include <limits.h> // NOLINT(modernize-deprecated-headers): PATH_MAX is POSIX, not C
#include <unistd.h>

#include <array>
#include <chrono>

#include "test_tunnel/base/detail/escape.hpp"
#include "test_tunnel/base/detail/file_io.hpp"
#include "test_tunnel/base/detail/number.hpp"
#include "test_tunnel/kernel/detail/proc_files.hpp"
#endif

namespace test_tunnel {

#if TEST_TUNNEL_LINUX

TEST_TUNNEL_INLINE std::string process_name(pid_t pid) {
    const auto name = detail::read_file(fmt::format("/proc/{}/comm", pid)).value_or("");
    return name.substr(0, name.find('\n'));
}

TEST_TUNNEL_INLINE std::optional<std::string> program_of(pid_t pid) {
    std::array<char, PATH_MAX> path{};
    const auto length =
        ::readlink(fmt::format("/proc/{}/exe", pid).c_str(), path.data(), path.size());
    return length == -1 ? std::nullopt
                        : std::optional{std::string{path.data(), static_cast<std::size_t>(length)}};
}

TEST_TUNNEL_INLINE std::optional<std::vector<pid_t>> all_processes() {
    return detail::numbers_in("/proc");
}

TEST_TUNNEL_INLINE std::vector<pid_t> descendants_of(pid_t pid) {
    std::vector<pid_t> result;
    for (const pid_t child : detail::children_of(pid)) {
        const auto family = descendants_of(child);
        result.insert(result.end(), family.begin(), family.end());
    }
    result.push_back(pid);
    return result;
}

TEST_TUNNEL_INLINE std::optional<bool> is_idle(pid_t pid) {
    const auto process = fmt::format("/proc/{}", pid);
    const auto whole = detail::state_of(process + "/stat"); // a thread's own status is set later
    if (whole.ends) {
        return whole.status == 0;
    }
    const auto threads = detail::numbers_in(process + "/task");
    return !threads.empty() && std::all_of(threads.begin(), threads.end(), [&](pid_t thread) {
        return detail::state_of(fmt::format("{}/task/{}/stat", process, thread)).letter == 'S';
    });
}

TEST_TUNNEL_INLINE std::map<pid_t, CpuTime> cpu_times_of(pid_t pid) {
    std::map<pid_t, CpuTime> result;
    for (const pid_t thread : detail::numbers_in(fmt::format("/proc/{}/task", pid))) {
        // "ran waited slices", in nanoseconds (Documentation/scheduler/sched-stats.rst).
        const auto line =
            detail::read_file(fmt::format("/proc/{}/task/{}/schedstat", pid, thread)).value_or("");
        auto rest = std::string_view{line}.substr(0, line.find('\n'));
        const auto ran = detail::read_number<std::int64_t>(detail::next_word(rest));
        const auto waited = detail::read_number<std::int64_t>(detail::next_word(rest));
        const auto turns = detail::read_number<std::uint64_t>(detail::next_word(rest));
        if (ran && waited && turns) {
            result[thread] = {std::chrono::nanoseconds{*ran}, std::chrono::nanoseconds{*waited},
                              *turns};
        }
    }
    return result;
}

TEST_TUNNEL_INLINE std::optional<std::uint64_t> peak_memory_of(pid_t pid) {
    // A zombie has none.
    return detail::bytes_in(detail::read_file(fmt::format("/proc/{}/status", pid)).value_or(""),
                            "VmHWM:");
}

TEST_TUNNEL_INLINE std::string own_command_line() {
    std::string result;
    const auto words = detail::read_file("/proc/self/cmdline").value_or("");
    for (std::size_t begin = 0; begin < words.size();) {
        const auto end = std::min(words.find('\0', begin), words.size());
        result +=
            (result.empty() ? "" : " ") + detail::shell_quote(words.substr(begin, end - begin));
        begin = end + 1;
    }
    return result;
}

#else

TEST_TUNNEL_INLINE std::string process_name(pid_t /*pid*/) {
    return {};
}

TEST_TUNNEL_INLINE std::optional<std::string> program_of(pid_t /*pid*/) {
    return std::nullopt;
}

TEST_TUNNEL_INLINE std::optional<std::vector<pid_t>> all_processes() {
    return std::nullopt;
}

TEST_TUNNEL_INLINE std::vector<pid_t> descendants_of(pid_t pid) {
    return {pid};
}

TEST_TUNNEL_INLINE std::optional<bool> is_idle(pid_t /*pid*/) {
    return std::nullopt;
}

TEST_TUNNEL_INLINE std::map<pid_t, CpuTime> cpu_times_of(pid_t /*pid*/) {
    return {};
}

TEST_TUNNEL_INLINE std::optional<std::uint64_t> peak_memory_of(pid_t /*pid*/) {
    return std::nullopt;
}

TEST_TUNNEL_INLINE std::string own_command_line() {
    return {};
}

#endif

} // namespace test_tunnel
