#pragma once

#include <chrono>

namespace support {

/// Much longer than a test may take: what ends earlier has not waited for it.
inline constexpr std::chrono::seconds long_time{60};
/// For what must not happen.
inline constexpr std::chrono::milliseconds short_time{50};

} // namespace support
