#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace test_tunnel::check {

/// A user and a password of which one, or both, are nearly the right ones.
struct WrongCredentials {
    /// The names of such a request in `Traits::accepts`, by SOCKS5 and by HTTP.
    std::string_view socks5;
    std::string_view http;
    /// What is odd about them, for a reader.
    std::string_view what;
    std::string user;
    std::string password;
};

/// Returns the text with another last byte, or one where it had none.
inline std::string with_last_changed(const std::string& text) {
    const char last = text.ends_with('x') ? 'y' : 'x';
    return text.substr(0, std::max<std::size_t>(text.size(), 1) - 1) + last;
}

/// Returns the text with another high bit in each of its bytes.
inline std::string with_high_bits(std::string text) {
    constexpr unsigned high_bit = 0x80;
    for (char& each : text) {
        each = static_cast<char>(static_cast<unsigned char>(each) ^ high_bit);
    }
    return text;
}

/// Returns the text with small letters (ASCII's) for capital ones, and capital ones for small ones.
inline std::string with_other_case(std::string text) {
    for (char& each : text) {
        const bool is_small = each >= 'a' && each <= 'z';
        const bool is_capital = each >= 'A' && each <= 'Z';
        each = is_small     ? static_cast<char>(each - 'a' + 'A')
               : is_capital ? static_cast<char>(each - 'A' + 'a')
                            : each;
    }
    return text;
}

/// Returns what tools have taken for this user and this password. What would be longer than SOCKS5
/// allows (RFC 1929 §2), or the right ones, is left out.
inline std::vector<WrongCredentials> wrong_credentials(const std::string& user,
                                                       const std::string& password) {
    constexpr std::size_t longest = 255;
    const auto shorter_user = user.substr(0, std::max<std::size_t>(user.size(), 1) - 1);
    const auto shorter_password = password.substr(0, std::max<std::size_t>(password.size(), 1) - 1);
    std::vector<WrongCredentials> result{
        {"socks5.password.wrong", "http.password.wrong",
         "a password whose last byte is another one", user, with_last_changed(password)},
        {"socks5.password.longer", "http.password.longer", "a password with one more byte", user,
         password + 'x'},
        {"socks5.password.shorter", "http.password.shorter", "a password without its last byte",
         user, shorter_password},
        {"socks5.password.space", "http.password.space", "a password with a space behind it", user,
         password + ' '},
        {"socks5.password.case", "http.password.case",
         "a password with capital letters for small ones", user, with_other_case(password)},
        {"socks5.password.high_bits", "http.password.high_bits",
         "a password with other high bits in its bytes", user, with_high_bits(password)},
        {"socks5.password.empty", "http.password.empty", "an empty password", user, ""},
        {"socks5.user.wrong", "http.user.wrong", "a user whose last byte is another one",
         with_last_changed(user), password},
        {"socks5.user.longer", "http.user.longer", "a user with one more byte", user + 'x',
         password},
        {"socks5.user.shorter", "http.user.shorter", "a user without its last byte", shorter_user,
         password},
        {"socks5.user.moved", "http.user.moved",
         "a user whose last byte stands before the password", shorter_user,
         user.substr(shorter_user.size()) + password},
        {"socks5.user.empty", "http.user.empty", "an empty user", "", password}};
    std::erase_if(result, [&](const WrongCredentials& each) {
        return each.user.size() > longest || each.password.size() > longest ||
               (each.user == user && each.password == password);
    });
    return result;
}

} // namespace test_tunnel::check
