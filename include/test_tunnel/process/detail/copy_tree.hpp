#pragma once

// Files and directories that are copied to where a tool may change them.

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/detail/file_io.hpp"
#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/base/detail/unique_fd.hpp"
#include "test_tunnel/base/error.hpp"

namespace test_tunnel::detail {

/// Returns the last name of a path, "c" of "/a/b/c/".
inline std::string_view last_name(std::string_view path) {
    while (path.ends_with('/')) {
        path.remove_suffix(1);
    }
    return path.substr(path.rfind('/') + 1); // npos + 1 is 0
}

/// Returns the names in a directory, but for "." and "..". Throws SystemError.
inline std::vector<std::string> names_in(const std::string& directory) {
    const std::unique_ptr<DIR, int (*)(DIR*)> entries{::opendir(directory.c_str()), ::closedir};
    if (entries == nullptr) {
        throw SystemError{fmt::format("list {}", directory), errno};
    }
    std::vector<std::string> result;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this function's own
    while (const dirent* entry = ::readdir(entries.get())) {
        const std::string_view name{&entry->d_name[0]};
        if (name != "." && name != "..") {
            result.emplace_back(name);
        }
    }
    return result;
}

/// Copies what is at `source` to the new `path`. Calls `finish(path, mode)` for each file and
/// directory that was made, when all is in it; the mode is 0755 for a program and for a directory,
/// 0644 else. Throws SystemError.
template <typename Finish>
class TreeCopy {
public:
    /// `top` is where all copies are, which is not copied itself.
    TreeCopy(const std::string& top, Finish finish) : finish_{finish} {
        checked(::stat(top.c_str(), &top_), fmt::format("look at {}", top));
    }

    /// Copies what `source` names, which a link stands for. Throws InvalidConfig, too, for what is
    /// neither a file nor a directory.
    void copy(const std::string& source, const std::string& path) {
        struct stat info {};
        checked(::stat(source.c_str(), &info), fmt::format("copy {}", source));
        if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) {
            throw InvalidConfig{fmt::format("{} is neither a file nor a directory", source)};
        }
        copy(source, path, info);
    }

private:
    void copy(const std::string& source, const std::string& path, const struct stat& info) {
        const auto attempted = fmt::format("copy {}", source);
        if (S_ISLNK(info.st_mode)) {
            constexpr std::size_t longest = 4096; // PATH_MAX of Linux
            std::string target(longest, '\0');
            const auto length =
                checked(::readlink(source.c_str(), target.data(), target.size()), attempted);
            target.resize(static_cast<std::size_t>(length));
            checked(::symlink(target.c_str(), path.c_str()), attempted);
        } else if (S_ISREG(info.st_mode)) {
            const auto content = read_file(source);
            if (!content) {
                throw SystemError{attempted, errno};
            }
            const UniqueFd file{checked(
                ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), attempted)};
            write_all(file.get(), *content, attempted);
            finish_(path, mode_t{(info.st_mode & 0111U) != 0 ? 0755U : 0644U});
        } else if (S_ISDIR(info.st_mode)) {
            if (info.st_dev == top_.st_dev && info.st_ino == top_.st_ino) {
                return; // it would never come to an end
            }
            checked(::mkdir(path.c_str(), 0700), attempted);
            for (const auto& name : names_in(source)) {
                const auto inner = fmt::format("{}/{}", source, name);
                struct stat entry {};
                checked(::lstat(inner.c_str(), &entry), fmt::format("copy {}", inner));
                copy(inner, fmt::format("{}/{}", path, name), entry);
            }
            finish_(path, mode_t{0755});
        } // sockets and other special files mean something only where they are
    }

    Finish finish_;
    struct stat top_ {};
};

} // namespace test_tunnel::detail
