#pragma once

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <string>
#include <string_view>

#include "test_tunnel/report/report.hpp"

namespace test_tunnel::detail {

/// Returns the words of the first line of a text, without those that differ from one pair to the
/// next: addresses, numbers, bytes in hexadecimal digits, and whatever is quoted.
inline std::string plain_words(std::string_view text) {
    text = text.substr(0, text.find('\n'));
    std::string result;
    char quote = 0;
    while (!text.empty()) {
        const auto word = text.substr(0, text.find(' '));
        text.remove_prefix(std::min(word.size() + 1, text.size()));
        const bool begins_quote = quote == 0 && (word.starts_with('"') || word.starts_with('\''));
        quote = begins_quote ? word.front() : quote;
        const bool is_quoted = quote != 0;
        if (is_quoted && word.size() > (begins_quote ? 1U : 0U) &&
            word.find(quote, begins_quote ? 1 : 0) != std::string_view::npos) {
            quote = 0;
        }
        const bool has_digit = std::any_of(word.begin(), word.end(), [](unsigned char character) {
            return std::isdigit(character) != 0;
        });
        // "ad" may be a byte.
        constexpr std::size_t byte_digits = 2;
        const bool is_byte = word.size() == byte_digits &&
                             std::all_of(word.begin(), word.end(), [](unsigned char character) {
                                 return std::isxdigit(character) != 0;
                             });
        if (!is_quoted && !has_digit && !is_byte && !word.empty()) {
            result += word;
            result += ' ';
        }
    }
    return result;
}

/// Whether two failures are the same one, as far as a reader is concerned: the same check failed at
/// the same step, and what is said of it differs in addresses and numbers only.
inline bool fails_alike(const CheckResult& one, const CheckResult& other) {
    const auto last_line = [](std::string_view text) {
        return text.substr(text.rfind('\n') + 1); // where the end of a tool is told
    };
    return one.id == other.id && one.step == other.step && one.cause == other.cause &&
           plain_words(one.expected) == plain_words(other.expected) &&
           plain_words(one.actual) == plain_words(other.actual) &&
           plain_words(last_line(one.actual)) == plain_words(last_line(other.actual));
}

} // namespace test_tunnel::detail
