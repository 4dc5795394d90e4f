#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/detail/number.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/config/detail/trait_words.hpp"
#include "test_tunnel/config/per_direction.hpp"

// How the value of a trait is written and read.

namespace test_tunnel::detail {

/// How a type of value is written and read: here one that has few values, by their names. `read`
/// returns nothing where the text is no value; `values` tells in words what there is.
template <typename Value>
struct TraitText {
    static std::vector<Value> all() {
        if constexpr (std::is_same_v<Value, bool>) {
            return {true, false};
        } else {
            static_assert(std::is_enum_v<Value>, "a type of value that TraitText does not know");
            std::vector<Value> result;
            for (int number = 0; !words_of(static_cast<Value>(number)).code.empty(); ++number) {
                result.push_back(static_cast<Value>(number));
            }
            return result;
        }
    }
    static std::string write(Value value) { return std::string{words_of(value).name()}; }
    static std::optional<Value> read(std::string_view text) {
        for (const Value value : all()) {
            if (text == words_of(value).name()) {
                return value;
            }
        }
        return std::nullopt;
    }
    static std::string values() {
        std::vector<std::string> names;
        for (const Value value : all()) {
            names.push_back(write(value));
        }
        return joined(names, ", ");
    }
};

/// A unit that a number may have behind it, and what it stands for.
struct Unit {
    std::string_view name;
    std::size_t factor;
};

/// Splits `text` into the number and the unit at its end: the first of `units` that fits, or
/// `none`.
template <std::size_t count>
std::pair<std::string_view, Unit> split_unit(std::string_view text,
                                             const std::array<Unit, count>& units, Unit none) {
    for (const auto& unit : units) {
        if (text.ends_with(unit.name)) {
            return {text.substr(0, text.size() - unit.name.size()), unit};
        }
    }
    return {text, none};
}

template <>
struct TraitText<Duration> {
    static std::string write(Duration value) {
        return fmt::format("{}s", std::chrono::duration<double>{value}.count());
    }
    static std::optional<Duration> read(std::string_view text) {
        constexpr std::array<Unit, 3> units{{{"ms", 1}, {"min", 60'000}, {"s", 1000}}};
        const auto [digits, unit] = split_unit(text, units, Unit{"", 0});
        const auto number = read_number<double>(digits);
        constexpr double most = 365.0 * 24 * 3600 * 1000;
        const double milliseconds = number.value_or(-1) * static_cast<double>(unit.factor);
        const bool is_time = milliseconds >= 0 && milliseconds <= most; // nor a NaN
        if (unit.factor == 0 || !is_time) {
            return std::nullopt;
        }
        return std::chrono::nanoseconds{std::llround(milliseconds * 1e6)};
    }
    static std::string values() { return "a time, such as 500ms, 30s or 2min"; }
};

template <>
struct TraitText<std::size_t> {
    static constexpr std::array<Unit, 3> units{
        {{"GiB", std::size_t{1} << 30U}, {"MiB", std::size_t{1} << 20U}, {"KiB", 1024}}};

    static std::string write(std::size_t value) {
        for (const auto& unit : units) {
            if (value != 0 && value % unit.factor == 0) {
                return fmt::format("{}{}", value / unit.factor, unit.name);
            }
        }
        return fmt::format("{}", value);
    }
    static std::optional<std::size_t> read(std::string_view text) {
        const auto [digits, unit] = split_unit(text, units, Unit{"", 1});
        const auto number = read_number<std::size_t>(digits);
        if (!number || *number > static_cast<std::size_t>(-1) / unit.factor) {
            return std::nullopt;
        }
        return *number * unit.factor;
    }
    static std::string values() { return "a number of bytes, such as 4096, 512KiB or 8MiB"; }
};

template <>
struct TraitText<int> {
    static std::string write(int value) { return fmt::format("{}", value); }
    static std::optional<int> read(std::string_view text) {
        const auto number = read_number<int>(text);
        return number && *number >= 0 && *number <= 255 ? number : std::nullopt;
    }
    static std::string values() {
        return "numbers from 0 to 255 with commas between, such as 0,15";
    }
};

template <>
struct TraitText<std::string> {
    static std::string write(const std::string& value) { return value; }
    static std::optional<std::string> read(std::string_view text) {
        return text.empty() ? std::nullopt : std::optional{std::string{text}};
    }
    static std::string values() {
        return "names with commas between, such as socks5.request.version";
    }
};

inline constexpr std::string_view undeclared = "undeclared";

template <typename Value>
std::string write_trait(const std::optional<Value>& value) {
    return value ? TraitText<Value>::write(*value) : std::string{undeclared};
}

template <typename Value>
std::string write_trait(const std::vector<Value>& values) {
    std::vector<std::string> texts;
    texts.reserve(values.size());
    for (const auto& value : values) {
        texts.push_back(TraitText<Value>::write(value));
    }
    return texts.empty() ? std::string{undeclared} : joined(texts, ",");
}

/// "timed", where nothing differs by the direction.
template <typename Value>
std::string write_trait(const PerDirection<Value>& value) {
    return write_trait(value.up);
}

/// Sets `member` to what `text` says; returns false, and changes nothing, where that is no value.
template <typename Value>
bool read_trait(std::string_view text, std::optional<Value>& member) {
    if (text == undeclared) {
        member.reset();
        return true;
    }
    const auto value = TraitText<Value>::read(text);
    if (value) {
        member = value;
    }
    return value.has_value();
}

/// Sets both directions to what `text` says, as the function above does with one value.
template <typename Value>
bool read_trait(std::string_view text, PerDirection<Value>& member) {
    std::optional<Value> both;
    if (!read_trait(text, both)) {
        return false;
    }
    member = both;
    return true;
}

/// Sets `member` to the values that `text` lists, as the function above does with one.
template <typename Value>
bool read_trait(std::string_view text, std::vector<Value>& member) {
    std::vector<Value> values;
    for (std::size_t begin = 0; text != undeclared && begin <= text.size();) {
        const auto end = std::min(text.find(',', begin), text.size());
        auto value = TraitText<Value>::read(text.substr(begin, end - begin));
        if (!value) {
            return false;
        }
        values.push_back(std::move(*value));
        begin = end + 1;
    }
    member = std::move(values);
    return true;
}

} // namespace test_tunnel::detail
