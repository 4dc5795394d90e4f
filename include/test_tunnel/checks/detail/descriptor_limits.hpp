#pragma once

// Limits of descriptors, for as long as a check needs them.

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "test_tunnel/kernel/descriptor_limit.hpp"
#include "test_tunnel/process/tool_usage.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Leaves each process of a tool that runs, and those that it starts from then on, just a few more
/// descriptors than it has, as long as this is there.
class ScarceDescriptors {
public:
    ScarceDescriptors(const Server& tool, std::uint64_t spare) {
        for (const pid_t pid : processes_of(tool)) {
            const auto limit = descriptor_limit(pid);
            const auto highest = highest_descriptor(pid);
            if (limit && highest &&
                set_descriptor_limit(pid, std::min(limit->soft, *highest + 1 + spare))) {
                before_.emplace_back(pid, limit->soft);
            }
        }
    }

    /// Leaves those processes that have used up nearly all of them none at all, until they close
    /// some; not one that has a process for each connection, and needs hardly any itself.
    void take_all() {
        constexpr std::uint64_t few = 8; // may be free, since the next connection needs more
        for (const auto& [pid, soft] : before_) {
            const auto next = next_descriptor(pid);
            const auto limit = descriptor_limit(pid);
            if (next && limit && *next + few >= limit->soft) {
                set_descriptor_limit(pid, *next);
            }
        }
    }

    ScarceDescriptors(const ScarceDescriptors&) = delete;
    ScarceDescriptors& operator=(const ScarceDescriptors&) = delete;
    ~ScarceDescriptors() {
        for (const auto& [pid, soft] : before_) {
            set_descriptor_limit(pid, soft);
        }
    }

    /// Whether any of them has such a limit: this user may not be allowed to set it.
    [[nodiscard]] bool are_scarce() const noexcept { return !before_.empty(); }

private:
    std::vector<std::pair<pid_t, std::uint64_t>> before_;
};

/// Lets this process, and what it starts, have many descriptors, as long as this is there.
class ManyDescriptors {
public:
    explicit ManyDescriptors(std::uint64_t wanted)
        : before_{descriptor_limit(::getpid()).value_or(DescriptorLimit{})},
          allowed_{std::max(before_.soft, std::min(wanted, before_.hard))} {
        set_descriptor_limit(::getpid(), allowed_);
    }
    ManyDescriptors(const ManyDescriptors&) = delete;
    ManyDescriptors& operator=(const ManyDescriptors&) = delete;
    ~ManyDescriptors() { set_descriptor_limit(::getpid(), before_.soft); }

    /// How many it may have.
    [[nodiscard]] std::uint64_t allowed() const noexcept { return allowed_; }

private:
    DescriptorLimit before_;
    std::uint64_t allowed_;
};

} // namespace test_tunnel::check
