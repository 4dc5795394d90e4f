#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"

namespace test_tunnel {

/// How a TempDir is made.
struct TempDirOptions {
    /// A user to whose group the directory and its files are made readable: the one to which a tool
    /// that is started as root drops its privileges. Only root can ask for it.
    std::optional<std::string> readable_by{};
    /// The directory is left where it is in the end.
    bool keep = false;
};

/// A new directory in `TMPDIR` (default: /tmp) for the configuration and key files of a tool, which
/// this user alone can read unless asked for otherwise. The destructor removes it with all that is
/// in it, and where this process is killed, the watchdog does so.
///
/// Give it to the `Server`, which removes it when the tool has ended.
class TempDir {
public:
    /// Makes the directory. Throws SystemError; InvalidConfig for a user that is not there,
    /// PermissionDenied where one is asked for without being root.
    explicit TempDir(TempDirOptions options = {});

    /// Takes it over; `other` has none then, and an empty path.
    TempDir(TempDir&& other) noexcept
        : path_{std::exchange(other.path_, {})},
          files_{std::move(other.files_)},
          group_{other.group_},
          keep_{other.keep_} {}
    /// Takes it over; the directory that this object had is removed, as by the destructor.
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

    /// Returns its path, absolute where `TMPDIR` is, without a slash at its end.
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

    /// Returns the paths of what was written, adopted or copied so far.
    [[nodiscard]] const std::vector<std::string>& files() const noexcept { return files_; }

    /// Writes a file and returns its path. `mode` is 0600, and 0640 where the directory is readable
    /// by another user, unless given: some tools refuse a key that others could read. Throws
    /// SystemError, InvalidConfig for what is no name of a file, as one with a slash.
    std::string write(std::string_view name, std::string_view content,
                      std::optional<mode_t> mode = std::nullopt);

    /// Adds a file that is there already, since another program has made it: a key, a certificate.
    /// Sets its mode and group, and returns its path. Throws as `write` does.
    std::string adopt(std::string_view name, std::optional<mode_t> mode = std::nullopt);

    /// Copies a file, or a directory with all that is in it, to the name that it has where it is,
    /// and returns the copy's path. This user can read and write each copy, and execute what it
    /// somebody can execute at `source`. Symbolic links in a directory are copied as they are,
    /// sockets and other special files are left out. Throws SystemError, and as `write` does;
    /// InvalidConfig where `source` is neither a file nor a directory.
    std::string copy(const std::string& source);

    /// Leaves it where it is, for whoever wants to look into it.
    void keep() noexcept;
    /// Whether the destructor will leave it.
    [[nodiscard]] bool is_kept() const noexcept { return keep_; }

private:
    [[nodiscard]] std::string path_of(std::string_view name) const;
    void hand_over(const std::string& path, mode_t mode) const;

    std::string path_;
    std::vector<std::string> files_;
    std::optional<gid_t> group_;
    bool keep_ = false;
};

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/process/detail/temp_dir.ipp" // IWYU pragma: export
#endif
