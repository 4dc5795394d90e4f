#pragma once

// How many descriptors a process may have.

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "test_tunnel/base/detail/inline.hpp"

namespace test_tunnel {

/// The limit of a process's descriptors (RLIMIT_NOFILE, setrlimit(2)): their numbers are less.
struct DescriptorLimit {
    /// What holds now; the process itself may change it.
    std::uint64_t soft = 0;
    /// Up to which it may be raised.
    std::uint64_t hard = 0;
};

/// Returns the limit of a process; nothing where this user may not know, and on systems other than
/// Linux of any other process than this one.
std::optional<DescriptorLimit> descriptor_limit(pid_t pid);

/// Changes what holds now; descriptors that are open already stay so. Returns false where this user
/// may not do so, where `soft` is more than the process may have, and on systems other than Linux
/// for any other process than this one.
bool set_descriptor_limit(pid_t pid, std::uint64_t soft);

/// Returns the highest number among a process's descriptors; nothing where it has none, this user
/// may not know, or the system can't tell (on all but Linux).
std::optional<std::uint64_t> highest_descriptor(pid_t pid);

/// Returns the number that a process's next descriptor will have: the lowest one that is free.
/// Nothing as for the highest one.
std::optional<std::uint64_t> next_descriptor(pid_t pid);

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/kernel/detail/descriptor_limit.ipp" // IWYU pragma: export
#endif
