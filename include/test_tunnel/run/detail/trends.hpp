#pragma once

// Whether what a tool holds grows with its connections.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/kernel/usage.hpp"
#include "test_tunnel/report/soak.hpp"

namespace test_tunnel::detail {

/// Returns the median; 0 where there are none.
inline double median_of(std::vector<double> values) {
    if (values.empty()) {
        return 0;
    }
    const auto middle = values.begin() + std::ptrdiff_t(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

/// A value, and where it was found.
struct Point {
    double x;
    double y;
};

/// Returns the median of the slopes between each two points: some that are far off count little
/// (Theil-Sen).
inline double median_slope_of(const std::vector<Point>& points) {
    std::vector<double> slopes;
    for (std::size_t i = 0; i < points.size(); ++i) {
        for (std::size_t j = i + 1; j < points.size(); ++j) {
            if (points[j].x > points[i].x) {
                slopes.push_back((points[j].y - points[i].y) / (points[j].x - points[i].x));
            }
        }
    }
    return median_of(std::move(slopes));
}

/// Returns whether the tool looks after its memory such that what is freed is not used again for a
/// long time: whoever collects garbage so, or is built with a sanitizer, has terabytes of addresses
/// for it.
inline bool is_instrumented(const ToolUsage& usage) {
    constexpr std::uint64_t terabyte = std::uint64_t{1} << 40U;
    return usage.address_space > terabyte;
}

/// Something of which a tool may come to hold more and more.
struct Held {
    std::string_view name;
    /// How much of it there is; not a number where that is unknown.
    double (*of)(const ToolUsage& usage);
    /// What each connection may add, over many of them, so that it is no growth.
    double most_per_connection;
    /// What all of them may add, however many there have been.
    double most;
};

/// Returns the memory of a tool that nothing else uses, in bytes: not a number where that is
/// unknown, 0 where it tells nothing.
inline double memory_of(const ToolUsage& usage) {
    constexpr auto unknown = std::numeric_limits<double>::quiet_NaN();
    return !usage.private_memory    ? unknown
           : is_instrumented(usage) ? 0
                                    : double(*usage.private_memory);
}

/// Over thousands of connections, less for each is a leak than over some hundreds. As for memory,
/// what malloc(3) spends on the smallest thing that is lost with each connection is 32 bytes; less
/// is lost now and then, and a quarter of a mebibyte in all may be a heap that has not settled.
inline constexpr std::array all_soaked{
    Held{"descriptors", [](const ToolUsage& usage) { return double(usage.descriptors()); }, 0.001,
         16},
    Held{"threads", [](const ToolUsage& usage) { return double(usage.threads); }, 0.001, 16},
    Held{"processes",
         [](const ToolUsage& usage) { return double(usage.processes + usage.zombies); }, 0.001, 16},
    Held{"bytes of memory", memory_of, 32, 256 << 10}};

/// What a tool held after each of many rounds. However many there are, it takes no more memory: of
/// more than a few hundred, only every second one is kept, then every fourth …
class Trends {
public:
    void add(std::size_t connections, const ToolUsage& usage) {
        if (rounds_++ % stride_ != 0) {
            return;
        }
        samples_.push_back({double(connections), usage});
        if (samples_.size() > most_samples) {
            for (std::size_t i = 0; 2 * i < samples_.size(); ++i) {
                samples_[i] = samples_[2 * i];
            }
            samples_.resize((samples_.size() + 1) / 2);
            stride_ *= 2;
        }
    }

    /// Forgets all: another tool is looked at.
    void clear() { *this = {}; }

    /// How each thing has developed, from when the tool had settled; empty for too few
    /// rounds, of which `growing` can't tell anything either.
    [[nodiscard]] std::vector<Trend> all() const {
        std::vector<Trend> result;
        for (const auto& soaked : all_soaked) {
            const auto points = settled(soaked);
            if (points.size() < fewest_points) {
                continue;
            }
            constexpr double thousand = 1000;
            const auto levels = levels_of(points);
            result.push_back({.name = std::string{soaked.name},
                              .first = levels.front(),
                              .last = levels.back(),
                              .per_thousand = median_slope_of(points) * thousand});
        }
        return result;
    }

    /// Of what it holds more and more, to the end; nothing where it does not. What grows and then
    /// stays is a pool that fills, and what falls now and then is garbage that is collected.
    [[nodiscard]] const Held* growing() const {
        for (const auto& soaked : all_soaked) {
            const auto points = settled(soaked);
            if (points.size() < fewest_points) {
                continue;
            }
            const auto levels = levels_of(points);
            int pauses = 0;
            for (std::size_t i = 1; i < levels.size(); ++i) {
                pauses += levels.at(i) <= levels.at(i - 1) ? 1 : 0;
            }
            const auto early = levels.at(blocks / 2) - levels.front();
            const auto late = levels.back() - levels.at(blocks / 2);
            constexpr double part = 0.7; // of what it was: else it is coming to an end
            if (pauses == 0 && levels.back() - levels.front() > soaked.most &&
                median_slope_of(points) > soaked.most_per_connection && late > part * early) {
                return &soaked;
            }
        }
        return nullptr;
    }

    /// How much of it there was after the first rounds that count.
    [[nodiscard]] double level_at_first(const Held& soaked) const {
        return levels_of(settled(soaked)).front();
    }

private:
    struct Sample {
        double connections = 0;
        ToolUsage usage;
    };
    static constexpr std::size_t most_samples = 256;
    /// Into how many parts of the time all rounds are put together.
    static constexpr std::size_t blocks = 5;
    static constexpr std::size_t fewest_points = 2 * blocks;

    /// Without the first quarter: what a tool needs for its first clients it may keep.
    [[nodiscard]] std::vector<Point> settled(const Held& soaked) const {
        std::vector<Point> result;
        for (std::size_t i = samples_.size() / 4; i < samples_.size(); ++i) {
            const auto value = soaked.of(samples_[i].usage);
            if (!std::isnan(value)) {
                result.push_back({samples_[i].connections, value});
            }
        }
        return result;
    }

    /// The median of each part of the time.
    [[nodiscard]] static std::array<double, blocks> levels_of(const std::vector<Point>& points) {
        std::array<double, blocks> result{};
        for (std::size_t block = 0; block < blocks; ++block) {
            std::vector<double> values;
            for (auto i = block * points.size() / blocks; i < (block + 1) * points.size() / blocks;
                 ++i) {
                values.push_back(points[i].y);
            }
            result.at(block) = median_of(std::move(values));
        }
        return result;
    }

    std::vector<Sample> samples_;
    std::size_t rounds_ = 0;
    std::size_t stride_ = 1;
};

} // namespace test_tunnel::detail
