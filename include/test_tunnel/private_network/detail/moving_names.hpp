#pragma once

// Names in a hosts(5) file whose addresses change. Each has a line for each address, of which the
// first byte is the address's own where the line holds, and '#' where it does not: so a single byte
// is written, and whoever reads the file meanwhile reads one of the two. No line changes its place.

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel::detail {

/// The end of all names whose addresses change.
inline constexpr std::string_view moving_end = ".moving.test-tunnel.test";
/// How many there are: for as many processes as test at once, one each for the tool and for a
/// check, with some to spare. Each makes every look-up of any name a little longer.
inline constexpr int moving_count = 48;

/// Returns the name with this number, which begins at 1.
inline std::string moving_name(int number) {
    return fmt::format("host-{:02}{}", number, moving_end);
}

/// Returns lines for all moving names and these addresses, none of which holds.
inline std::string moving_lines(const std::vector<Address>& addresses) {
    std::string result;
    for (int number = 1; number <= moving_count; ++number) {
        for (const auto& address : addresses) {
            result += fmt::format("#{} {}\n", address.text().substr(1), moving_name(number));
        }
    }
    return result;
}

/// A line of a moving name, in the text of a hosts file.
struct MovingLine {
    /// Where it begins.
    std::size_t offset = 0;
    /// How long it is, without its end.
    std::size_t length = 0;
    /// The address without its first byte.
    std::string rest;
};

/// Returns the lines of one moving name in the text of a hosts file, in their order.
inline std::vector<MovingLine> lines_of(std::string_view text, const std::string& name) {
    std::vector<MovingLine> result;
    for (std::size_t begin = 0; begin < text.size();) {
        const auto end = std::min(text.find('\n', begin), text.size());
        const auto line = text.substr(begin, end - begin);
        const auto space = line.find(' ');
        if (space != std::string_view::npos && line.substr(space + 1) == name) {
            result.push_back({begin, line.size(), std::string{line.substr(1, space - 1)}});
        }
        begin = end + 1;
    }
    return result;
}

/// Returns the text of a hosts file without the lines of moving names: of another private network.
inline std::string without_moving(std::string_view text) {
    std::string result;
    while (!text.empty()) {
        const auto line = text.substr(0, text.find('\n'));
        if (!line.ends_with(moving_end)) {
            result += line;
            result += '\n';
        }
        text.remove_prefix(std::min(line.size() + 1, text.size()));
    }
    return result;
}

} // namespace test_tunnel::detail
