#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "test_tunnel/base/deadline.hpp"

namespace test_tunnel {

/// What processes have used in their whole lives, as the system tells it.
struct ResourceUse {
    /// The time that processors spent on them, and on what they had started and waited for, in
    /// their own code and in the system.
    Duration cpu{};
    /// The most memory, in bytes, that one of them had resident at once, shared or not, as the
    /// system told when it was told to end; or what all of them and their children had together
    /// when that was looked at (PSS), where that was more. 0 where it is unknown (on all but
    /// Linux).
    std::uint64_t peak_memory = 0;
    /// The most descriptors that all of them and their children had together when that was looked
    /// at; 0 where that is unknown.
    std::size_t peak_descriptors = 0;

    /// Adds what another process has used.
    ResourceUse& operator+=(const ResourceUse& other) {
        cpu += other.cpu;
        peak_memory = std::max(peak_memory, other.peak_memory);
        peak_descriptors = std::max(peak_descriptors, other.peak_descriptors);
        return *this;
    }
};

} // namespace test_tunnel
