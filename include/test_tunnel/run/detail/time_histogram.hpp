#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/report/soak.hpp"

namespace test_tunnel::detail {

/// Counts how long something took, however often it is done, in the same memory: by powers of two,
/// each in 32 steps, so that no time is off by more than a thirty-second part.
class TimeHistogram {
public:
    void add(Duration time) {
        const auto value =
            std::uint64_t(std::max<Duration::rep>(std::chrono::nanoseconds{time}.count(), 0));
        ++counts_.at(index_of(value));
        ++count_;
        max_ = std::max(max_, time);
    }

    /// The time that is not exceeded by this part of all.
    [[nodiscard]] Duration quantile(double part) const {
        const auto wanted =
            std::max<std::uint64_t>(std::uint64_t(std::ceil(part * double(count_))), 1);
        std::uint64_t so_far = 0;
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            so_far += counts_.at(i);
            if (so_far >= wanted) {
                const auto end = std::chrono::nanoseconds{std::int64_t(end_of(i))};
                return std::min<Duration>(end, max_);
            }
        }
        return max_;
    }

    [[nodiscard]] TimesTaken result(std::string name) const {
        constexpr double half = 0.5;
        constexpr double most = 0.9;
        constexpr double nearly_all = 0.99;
        return {.name = std::move(name),
                .count = std::size_t(count_),
                .p50 = quantile(half),
                .p90 = quantile(most),
                .p99 = quantile(nearly_all),
                .max = max_};
    }

private:
    static constexpr unsigned bits = 5;
    static constexpr std::uint64_t steps = 1U << bits;

    static std::size_t index_of(std::uint64_t value) {
        if (value < steps) {
            return std::size_t(value);
        }
        const auto shift = unsigned(std::bit_width(value)) - bits - 1;
        return std::size_t((shift << bits) + (value >> shift));
    }
    /// The greatest value that is counted there.
    static std::uint64_t end_of(std::size_t index) {
        if (index < steps) {
            return index;
        }
        const auto shift = (index >> bits) - 1;
        const auto begin = ((index & (steps - 1)) | steps) << shift;
        return begin + (std::uint64_t{1} << shift) - 1;
    }

    std::array<std::uint64_t, (64 - bits + 1) * steps> counts_{};
    std::uint64_t count_ = 0;
    Duration max_{};
};

} // namespace test_tunnel::detail
