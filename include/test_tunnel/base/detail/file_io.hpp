#pragma once

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/base/detail/unique_fd.hpp"

namespace test_tunnel::detail {

/// Returns all that can be read from a file; nothing where it can't be opened or read. Works for
/// the files under /proc, too, which do not tell their size.
inline std::optional<std::string> read_file(const std::string& path) {
    const UniqueFd file{retry_eintr([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); })};
    if (!file) {
        return std::nullopt;
    }
    std::string result;
    constexpr std::size_t step = 16384;
    for (;;) {
        const auto size = result.size();
        result.resize(size + step);
        const auto count = retry_eintr([&] { return ::read(file.get(), &result[size], step); });
        result.resize(size + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
        if (count <= 0) {
            return count == 0 ? std::optional{result} : std::nullopt;
        }
    }
}

/// Writes all of `data` to a descriptor, and blocks as long as write(2) does. Throws SystemError,
/// whose text says what was `attempted`.
inline void write_all(int fd, std::string_view data, std::string_view attempted) {
    while (!data.empty()) {
        const auto count = retry_eintr([&] { return ::write(fd, data.data(), data.size()); });
        data.remove_prefix(static_cast<std::size_t>(checked(count, attempted)));
    }
}

} // namespace test_tunnel::detail
