#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "text.hpp"

namespace test_tunnel::detail {

/// The text as it may stand in HTML, SVG and XML, in an attribute in double quotes, too: what a
/// tool has printed can't break it.
inline std::string html_text(std::string_view text) {
    std::string result;
    for (const char character : escape_controls(text)) {
        switch (character) {
            case '&':
                result += "&amp;";
                break;
            case '<':
                result += "&lt;";
                break;
            case '>':
                result += "&gt;"; // "]]>" must not stand in a text of XML
                break;
            case '"':
                result += "&quot;";
                break;
            default:
                result += character;
        }
    }
    return result;
}

/// The text with at most so many characters of UTF-8, the last one being "…" where it was longer.
inline std::string cut(std::string_view text, std::size_t most) {
    std::size_t characters = 0;
    std::size_t end_of_cut = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool begins = (static_cast<unsigned char>(text[i]) & 0xc0U) != 0x80;
        if (begins && characters == most - 1) {
            end_of_cut = i;
        }
        characters += begins ? 1 : 0;
    }
    return characters <= most ? std::string{text} : std::string{text.substr(0, end_of_cut)} + "…";
}

} // namespace test_tunnel::detail
