#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "test_tunnel/base/detail/escape.hpp"
#include "test_tunnel/base/detail/fmt.hpp"

namespace test_tunnel {

/// Returns all elements as one text, with `separator` between them.
template <typename Range>
std::string joined(const Range& range, std::string_view separator) {
    std::string result;
    std::string_view before;
    for (const auto& element : range) {
        result += fmt::format("{}{}", before, element);
        before = separator;
    }
    return result;
}

/// Returns the bytes in hexadecimal, two digits a byte: "0aff".
inline std::string hex(std::string_view bytes) {
    std::string result;
    for (const char byte : bytes) {
        result += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    }
    return result;
}

/// Returns the bytes in lines of 16, in hexadecimal and as text, each line with the offset of its
/// first byte. `first_offset` is the offset of `bytes[0]` in its stream.
inline std::string hexdump(std::string_view bytes, std::size_t first_offset = 0) {
    constexpr std::size_t width = 16;
    std::string result;
    for (std::size_t start = 0; start < bytes.size(); start += width) {
        const auto line = bytes.substr(start, width);
        result += fmt::format("{}{:08x} ", start == 0 ? "" : "\n", first_offset + start);
        for (std::size_t i = 0; i < width; ++i) {
            result += i < line.size() ? fmt::format(" {:02x}", static_cast<unsigned char>(line[i]))
                                      : std::string{"   "};
        }
        result += "  |";
        for (const char character : line) {
            result += detail::is_printable_ascii(character) ? character : '.';
        }
        result += '|';
    }
    return result;
}

/// Returns how many bytes there are ("5 bytes"), then `remark`, then a hexdump of the at most 64
/// bytes around `position`.
inline std::string bytes_around(std::string_view bytes, std::size_t position,
                                std::string_view remark = {}) {
    constexpr std::size_t line = 16;
    const std::size_t aligned = std::min(position, bytes.size()) / line * line;
    const std::size_t start = aligned >= line ? aligned - line : 0;
    const auto shown = bytes.substr(start, 4 * line);
    return fmt::format("{} byte{}{}{}{}", bytes.size(), bytes.size() == 1 ? "" : "s", remark,
                       shown.empty() ? "" : "\n", hexdump(shown, start));
}

} // namespace test_tunnel
