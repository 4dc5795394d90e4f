#pragma once

// A PairResult as bytes, and back: how a process tells another one of this program, built alike,
// what has come of a pair.

#include <chrono>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/config/trait_names.hpp"
#include "test_tunnel/report/report.hpp"

namespace test_tunnel::detail {

/// Calls `each` with all that a value of the type consists of, in the order in which it is written.
template <typename Each>
void for_each_part(NamedTrait& value, Each each) {
    each(value.name);
    each(value.value);
}
template <typename Each>
void for_each_part(Note& value, Each each) {
    each(value.trait);
    each(value.text);
    each(value.declaration);
    each(value.shown);
}
template <typename Each>
void for_each_part(Step& value, Each each) {
    each(value.name);
    each(value.expected);
    each(value.from);
    each(value.to);
    each(value.begin);
    each(value.kind);
}
template <typename Each>
void for_each_part(CheckResult& value, Each each) {
    each(value.id);
    each(value.outcome);
    each(value.step);
    each(value.step_kind);
    each(value.cause);
    each(value.expected);
    each(value.actual);
    each(value.account);
    each(value.notes);
    each(value.shown);
    each(value.steps);
    each(value.duration);
    each(value.title);
    each(value.same_as);
}
template <typename Each>
void for_each_part(Trend& value, Each each) {
    each(value.name);
    each(value.first);
    each(value.last);
    each(value.per_thousand);
}
template <typename Each>
void for_each_part(TimesTaken& value, Each each) {
    each(value.name);
    each(value.count);
    each(value.p50);
    each(value.p90);
    each(value.p99);
    each(value.max);
}
template <typename Each>
void for_each_part(Soak& value, Each each) {
    each(value.duration);
    each(value.rounds);
    each(value.connections);
    each(value.trends);
    each(value.times);
}
/// All of one round but the pair, which whoever reads it knows.
template <typename Each>
void for_each_part(PairResult& value, Each each) {
    each(value.checks);
    each(value.duration);
    each(value.start);
    each(value.stop);
    each(value.use.cpu);
    each(value.use.peak_memory);
    each(value.use.peak_descriptors);
    each(value.seed);
    each(value.soak);
}

/// Writes values one behind the other.
class ByteWriter {
public:
    template <typename Value>
    void operator()(Value& value) {
        if constexpr (std::is_arithmetic_v<Value> || std::is_enum_v<Value>) {
            bytes_.append(reinterpret_cast<const char*>(&value), // NOLINT(*-reinterpret-cast)
                          sizeof value);
        } else {
            for_each_part(value, [this](auto& part) { (*this)(part); });
        }
    }
    void operator()(Duration& value) {
        auto count = value.count();
        (*this)(count);
    }
    void operator()(std::string& value) {
        auto size = value.size();
        (*this)(size);
        bytes_ += value;
    }
    template <typename Value>
    void operator()(std::vector<Value>& values) {
        auto size = values.size();
        (*this)(size);
        for (auto& value : values) {
            (*this)(value);
        }
    }
    template <typename Value>
    void operator()(std::optional<Value>& value) {
        bool is_there = value.has_value();
        (*this)(is_there);
        if (value) {
            (*this)(*value);
        }
    }

    [[nodiscard]] std::string take() { return std::move(bytes_); }

private:
    std::string bytes_;
};

/// Reads what a ByteWriter has written, in the same order. Throws Error where there is too little.
class ByteReader {
public:
    explicit ByteReader(std::string_view bytes) : rest_{bytes} {}

    template <typename Value>
    void operator()(Value& value) {
        if constexpr (std::is_arithmetic_v<Value> || std::is_enum_v<Value>) {
            std::memcpy(&value, next(sizeof value).data(), sizeof value);
        } else {
            for_each_part(value, [this](auto& part) { (*this)(part); });
        }
    }
    void operator()(Duration& value) {
        Duration::rep count{};
        (*this)(count);
        value = Duration{count};
    }
    void operator()(std::string& value) { value = next(size()); }
    template <typename Value>
    void operator()(std::vector<Value>& values) {
        const auto count = size();
        values.clear();
        for (std::size_t i = 0; i < count; ++i) {
            (*this)(values.emplace_back());
        }
    }
    template <typename Value>
    void operator()(std::optional<Value>& value) {
        bool is_there = false;
        (*this)(is_there);
        value.reset();
        if (is_there) {
            (*this)(value.emplace());
        }
    }

private:
    [[nodiscard]] std::string_view next(std::size_t size) {
        if (size > rest_.size()) {
            throw Error{"a result that another process has sent is cut short"};
        }
        const auto result = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return result;
    }
    [[nodiscard]] std::size_t size() {
        std::size_t result = 0;
        (*this)(result);
        return result;
    }

    std::string_view rest_;
};

/// Returns values, one behind the other, as bytes.
template <typename... Values>
std::string to_bytes(Values&... values) {
    ByteWriter writer;
    (writer(values), ...);
    return writer.take();
}

/// Sets values to what `to_bytes` has made of others like them. Throws Error where there is too
/// little.
template <typename... Values>
void from_bytes(std::string_view bytes, Values&... values) {
    ByteReader reader{bytes}; // NOLINT(misc-const-correctness): it is read from
    (reader(values), ...);
}

} // namespace test_tunnel::detail
