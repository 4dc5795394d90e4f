#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/file_io.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/detail/platform.hpp"
#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/private_network/detail/hosts_file.hpp"
#include "test_tunnel/private_network/detail/moving_names.hpp"
#include "test_tunnel/private_network/host_name.hpp"
#include "test_tunnel/private_network/host_names.hpp"

namespace test_tunnel {

#if TEST_TUNNEL_LINUX

namespace detail {

/// Locks these lines of the file for as long as it is open, also against other threads and
/// processes that have opened it; false where somebody else has.
inline bool lock_lines(int file, const MovingLine& first, const MovingLine& last) {
    struct flock range {};
    range.l_type = F_WRLCK;
    range.l_whence = SEEK_SET;
    range.l_start = static_cast<off_t>(first.offset);
    range.l_len = static_cast<off_t>(last.offset + last.length - first.offset);
    return ::fcntl(file, F_OFD_SETLK, &range) == 0;
}

inline bool is_of(const MovingLine& line, const Address& address) {
    return address.text().substr(1) == line.rest;
}

/// Returns the lines of one name in the hosts file as it is.
inline std::vector<MovingLine> lines_in_file(const std::string& name) {
    return lines_of(read_file(hosts_path).value_or(""), name);
}

} // namespace detail

TEST_TUNNEL_INLINE std::optional<HostName> HostName::take() {
    detail::UniqueFd file{::open(detail::hosts_path, O_RDWR | O_CLOEXEC)};
    const auto text = detail::read_file(detail::hosts_path);
    if (!file || !text) {
        return std::nullopt;
    }
    for (int number = 1; number <= detail::moving_count; ++number) {
        const auto name = detail::moving_name(number);
        const auto lines = detail::lines_of(*text, name);
        if (lines.empty()) {
            return std::nullopt;
        }
        if (!detail::lock_lines(file.get(), lines.front(), lines.back())) {
            continue;
        }
        HostName result{std::move(file), name};
        const auto any = Address::parse("127.0.0.1");
        result.resolve_to({any}); // whoever had it before may have left it with others
        if (!detail::resolves_to(name, any)) {
            return std::nullopt;
        }
        result.resolve_to({});
        return result;
    }
    return std::nullopt;
}

TEST_TUNNEL_INLINE bool HostName::can_be(const Address& address) const {
    const auto lines = detail::lines_in_file(text_);
    return std::any_of(lines.begin(), lines.end(),
                       [&](const auto& line) { return detail::is_of(line, address); });
}

TEST_TUNNEL_INLINE void HostName::resolve_to(const std::vector<Address>& addresses) {
    const auto lines = detail::lines_in_file(text_);
    for (const auto& address : addresses) {
        if (!can_be(address)) {
            throw NoAddresses{fmt::format(
                "{} can't stand for {}, which this private network does not have", text_, address)};
        }
    }
    const auto set = [&](const detail::MovingLine& line, char first) {
        detail::checked(::pwrite(file_.get(), &first, 1, static_cast<off_t>(line.offset)),
                        "change a hosts file");
    };
    // First what is added, so that the name always has an address.
    for (const bool adds : {true, false}) {
        for (const auto& line : lines) {
            const auto wanted =
                std::find_if(addresses.begin(), addresses.end(),
                             [&](const auto& address) { return detail::is_of(line, address); });
            if ((wanted != addresses.end()) == adds) {
                set(line, adds ? wanted->text().front() : '#');
            }
        }
    }
    addresses_ = addresses;
}

#else

TEST_TUNNEL_INLINE std::optional<HostName> HostName::take() {
    return std::nullopt;
}

TEST_TUNNEL_INLINE bool HostName::can_be(const Address& /*address*/) const {
    return false;
}

TEST_TUNNEL_INLINE void HostName::resolve_to(const std::vector<Address>& addresses) {
    addresses_ = addresses;
}

#endif

} // namespace test_tunnel
