#pragma once

#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdint>
#include <optional>
#include <set>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/detail/platform.hpp"
#include "test_tunnel/kernel/descriptor_limit.hpp"

#if TEST_TUNNEL_LINUX
#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/kernel/detail/proc_files.hpp"
#endif

namespace test_tunnel {

namespace detail {

/// Does what getrlimit(2) and setrlimit(2) do for a process; either may be null.
inline bool exchange_limit(pid_t pid, const rlimit* now, rlimit* before) {
#if TEST_TUNNEL_LINUX
    return ::prlimit(pid, RLIMIT_NOFILE, now, before) == 0;
#else
    return pid == ::getpid() && (before == nullptr || ::getrlimit(RLIMIT_NOFILE, before) == 0) &&
           (now == nullptr || ::setrlimit(RLIMIT_NOFILE, now) == 0);
#endif
}

/// Returns the numbers of its descriptors; none where the system can't tell.
inline std::set<std::uint64_t> descriptors_of([[maybe_unused]] pid_t pid) {
    std::set<std::uint64_t> result;
#if TEST_TUNNEL_LINUX
    for (const int fd : numbers_in(fmt::format("/proc/{}/fd", pid))) {
        result.insert(static_cast<std::uint64_t>(fd));
    }
#endif
    return result;
}

} // namespace detail

TEST_TUNNEL_INLINE std::optional<DescriptorLimit> descriptor_limit(pid_t pid) {
    rlimit limit{};
    if (!detail::exchange_limit(pid, nullptr, &limit)) {
        return std::nullopt;
    }
    return DescriptorLimit{limit.rlim_cur, limit.rlim_max};
}

TEST_TUNNEL_INLINE bool set_descriptor_limit(pid_t pid, std::uint64_t soft) {
    rlimit limit{};
    if (!detail::exchange_limit(pid, nullptr, &limit) || soft > limit.rlim_max) {
        return false;
    }
    limit.rlim_cur = static_cast<rlim_t>(soft);
    return detail::exchange_limit(pid, &limit, nullptr);
}

TEST_TUNNEL_INLINE std::optional<std::uint64_t> highest_descriptor(pid_t pid) {
    const auto all = detail::descriptors_of(pid);
    return all.empty() ? std::nullopt : std::optional{*all.rbegin()};
}

TEST_TUNNEL_INLINE std::optional<std::uint64_t> next_descriptor(pid_t pid) {
    const auto all = detail::descriptors_of(pid);
    if (all.empty()) {
        return std::nullopt;
    }
    std::uint64_t result = 0;
    while (all.contains(result)) {
        ++result;
    }
    return result;
}

} // namespace test_tunnel
