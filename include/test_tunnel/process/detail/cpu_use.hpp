#pragma once

// What a tool gets of the processors, and what it would like to get.

#include <sys/types.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/kernel/processes.hpp"
#include "test_tunnel/process/detail/listeners.hpp"
#include "test_tunnel/process/server.hpp"

namespace test_tunnel::detail {

/// Returns the times of all threads of the tool's processes.
inline std::map<pid_t, CpuTime> cpu_times_of(const Server& server) {
    std::map<pid_t, CpuTime> result;
    for (const pid_t pid : pids_of(server.processes())) {
        result.merge(test_tunnel::cpu_times_of(pid));
    }
    return result;
}

/// What a tool has had of the processors since a moment; zeros where the system can't tell.
class CpuUse {
public:
    explicit CpuUse(const Server& server) : server_{server}, before_{cpu_times_of(server)} {}

    /// Looks again.
    void look() {
        ran_ = waited_ = wanted_ = Duration::zero();
        for (const auto& [thread, time] : cpu_times_of(server_)) {
            const auto found = before_.find(thread);
            const auto earlier = found == before_.end() ? CpuTime{} : found->second;
            const auto ran = time.ran - earlier.ran;
            const auto waited = time.waited - earlier.waited;
            ran_ += ran;
            waited_ += waited;
            const auto turns = std::max<std::uint64_t>(time.turns - earlier.turns, 1);
            wanted_ += ran + (ran / turns < long_turn ? Duration::zero() : waited);
        }
    }

    /// How long it was by the last look.
    [[nodiscard]] Duration elapsed() const { return Clock::now() - since_; }
    /// For how long its threads had run by the last look, all together.
    [[nodiscard]] Duration ran() const { return ran_; }
    /// For how long they had waited for a processor.
    [[nodiscard]] Duration waited() const { return waited_; }
    /// For how long they had run, or would have if there had been a processor. Of a thread that
    /// sleeps again as soon as it has run, what it waited does not count: it has to wait each time
    /// that it wakes up, and would not run for longer if there were more processors.
    [[nodiscard]] Duration wanted() const { return wanted_; }

private:
    /// What wants to run on is interrupted by the system after some milliseconds, or where others
    /// wake up; what wakes up and sleeps again runs for some ten microseconds.
    static constexpr Duration long_turn = std::chrono::microseconds{200};

    const Server& server_;
    Clock::time_point since_ = Clock::now();
    std::map<pid_t, CpuTime> before_;
    Duration ran_{};
    Duration waited_{};
    Duration wanted_{};
};

} // namespace test_tunnel::detail
