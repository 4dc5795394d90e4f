#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "../traits.hpp"
#include "fmt.hpp"

namespace test_tunnel::detail {

/// A value of a trait in words, and as it is declared in C++.
struct Words {
    std::string_view plain;
    std::string_view code;
};

constexpr Words words_of(bool value) {
    return value ? Words{"yes", "true"} : Words{"no", "false"};
}

constexpr Words words_of(HalfClose value) {
    switch (value) {
        case HalfClose::full:
            return {"the other direction goes on", "HalfClose::full"};
        case HalfClose::timed:
            return {"the other direction goes on for a moment only", "HalfClose::timed"};
        case HalfClose::none:
            return {"ends both directions", "HalfClose::none"};
    }
    return {};
}

constexpr Words words_of(ResetShows value) {
    return value == ResetShows::as_reset ? Words{"shows as a reset", "ResetShows::as_reset"}
                                         : Words{"shows as an end of stream", "ResetShows::as_end"};
}

constexpr Words words_of(ReportsSource value) {
    switch (value) {
        case ReportsSource::actual:
            return {"the true one", "ReportsSource::actual"};
        case ReportsSource::destination:
            return {"the server's", "ReportsSource::destination"};
        case ReportsSource::listener:
            return {"the one on which the tool listens", "ReportsSource::listener"};
        case ReportsSource::null:
            return {"the null address", "ReportsSource::null"};
    }
    return {};
}

constexpr Words words_of(Refuses value) {
    switch (value) {
        case Refuses::in_handshake:
            return {"the handshake is refused", "Refuses::in_handshake"};
        case Refuses::by_reset:
            return {"the client's connection is reset", "Refuses::by_reset"};
        case Refuses::by_end:
            return {"the client's stream ends", "Refuses::by_end"};
    }
    return {};
}

constexpr Words words_of(EarlyData value) {
    switch (value) {
        case EarlyData::with_handshake:
            return {"all of the handshake, and data behind it", "EarlyData::with_handshake"};
        case EarlyData::with_request:
            return {"data behind the request", "EarlyData::with_request"};
        case EarlyData::none:
            return {"nothing", "EarlyData::none"};
    }
    return {};
}

/// What is to be said of a trait; all empty where all is as it should be.
struct Verdict {
    std::string note{};
    std::string expected{};
    std::string failure{};
};

/// See PairRun::judge.
template <typename Value>
Verdict judge(std::string_view trait, std::string_view subject,
              const std::optional<Value>& declared, Value actual, std::optional<Value> rule,
              bool strict) {
    const auto said = words_of(actual);
    const auto as_code = [&](Value value) {
        return fmt::format("Traits::{} = {}", trait, words_of(value).code);
    };
    if (!declared) {
        if (rule && actual == *rule) {
            return {};
        }
        const auto what =
            fmt::format("{}: {} (undeclared: {})", subject, said.plain, as_code(actual));
        return strict && rule
                   ? Verdict{{}, fmt::format("{}: {}", subject, words_of(*rule).plain), what}
                   : Verdict{what, {}, {}};
    }
    if (actual == *declared) {
        return {rule && actual != *rule
                    ? fmt::format("{}: {} (declared: {})", subject, said.plain, as_code(actual))
                    : "",
                {},
                {}};
    }
    // In an enumeration the better ones come first.
    const bool better = rule && (actual == *rule || (std::is_enum_v<Value> && actual < *declared));
    if (better) {
        return {fmt::format("{}: {}, better than declared ({})", subject, said.plain,
                            as_code(*declared)),
                {},
                {}};
    }
    return {{},
            fmt::format("{}: {}, as declared ({})", subject, words_of(*declared).plain,
                        as_code(*declared)),
            fmt::format("{} (to be declared as {})", said.plain, as_code(actual))};
}

} // namespace test_tunnel::detail
