#pragma once

// What only the system can tell of processes. Only Linux answers; elsewhere all is unknown.

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/inline.hpp"

namespace test_tunnel {

/// Returns the name of a process, as the system has it; empty where that is unknown, or where there
/// is no such process.
std::string process_name(pid_t pid);

/// Returns the path of the file that a process runs; nothing for one that has ended, and where this
/// user may not know.
std::optional<std::string> program_of(pid_t pid);

/// Returns all processes of this machine that this user can see; nothing where they are unknown.
std::optional<std::vector<pid_t>> all_processes();

/// Returns a process and all that stem from it, each behind those that stem from itself; only the
/// process itself where the others are unknown.
std::vector<pid_t> descendants_of(pid_t pid);

/// Returns whether every thread of a process waits for something, or the process is about to end
/// with status 0; false where there is no such process. Nothing where the system can't tell.
std::optional<bool> is_idle(pid_t pid);

/// What a thread has had of the processors since it began.
struct CpuTime {
    /// For how long it has run.
    Duration ran{};
    /// For how long it has waited for a processor when it could have run.
    Duration waited{};
    /// How many times it was given one.
    std::uint64_t turns = 0;
};

/// Returns the times of all threads of a process, by their numbers. Empty where there is no such
/// process, or where the system can't tell.
std::map<pid_t, CpuTime> cpu_times_of(pid_t pid);

/// Returns the most memory, in bytes, that a process has had resident at once. Nothing where there
/// is no such process, or where the system can't tell.
std::optional<std::uint64_t> peak_memory_of(pid_t pid);

/// Returns how this program was started, as it can be pasted into a shell; empty where that is
/// unknown.
std::string own_command_line();

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/kernel/detail/processes.ipp" // IWYU pragma: export
#endif
