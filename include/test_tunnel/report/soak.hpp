#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "test_tunnel/base/deadline.hpp"

namespace test_tunnel {

/// How something that a tool holds has developed during a soak.
struct Trend {
    /// What it is: "descriptors", "bytes of memory", "threads".
    std::string name;
    /// How much there was after the first rounds (a median).
    double first = 0;
    /// How much there was after the last rounds (a median).
    double last = 0;
    /// How much has come with each thousand of connections: the median of the slopes between all
    /// rounds (Theil-Sen).
    double per_thousand = 0;
};

/// How long something took during a soak; each is exact to 4 %.
struct TimesTaken {
    /// What was done: "connect", "round trip".
    std::string name;
    /// How often it was done.
    std::size_t count = 0;
    /// Half of them took no longer.
    Duration p50{};
    /// Nine in ten took no longer.
    Duration p90{};
    /// All but one in a hundred took no longer.
    Duration p99{};
    /// The longest.
    Duration max{};
};

/// What came of it that one tool was tested again and again (`Config::soak`).
struct Soak {
    /// How long that was.
    Duration duration{};
    /// How many rounds there were, the last of which may have failed.
    std::size_t rounds = 0;
    /// How many connections were made to the tool that ran in the end.
    std::size_t connections = 0;
    /// What it held; empty where the system does not tell, or where there were too few rounds with
    /// one tool.
    std::vector<Trend> trends{};
    /// How long it took its clients, while others were connected.
    std::vector<TimesTaken> times{};
};

} // namespace test_tunnel
