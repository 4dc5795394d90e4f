#pragma once

// What processes use of the machine. Only Linux tells; elsewhere all is unknown.

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/kernel/tcp_socket.hpp" // IWYU pragma: export

namespace test_tunnel {

/// What a process uses, or all of a tool's together, as far as this user may know.
struct ToolUsage {
    /// The time that processors have spent on it so far, in steps of some 10 ms; not on children
    /// that have ended.
    Duration cpu{};
    /// The memory that would be free if it ended, in bytes: what it has written to, and shares with
    /// nobody. Nothing where one of its processes may not be asked.
    std::optional<std::uint64_t> private_memory = 0;
    /// Its private memory, and its part of what it shares with others, in bytes (PSS).
    std::optional<std::uint64_t> memory = 0;
    /// All that its addresses may refer to, in bytes, whether there is anything or not.
    std::uint64_t address_space = 0;
    /// Descriptors of files and devices.
    std::size_t files = 0;
    /// Descriptors of pipes and FIFOs.
    std::size_t pipes = 0;
    /// Descriptors of sockets of any kind.
    std::size_t sockets = 0;
    /// Descriptors of other things: epoll, timers, events.
    std::size_t others = 0;
    /// In which states its TCP sockets are, each counted once, however many processes share it.
    /// Nothing where that is unknown, or would take milliseconds (`tcp_states_of`).
    std::optional<TcpStates> tcp = TcpStates{};
    /// Processes that run.
    std::size_t processes = 0;
    /// At least one for each process that runs.
    std::size_t threads = 0;
    /// Processes that have ended, and for which their parent has not waited yet.
    std::size_t zombies = 0;

    /// Descriptors of all kinds.
    [[nodiscard]] std::size_t descriptors() const { return files + pipes + sockets + others; }

    /// "7 descriptors, 1 processes, 1 threads, 0 zombies"
    [[nodiscard]] std::string text() const;

    /// Whether it has at most `slack` more descriptors than `before`, and as for threads, processes
    /// and zombies.
    [[nodiscard]] bool is_near(const ToolUsage& before, std::size_t slack) const;

    /// Adds what other processes use, but for `tcp`: what they share would be counted twice.
    ToolUsage& operator+=(const ToolUsage& other);
};

/// Returns what one process uses, without its children; zeros where there is no such process.
/// Nothing where the system can't tell. Takes a tenth of a millisecond, more or less.
std::optional<ToolUsage> usage_of(pid_t pid);
/// Returns what several processes use together, as for one.
std::optional<ToolUsage> usage_of(const std::vector<pid_t>& pids);

/// What processes hold, as it is told most quickly.
struct Holding {
    /// Private memory, and the part of what is shared with others, in bytes (PSS).
    std::uint64_t memory = 0;
    /// Descriptors of all kinds.
    std::size_t descriptors = 0;
};

/// Whether to look at memory, which is slower: the system goes through all of it.
enum class WithMemory { yes, no };

/// Returns how many descriptors processes have together, and how much memory where that is asked
/// for; 0 of those that are not there, or of which this user may not know. Nothing where the system
/// can't tell.
std::optional<Holding> holding_of(const std::vector<pid_t>& pids, WithMemory with_memory);

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/kernel/detail/usage.ipp" // IWYU pragma: export
#endif
