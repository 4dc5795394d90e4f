#pragma once

// Text from elsewhere, made fit for a terminal, a shell or a report.

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "test_tunnel/base/detail/fmt.hpp"

namespace test_tunnel::detail {

constexpr bool is_printable_ascii(char character) {
    return character >= ' ' && character <= '~';
}

/// Whether a character of Unicode controls how others look and shows nothing itself: what a
/// terminal or a browser shows is then not what the text says (the bidirectional controls,
/// Unicode's TR 36 §3.1), or two texts that look alike are not the same.
constexpr bool is_invisible(unsigned code) {
    // The format characters (category Cf) but for those that are drawn, as Arabic's number signs
    // are; separators of lines and paragraphs; fillers and joiners that are drawn as nothing.
    constexpr std::array<std::pair<unsigned, unsigned>, 19> ranges{{
        {0xad, 0xad},       {0x34f, 0x34f},     {0x61c, 0x61c},     {0x115f, 0x1160},
        {0x17b4, 0x17b5},   {0x180b, 0x180f},   {0x200b, 0x200f},   {0x2028, 0x202e},
        {0x2060, 0x206f},   {0x3164, 0x3164},   {0xfdd0, 0xfdef},   {0xfeff, 0xfeff},
        {0xffa0, 0xffa0},   {0xfff9, 0xfffb},   {0xfffe, 0xffff},   {0x13430, 0x1343f},
        {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe007f},
    }};
    return std::any_of(ranges.begin(), ranges.end(), [&](const auto& range) {
        return code >= range.first && code <= range.second;
    });
}

/// Returns text from elsewhere made harmless: control bytes except newline and tab, characters that
/// are invisible and control how others look, and bytes that are not valid UTF-8, become "\x1b".
/// Nothing in it can then write a terminal sequence, break XML, or show something else than it is.
inline std::string escape_controls(std::string_view text) {
    std::string result;
    result.reserve(text.size());
    std::size_t i = 0;
    const auto byte = [&](std::size_t index) {
        return index < text.size() ? static_cast<unsigned char>(text[index]) : 0U;
    };
    // The length of the well-formed UTF-8 sequence at `i`, 0 where there is none (RFC 3629 §4),
    // and for the C1 control characters and whatever is invisible, too.
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
        const bool forbidden = code < 0xa0 || code > 0x10ffff || is_invisible(code);
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

/// Returns the word as a POSIX shell takes it, in quotes where it needs them.
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

/// Returns the end of what a tool has printed, made harmless: at most 20 lines and 2000 bytes of
/// it.
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

/// Returns the text with `indent` before every line but the first.
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

} // namespace test_tunnel::detail
