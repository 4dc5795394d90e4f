#pragma once

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/file_io.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/base/detail/unique_fd.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/process/detail/copy_tree.hpp"
#include "test_tunnel/process/detail/user_group.hpp"
#include "test_tunnel/process/detail/watchdog.hpp"
#include "test_tunnel/process/temp_dir.hpp"

namespace test_tunnel {

TEST_TUNNEL_INLINE TempDir::TempDir(TempDirOptions options) : keep_{options.keep} {
    if (options.readable_by) {
        group_ = detail::group_of(*options.readable_by);
        if (::geteuid() != 0) {
            throw PermissionDenied{fmt::format(
                "only root can make a directory readable by user '{}'", *options.readable_by)};
        }
    }
    const char* parent = std::getenv("TMPDIR"); // NOLINT(concurrency-mt-unsafe)
    auto path = fmt::format("{}/test-tunnel-XXXXXX",
                            parent == nullptr || *parent == '\0' ? "/tmp" : parent);
    if (::mkdtemp(path.data()) == nullptr) {
        throw SystemError{fmt::format("make the directory {}", path), errno};
    }
    path_ = path;
    if (!keep_) {
        detail::Watchdog::instance().guard(path_);
    }
    if (group_) {
        hand_over(path_, 0750);
    }
}

TEST_TUNNEL_INLINE TempDir::~TempDir() {
    if (!path_.empty() && !keep_) {
        detail::remove_tree(path_);
        detail::Watchdog::instance().release(path_);
    }
}

TEST_TUNNEL_INLINE void TempDir::keep() noexcept {
    if (!keep_ && !path_.empty()) {
        keep_ = true;
        detail::Watchdog::instance().release(path_);
    }
}

TEST_TUNNEL_INLINE std::string TempDir::path_of(std::string_view name) const {
    if (name.empty() || name == "." || name == ".." ||
        name.find_first_of(std::string_view{"/\0", 2}) != std::string_view::npos) {
        throw InvalidConfig{fmt::format("'{}' is no name for a file", name)};
    }
    return fmt::format("{}/{}", path_, name);
}

TEST_TUNNEL_INLINE std::string TempDir::write(std::string_view name, std::string_view content,
                                              std::optional<mode_t> mode) {
    const auto path = path_of(name);
    const auto attempted = fmt::format("write {}", path);
    // Nobody else can open it before it has its mode.
    const detail::UniqueFd file{detail::checked(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), attempted)};
    detail::write_all(file.get(), content, attempted);
    return adopt(name, mode);
}

TEST_TUNNEL_INLINE std::string TempDir::adopt(std::string_view name, std::optional<mode_t> mode) {
    auto path = path_of(name);
    hand_over(path, mode.value_or(group_ ? 0640 : 0600));
    files_.push_back(path);
    return path;
}

TEST_TUNNEL_INLINE std::string TempDir::copy(const std::string& source) {
    auto path = path_of(detail::last_name(source));
    const auto finish = [&](const std::string& copied, mode_t mode) {
        hand_over(copied, mode & (group_ ? mode_t{0750} : mode_t{0700}));
    };
    detail::TreeCopy{path_, finish}.copy(source, path);
    files_.push_back(path);
    return path;
}

TEST_TUNNEL_INLINE void TempDir::hand_over(const std::string& path, mode_t mode) const {
    if (group_) {
        detail::checked(::chown(path.c_str(), static_cast<uid_t>(-1), *group_),
                        fmt::format("change the group of {}", path));
    }
    detail::checked(::chmod(path.c_str(), mode), fmt::format("change the mode of {}", path));
}

} // namespace test_tunnel
