#pragma once

// The most that a tool holds at once, as far as it was looked at.

#include <algorithm>
#include <utility>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/kernel/usage.hpp"
#include "test_tunnel/process/resource_use.hpp"
#include "test_tunnel/process/server.hpp"
#include "test_tunnel/process/tool_usage.hpp"

namespace test_tunnel::detail {

/// Looks, whenever there is an occasion, at what a tool holds, as long as that takes no more than a
/// hundredth of the time: the memory of a large tool is gone through for it.
class PeakUse {
public:
    /// The tool has made a connection, whose descriptor here is `fd`. The system gives the lowest
    /// number that is free: a higher one than ever says that there are more connections than ever.
    void look_at_connection(const Server& tool, int fd) {
        constexpr int steps = 16; // of many, each step is a part: else a crowd would be looked at
                                  // once for each of its members
        if (fd > highest_ + highest_ / steps) {
            highest_ = fd;
            look(tool, may_take_time() ? WithMemory::yes : WithMemory::no);
        }
    }

    /// There is time to look.
    void look(const Server& tool) {
        if (may_take_time()) {
            look(tool, WithMemory::yes);
        }
    }

    /// The most that was seen.
    [[nodiscard]] const ResourceUse& seen() const noexcept { return seen_; }

private:
    [[nodiscard]] bool may_take_time() const {
        constexpr int part = 100;
        return spent_ * part <= Clock::now() - since_;
    }

    void look(const Server& tool, WithMemory with_memory) {
        const auto began = Clock::now();
        if (const auto holding = holding_of(processes_of(tool), with_memory)) {
            seen_ += ResourceUse{.peak_memory = holding->memory,
                                 .peak_descriptors = holding->descriptors};
        }
        spent_ += Clock::now() - began;
    }

    ResourceUse seen_;
    Clock::time_point since_ = Clock::now();
    Duration spent_{};
    int highest_ = 0;
};

} // namespace test_tunnel::detail
