#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/net/expect.hpp"

namespace test_tunnel {

TEST_TUNNEL_INLINE std::string expect_read(Socket& socket, std::string_view expected,
                                           std::string_view tag,
                                           std::optional<std::size_t> compare_len) {
    const auto compared = expected.substr(0, compare_len.value_or(expected.size()));
    if (compare_len.value_or(0) > expected.size()) {
        throw InvalidConfig{
            fmt::format("expect_read: compare_len is {}, but only {} bytes are "
                        "expected ({})",
                        *compare_len, expected.size(), tag)};
    }
    if (expected.empty()) {
        socket.read_end();
        return {};
    }
    std::string actual(expected.size(), '\0');
    std::size_t filled = 0;
    std::string end;
    auto cause = Cause::unexpected;
    try {
        while (filled < actual.size() && end.empty()) {
            const auto count = socket.read_some(actual.data() + filled, actual.size() - filled);
            filled += count;
            end = count == 0 ? ", then end of stream" : "";
        }
    } catch (const Error& error) {
        end = fmt::format(", then: {}", error.what());
        cause = detail::cause_of(error);
    }
    actual.resize(filled);
    const auto difference = static_cast<std::size_t>(
        std::mismatch(compared.begin(), compared.end(), actual.begin(), actual.end()).first -
        compared.begin());
    const bool differs = difference < std::min(filled, compared.size());
    if (differs || filled < expected.size()) {
        const auto remark =
            (differs ? fmt::format(", different from offset {} on", difference) : "") + end;
        throw Unexpected{fmt::format("{}: {}", tag, bytes_around(expected, difference)),
                         bytes_around(actual, difference, remark),
                         differs && cause == Cause::timed_out ? Cause::unexpected : cause};
    }
    return actual;
}

TEST_TUNNEL_INLINE std::string what_came(Socket& socket) {
    std::array<char, 256> bytes{};
    try {
        const auto count = socket.read_some(bytes.data(), bytes.size());
        return count == 0 ? "the end of the stream" : bytes_around({bytes.data(), count}, 0);
    } catch (const SystemError& error) {
        return error.what();
    }
}

} // namespace test_tunnel
