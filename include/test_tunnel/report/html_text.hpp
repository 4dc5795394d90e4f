#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "test_tunnel/base/detail/escape.hpp"

namespace test_tunnel {

/// Returns the text as it may stand in HTML, SVG and XML, also in an attribute in double quotes:
/// what a tool has printed can't break the document.
inline std::string html_text(std::string_view text) {
    std::string result;
    for (const char character : detail::escape_controls(text)) {
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

/// Returns the text, cut to at most `most` characters of UTF-8; where it was longer, the last one
/// is "…".
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

} // namespace test_tunnel
