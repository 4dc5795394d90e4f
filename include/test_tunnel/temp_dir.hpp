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

#include "detail/system.hpp"
#include "detail/unique_fd.hpp"
#include "detail/watchdog.hpp"
#include "error.hpp"

namespace test_tunnel {

/// How a TempDir is made.
struct TempDirOptions {
    /// A user to whose group the directory and its files are made readable: the one to which a tool
    /// that is started as root drops its privileges. Only root can ask for it.
    std::optional<std::string> readable_by{};
    /// Leave it where it is.
    bool keep = false;
};

/// A new directory in `TMPDIR` (default: /tmp) for the configuration and key files of a tool, which
/// this user alone can read unless asked for otherwise. The destructor removes it with all that is
/// in it, and where this process is killed, the watchdog does so.
///
/// Give it to the `Server`, which removes it when the tool has ended.
class TempDir {
public:
    /// Throws SystemError; InvalidConfig for a user that is not there, PermissionDenied where one
    /// is asked for without being root.
    explicit TempDir(TempDirOptions options = {});

    TempDir(TempDir&& other) noexcept
        : path_{std::exchange(other.path_, {})},
          files_{std::move(other.files_)},
          group_{other.group_},
          keep_{other.keep_} {}
    TempDir& operator=(TempDir&& other) noexcept {
        TempDir taken{std::move(other)};
        std::swap(path_, taken.path_);
        std::swap(files_, taken.files_);
        std::swap(group_, taken.group_);
        std::swap(keep_, taken.keep_);
        return *this;
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    ~TempDir();

    [[nodiscard]] const std::string& path() const noexcept { return path_; }

    /// The paths of the files written so far.
    [[nodiscard]] const std::vector<std::string>& files() const noexcept { return files_; }

    /// Writes a file and returns its path. `mode` is 0600, and 0640 where the directory is readable
    /// by another user, unless given: some tools refuse a key that others could read. Throws
    /// SystemError, InvalidConfig for a name with a slash.
    std::string write(std::string_view name, std::string_view content,
                      std::optional<mode_t> mode = std::nullopt);

    /// Leaves it where it is, for whoever wants to look into it.
    void keep() noexcept;
    [[nodiscard]] bool is_kept() const noexcept { return keep_; }

private:
    void hand_over(const std::string& path, mode_t mode) const;

    std::string path_;
    std::vector<std::string> files_;
    std::optional<gid_t> group_;
    bool keep_ = false;
};

namespace detail {

/// The primary group of a user. Throws InvalidConfig.
inline gid_t group_of(const std::string& user) {
    const passwd* entry = ::getpwnam(user.c_str()); // NOLINT(concurrency-mt-unsafe)
    if (entry == nullptr) {
        throw InvalidConfig{fmt::format("there is no user '{}'", user)};
    }
    return entry->pw_gid;
}

} // namespace detail

inline TempDir::TempDir(TempDirOptions options) : keep_{options.keep} {
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

inline TempDir::~TempDir() {
    if (!path_.empty() && !keep_) {
        detail::remove_tree(path_);
        detail::Watchdog::instance().release(path_);
    }
}

inline void TempDir::keep() noexcept {
    if (!keep_ && !path_.empty()) {
        keep_ = true;
        detail::Watchdog::instance().release(path_);
    }
}

inline std::string TempDir::write(std::string_view name, std::string_view content,
                                  std::optional<mode_t> mode) {
    if (name.empty() || name == "." || name == ".." ||
        name.find_first_of(std::string_view{"/\0", 2}) != std::string_view::npos) {
        throw InvalidConfig{fmt::format("'{}' is no name for a file", name)};
    }
    auto path = fmt::format("{}/{}", path_, name);
    const auto attempted = fmt::format("write {}", path);
    // Nobody else can open it before it has its mode.
    const detail::UniqueFd file{detail::checked(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), attempted)};
    while (!content.empty()) {
        const auto count =
            detail::checked(detail::retry_eintr([&] {
                                return ::write(file.get(), content.data(), content.size());
                            }),
                            attempted);
        content.remove_prefix(static_cast<std::size_t>(count));
    }
    hand_over(path, mode.value_or(group_ ? 0640 : 0600));
    files_.push_back(path);
    return path;
}

inline void TempDir::hand_over(const std::string& path, mode_t mode) const {
    if (group_) {
        detail::checked(::chown(path.c_str(), static_cast<uid_t>(-1), *group_),
                        fmt::format("change the group of {}", path));
    }
    detail::checked(::chmod(path.c_str(), mode), fmt::format("change the mode of {}", path));
}

} // namespace test_tunnel
