#pragma once

#include <langinfo.h>
#include <locale.h> // NOLINT(modernize-deprecated-headers): newlocale is POSIX, not C
#include <unistd.h>

#if __has_include(<xlocale.h>)
#include <xlocale.h> // where macOS has newlocale
#endif

#include <array>
#include <string>
#include <string_view>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/detail/platform.hpp"
#include "test_tunnel/base/environment.hpp"

#if !TEST_TUNNEL_LINUX
extern "C" char** environ; // POSIX leaves it to the program to declare it
#endif

namespace test_tunnel {

TEST_TUNNEL_INLINE Environment current_environment() {
    Environment result;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text{*entry};
        const auto equals = text.find('=', 1);
        if (equals != std::string_view::npos) {
            result.emplace(text.substr(0, equals), text.substr(equals + 1));
        }
    }
    return result;
}

namespace detail {

inline std::string find_utf8_locale() {
    static constexpr std::array candidates{
        "C.UTF-8",     "C.utf8",      "en_US.UTF-8", "en_GB.UTF-8", "en_CA.UTF-8", "de_DE.UTF-8",
        "es_ES.UTF-8", "fr_FR.UTF-8", "it_IT.UTF-8", "POSIX.UTF-8", "UTF-8"};
    for (const char* name : candidates) {
        locale_t locale = newlocale(LC_ALL_MASK, name, locale_t{});
        if (locale == locale_t{}) {
            continue;
        }
        const std::string_view encoding = nl_langinfo_l(CODESET, locale);
        const bool is_utf8 = encoding == "UTF-8" || encoding == "utf8";
        freelocale(locale);
        if (is_utf8) {
            return name;
        }
    }
    return "C";
}

} // namespace detail

TEST_TUNNEL_INLINE std::string utf8_locale() {
    static const auto found = detail::find_utf8_locale(); // each attempt reads a dozen files
    return found;
}

TEST_TUNNEL_INLINE Environment utf8_environment() {
    auto result = current_environment();
    result["LC_ALL"] = utf8_locale();
    result["LANGUAGE"] = "";
    return result;
}

} // namespace test_tunnel
