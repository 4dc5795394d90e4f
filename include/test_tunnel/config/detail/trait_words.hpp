#pragma once

#include <string_view>

#include "test_tunnel/config/traits.hpp"

namespace test_tunnel::detail {

/// One value of a trait in words.
struct Words {
    /// What a note says of a tool that has it: "ends both directions".
    std::string_view plain;
    /// How it is declared in C++: "HalfClose::none".
    std::string_view code;

    /// How it is declared in text, which is the code without its type: "none".
    [[nodiscard]] constexpr std::string_view name() const {
        const auto colons = code.rfind(':');
        return colons == std::string_view::npos ? code : code.substr(colons + 1);
    }
};

// An enumerator that is missing here is a warning. A value that is no enumerator has no words: by
// that the values of a trait are counted.

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
    switch (value) {
        case ResetShows::as_reset:
            return {"shows as a reset", "ResetShows::as_reset"};
        case ResetShows::as_end:
            return {"shows as an end of stream", "ResetShows::as_end"};
    }
    return {};
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

} // namespace test_tunnel::detail
