#pragma once

// What a tool has used, for readers.

#include <cstdint>
#include <string>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/process/resource_use.hpp"

namespace test_tunnel::detail {

/// "4.2 MB"
inline std::string megabytes(std::uint64_t bytes) {
    constexpr double million = 1e6;
    return fmt::format("{:.1f} MB", static_cast<double>(bytes) / million);
}

/// "555 ms of CPU time, 16.3 MB of memory and 24 descriptors at most", as far as it is known;
/// empty where nothing is.
inline std::string use_text(const ResourceUse& use) {
    if (use.peak_memory == 0 && use.peak_descriptors == 0) {
        return {};
    }
    auto result = fmt::format("{} of CPU time", text_of(use.cpu));
    if (use.peak_memory > 0) {
        result += fmt::format(", {} of memory", megabytes(use.peak_memory));
    }
    if (use.peak_descriptors > 0) {
        result += fmt::format("{} {} descriptors", use.peak_memory > 0 ? " and" : ",",
                              use.peak_descriptors);
    }
    return result + " at most";
}

} // namespace test_tunnel::detail
