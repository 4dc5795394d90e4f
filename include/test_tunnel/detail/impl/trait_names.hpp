#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../deadline.hpp"
#include "../../error.hpp"
#include "../../trait_names.hpp"
#include "../../traits.hpp"
#include "../fmt.hpp"
#include "../inline.hpp"
#include "../judge.hpp"
#include "../number.hpp"
#include "../text.hpp"

namespace test_tunnel {

namespace detail {

/// Calls `act` with the name of each member of `traits`, and with the member, in their order. One
/// that has been added to Traits must be added here: this does not compile without it.
template <typename Any, typename Act>
void for_each_trait(Any& traits, Act act) {
    auto& [binds_source, passes_eof, half_close, reset, reports_source, concurrent, serves_again,
           speaks_first, connects_eagerly, refuses, independent_directions, no_delay, idle_timeout,
           binds_listener, stops_connections, buffer_size, exit_statuses, takes_pieces, early_data,
           resolves_names, accepts] = traits;
    act("binds_source", binds_source);
    act("passes_eof", passes_eof);
    act("half_close", half_close);
    act("reset", reset);
    act("reports_source", reports_source);
    act("concurrent", concurrent);
    act("serves_again", serves_again);
    act("speaks_first", speaks_first);
    act("connects_eagerly", connects_eagerly);
    act("refuses", refuses);
    act("independent_directions", independent_directions);
    act("no_delay", no_delay);
    act("idle_timeout", idle_timeout);
    act("binds_listener", binds_listener);
    act("stops_connections", stops_connections);
    act("buffer_size", buffer_size);
    act("exit_statuses", exit_statuses);
    act("takes_pieces", takes_pieces);
    act("early_data", early_data);
    act("resolves_names", resolves_names);
    act("accepts", accepts);
}

/// How one type of value is written and read. `read` gives nothing where the text is none;
/// `values` says what there is: "full, timed or none".
template <typename Value>
struct TraitText;

/// Of a type that has few values, by their names in C++ without the type's.
template <typename Value, Value... all>
struct TraitTextOfFew {
    static std::string write(Value value) {
        auto code = words_of(value).code;
        const auto colons = code.rfind(':');
        return std::string{code.substr(colons == std::string_view::npos ? 0 : colons + 1)};
    }
    static std::optional<Value> read(std::string_view text) {
        for (const auto value : {all...}) {
            if (text == write(value)) {
                return value;
            }
        }
        return std::nullopt;
    }
    static std::string values() { return joined(std::array{write(all)...}, ", "); }
};

template <>
struct TraitText<bool> : TraitTextOfFew<bool, true, false> {};
template <>
struct TraitText<HalfClose>
    : TraitTextOfFew<HalfClose, HalfClose::full, HalfClose::timed, HalfClose::none> {};
template <>
struct TraitText<ResetShows>
    : TraitTextOfFew<ResetShows, ResetShows::as_reset, ResetShows::as_end> {};
template <>
struct TraitText<ReportsSource>
    : TraitTextOfFew<ReportsSource, ReportsSource::actual, ReportsSource::destination,
                     ReportsSource::listener, ReportsSource::null> {};
template <>
struct TraitText<Refuses>
    : TraitTextOfFew<Refuses, Refuses::in_handshake, Refuses::by_reset, Refuses::by_end> {};
template <>
struct TraitText<EarlyData> : TraitTextOfFew<EarlyData, EarlyData::with_handshake,
                                             EarlyData::with_request, EarlyData::none> {};

/// A unit that a number may have behind it, and what it stands for.
struct Unit {
    std::string_view name;
    std::size_t factor;
};

/// What stands before the unit at the end of `text`, and the unit: the first of `units` that fits.
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
    static std::string values() { return "a time, as 500ms, 30s or 2min"; }
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
    static std::string values() { return "a number of bytes, as 4096, 512KiB or 8MiB"; }
};

template <>
struct TraitText<int> {
    static std::string write(int value) { return fmt::format("{}", value); }
    static std::optional<int> read(std::string_view text) {
        const auto number = read_number<int>(text);
        return number && *number >= 0 && *number <= 255 ? number : std::nullopt;
    }
    static std::string values() { return "numbers from 0 to 255, as 0,15"; }
};

template <>
struct TraitText<std::string> {
    static std::string write(const std::string& value) { return value; }
    static std::optional<std::string> read(std::string_view text) {
        return text.empty() ? std::nullopt : std::optional{std::string{text}};
    }
    static std::string values() { return "names with commas between"; }
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

/// Whether `text` was a value: `member` is what it says then.
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

template <typename Value>
std::string trait_values(const std::optional<Value>& /*of*/) {
    return TraitText<Value>::values();
}

template <typename Value>
std::string trait_values(const std::vector<Value>& /*of*/) {
    return TraitText<Value>::values();
}

} // namespace detail

TEST_TUNNEL_INLINE std::vector<NamedTrait> declared_traits(const Traits& traits) {
    std::vector<std::string> usual;
    const Traits nothing;
    detail::for_each_trait(nothing, [&](std::string_view /*name*/, const auto& member) {
        usual.push_back(detail::write_trait(member));
    });
    std::vector<NamedTrait> result;
    std::size_t index = 0;
    detail::for_each_trait(traits, [&](std::string_view name, const auto& member) {
        if (auto value = detail::write_trait(member); value != usual[index++]) {
            result.push_back({std::string{name}, std::move(value)});
        }
    });
    return result;
}

TEST_TUNNEL_INLINE std::vector<NamedTrait> trait_names() {
    std::vector<NamedTrait> result;
    const Traits nothing;
    detail::for_each_trait(nothing, [&](std::string_view name, const auto& member) {
        result.push_back({std::string{name}, detail::trait_values(member)});
    });
    return result;
}

TEST_TUNNEL_INLINE void declare(Traits& traits, std::string_view name, std::string_view value) {
    bool is_known = false;
    detail::for_each_trait(traits, [&](std::string_view known, auto& member) {
        if (name != known) {
            return;
        }
        is_known = true;
        if (!detail::read_trait(value, member)) {
            throw InvalidConfig{fmt::format("'{}' is no value of the trait {}: it takes {}, or {}",
                                            value, name, detail::trait_values(member),
                                            detail::undeclared)};
        }
    });
    if (!is_known) {
        std::vector<std::string> names;
        for (auto& trait : trait_names()) {
            names.push_back(std::move(trait.name));
        }
        throw InvalidConfig{
            fmt::format("'{}' is no trait; there are: {}", name, detail::joined(names, ", "))};
    }
}

TEST_TUNNEL_INLINE void declare(Traits& traits, std::string_view assignment) {
    const auto equals = assignment.find('=');
    if (equals == std::string_view::npos) {
        throw InvalidConfig{
            fmt::format("'{}' declares nothing: it must be a trait, '=' and a "
                        "value, as half_close=timed",
                        assignment)};
    }
    declare(traits, assignment.substr(0, equals), assignment.substr(equals + 1));
}

} // namespace test_tunnel
