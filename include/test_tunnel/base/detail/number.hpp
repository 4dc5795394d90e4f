#pragma once

#include <charconv>
#include <locale>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace test_tunnel::detail {

/// Reads all of `text` as a number, whatever the locale; nothing where it is not one.
template <typename Number>
std::optional<Number> read_number(std::string_view text) {
    Number result{};
    bool is_number = false;
    if constexpr (std::is_floating_point_v<Number>) {
        // libc++ has from_chars for these only from version 20 on, and a stream may know more
        // forms.
        const bool may_be_one = !text.empty() && text.front() != '+' &&
                                text.find_first_not_of("0123456789.eE+-") == text.npos;
        std::istringstream in{std::string{text}};
        in.imbue(std::locale::classic());
        in >> std::noskipws >> result;
        is_number = may_be_one && !in.fail() && in.eof();
    } else {
        const auto* const end = text.data() + text.size();
        const auto [rest, error] = std::from_chars(text.data(), end, result);
        is_number = error == std::errc{} && rest == end;
    }
    return is_number ? std::optional{result} : std::nullopt;
}

} // namespace test_tunnel::detail
