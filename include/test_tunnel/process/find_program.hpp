#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "test_tunnel/base/environment.hpp"
#include "test_tunnel/base/error.hpp"

namespace test_tunnel::detail {

/// Why the system could not run a file. Not an exception: of the directories in a PATH, most lack
/// it.
struct NoProgram {
    bool is_missing = false;
    std::string reason;
};

/// Returns why the system could not run a file; nothing where it could.
inline std::optional<NoProgram> why_not_executable(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) == -1) {
        const int error = errno;
        return NoProgram{error == ENOENT || error == ENOTDIR,
                         fmt::format("{}: {}", path, std::generic_category().message(error))};
    }
    if (!S_ISREG(info.st_mode)) {
        return NoProgram{false, fmt::format("{} is {}, not a program", path,
                                            S_ISDIR(info.st_mode) ? "a directory" : "no file")};
    }
    if (::access(path.c_str(), X_OK) == -1) {
        return NoProgram{
            false, fmt::format("{} is not executable (mode {:04o})", path, info.st_mode & 07777U)};
    }
    return std::nullopt;
}

/// Returns the path of the program `name`: `name` itself where it has a slash, else the first
/// executable file of that name in the PATH of `environment`, then in the directories of the
/// system's daemons, which an ordinary user's PATH may lack. Throws ToolMissing, ToolNotExecutable.
inline std::string find_program(const std::string& name, const Environment& environment) {
    if (name.empty()) {
        throw ToolMissing{"no program was given"};
    }
    if (name.find('/') != std::string::npos) {
        const auto fault = why_not_executable(name);
        if (fault && fault->is_missing) {
            throw ToolMissing{fault->reason};
        }
        if (fault) {
            throw ToolNotExecutable{fault->reason};
        }
        return name;
    }
    const auto found = environment.find("PATH");
    const auto all = fmt::format("{}:/usr/local/sbin:/usr/sbin:/sbin",
                                 found == environment.end() || found->second.empty()
                                     ? "/usr/local/bin:/usr/bin:/bin"
                                     : found->second);
    std::string unusable;
    std::string_view rest{all};
    for (;;) {
        const auto colon = rest.find(':');
        const auto directory = rest.substr(0, colon);
        auto path = fmt::format("{}/{}", directory.empty() ? "." : directory, name);
        const auto fault = why_not_executable(path);
        if (!fault) {
            return path;
        }
        if (!fault->is_missing && unusable.empty()) {
            unusable = fault->reason; // the next directory may have another
        }
        if (colon == std::string_view::npos) {
            break;
        }
        rest.remove_prefix(colon + 1);
    }
    if (!unusable.empty()) {
        throw ToolNotExecutable{unusable};
    }
    throw ToolMissing{fmt::format("{}: no such program in {}", name, all)};
}

} // namespace test_tunnel::detail
