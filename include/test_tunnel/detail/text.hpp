#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "fmt.hpp"

namespace test_tunnel::detail {

constexpr bool is_printable_ascii(char character) {
    return character >= ' ' && character <= '~';
}

/// Makes text from elsewhere harmless: control bytes but newline and tab, and bytes that are no
/// valid UTF-8, become "\x1b"; nothing in it can then write a terminal sequence or break XML.
inline std::string escape_controls(std::string_view text) {
    std::string result;
    result.reserve(text.size());
    std::size_t i = 0;
    const auto byte = [&](std::size_t index) {
        return index < text.size() ? static_cast<unsigned char>(text[index]) : 0U;
    };
    // The length of the well-formed UTF-8 sequence at `i`, 0 where there is none (RFC 3629 §4),
    // and for the C1 control characters and the noncharacters that XML forbids too.
    const auto sequence_length = [&]() -> std::size_t {
        const unsigned lead = byte(i);
        const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
        if (lead < 0xc2 || lead > 0xf4) {
            return 0;
        }
        unsigned code = lead & (0x7fU >> length);
        for (std::size_t k = 1; k < length; ++k) {
            if ((byte(i + k) & 0xc0U) != 0x80) {
                return 0;
            }
            code = code << 6U | (byte(i + k) & 0x3fU);
        }
        const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
        const bool surrogate = code >= 0xd800 && code <= 0xdfff;
        const bool forbidden = code < 0xa0 || code == 0xfffe || code == 0xffff || code > 0x10ffff;
        return overlong || surrogate || forbidden ? 0 : length;
    };
    while (i < text.size()) {
        const char character = text[i];
        std::size_t length = 1;
        if (!is_printable_ascii(character) && character != '\n' && character != '\t') {
            length = sequence_length();
        }
        if (length == 0) {
            result += fmt::format("\\x{:02x}", byte(i));
            ++i;
        } else {
            result += text.substr(i, length);
            i += length;
        }
    }
    return result;
}

/// The word as a POSIX shell takes it.
inline std::string shell_quote(std::string_view word) {
    constexpr std::string_view plain =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789%+,-./:=@_";
    if (!word.empty() && word.find_first_not_of(plain) == std::string_view::npos) {
        return std::string{word};
    }
    std::string result{"'"};
    for (const char character : word) {
        if (character == '\'') {
            result += "'\\''";
        } else {
            result += character;
        }
    }
    return result += '\'';
}

/// All elements with `separator` between them.
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

/// The end of what a tool printed, harmless, as much of it as a reader wants to see.
inline std::string printable_tail(std::string_view text) {
    constexpr std::size_t most_bytes = 2000;
    constexpr std::size_t most_lines = 20;
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) {
        text.remove_suffix(1);
    }
    std::size_t start = text.size();
    std::size_t lines = 0;
    while (start > 0 && text.size() - start < most_bytes) {
        if (text[start - 1] == '\n' && ++lines == most_lines) {
            break;
        }
        --start;
    }
    return fmt::format("{}{}", start > 0 ? fmt::format("[... {} bytes before ...]\n", start) : "",
                       escape_controls(text.substr(start)));
}

/// Puts `indent` before every line but the first.
inline std::string indent_lines(std::string_view text, std::string_view indent) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        result += text[i];
        if (text[i] == '\n' && i + 1 < text.size()) {
            result += indent;
        }
    }
    return result;
}

/// "0aff": two digits a byte.
inline std::string hex(std::string_view bytes) {
    std::string result;
    for (const char byte : bytes) {
        result += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    }
    return result;
}

/// Lines of 16 bytes, each with the offset of its first; `first_offset` is the offset of `bytes[0]`
/// in its stream.
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
            result += is_printable_ascii(character) ? character : '.';
        }
        result += '|';
    }
    return result;
}

/// "5 bytes", then `remark`, then a hexdump of the at most 64 bytes around `position`.
inline std::string bytes_around(std::string_view bytes, std::size_t position,
                                std::string_view remark = {}) {
    constexpr std::size_t line = 16;
    const std::size_t aligned = std::min(position, bytes.size()) / line * line;
    const std::size_t start = aligned >= line ? aligned - line : 0;
    const auto shown = bytes.substr(start, 4 * line);
    return fmt::format("{} byte{}{}{}{}", bytes.size(), bytes.size() == 1 ? "" : "s", remark,
                       shown.empty() ? "" : "\n", hexdump(shown, start));
}

} // namespace test_tunnel::detail
