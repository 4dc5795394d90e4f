#pragma once

// How Linux answers: the files under /proc that tell of processes.

#include "test_tunnel/base/detail/platform.hpp"

#if TEST_TUNNEL_LINUX

#include <dirent.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/detail/file_io.hpp"
#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/detail/number.hpp"

namespace test_tunnel::detail {

/// Returns the numbers among the names in a directory under /proc: processes, threads, descriptors.
inline std::vector<pid_t> numbers_in(const std::string& directory) {
    const std::unique_ptr<DIR, int (*)(DIR*)> entries{::opendir(directory.c_str()), ::closedir};
    std::vector<pid_t> result;
    while (entries != nullptr) {
        const dirent* entry = ::readdir(entries.get()); // NOLINT(concurrency-mt-unsafe): own stream
        if (entry == nullptr) {
            break;
        }
        const std::string_view name{&entry->d_name[0]};
        pid_t number = 0;
        if (std::from_chars(name.data(), name.data() + name.size(), number).ptr ==
            name.data() + name.size()) {
            result.push_back(number);
        }
    }
    return result;
}

/// Cuts the next word off a line of a table, and returns it.
inline std::string_view next_word(std::string_view& line) {
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    const auto word = line.substr(0, line.find(' '));
    line.remove_prefix(word.size());
    return word;
}

/// Returns the bytes that a line such as "Rss:  1804 kB" tells; nothing where there is none.
inline std::optional<std::uint64_t> bytes_in(std::string_view text, std::string_view name) {
    constexpr std::uint64_t unit = 1024; // "kB"
    const auto line = text.find(name);
    if (line == std::string_view::npos) {
        return std::nullopt;
    }
    text.remove_prefix(line + name.size());
    const auto number = read_number<std::uint64_t>(next_word(text));
    return number ? std::optional{*number * unit} : std::nullopt;
}

/// Returns the inode of a socket among a process's descriptors, by its path in /proc; nothing where
/// it is none, or where this user may not know.
inline std::optional<std::uint64_t> socket_inode(const std::string& path) {
    std::array<char, 64> target{};
    const auto length = ::readlink(path.c_str(), target.data(), target.size());
    constexpr std::string_view prefix = "socket:[";
    const std::string_view text{target.data(),
                                static_cast<std::size_t>(std::max<ssize_t>(length, 0))};
    if (!text.starts_with(prefix)) {
        return std::nullopt;
    }
    std::uint64_t inode = 0;
    std::from_chars(text.data() + prefix.size(), text.data() + text.size(), inode);
    return inode;
}

/// Returns the children of a process: of all of its threads, adopted ones too, and zombies.
inline std::vector<pid_t> children_of(pid_t pid) {
    std::vector<pid_t> result;
    const auto threads = fmt::format("/proc/{}/task", pid);
    for (const pid_t thread : numbers_in(threads)) {
        const auto list = read_file(fmt::format("{}/{}/children", threads, thread));
        std::string_view rest{list ? *list : std::string_view{}};
        for (auto word = next_word(rest); !word.empty(); word = next_word(rest)) {
            pid_t child = 0;
            std::from_chars(word.data(), word.data() + word.size(), child);
            result.push_back(child);
        }
    }
    return result;
}

/// What is known of a process, or thread, by the path of its `stat` (proc_pid_stat(5)).
struct ProcessState {
    /// 'S' where it waits for something; 0 where it is not there.
    char letter = 0;
    pid_t parent = 0;
    /// Whether it is ending, or has ended.
    bool ends = false;
    /// The status of wait(2), where this user may know it.
    int status = 0;
    /// In clock ticks, with that of the threads that have ended.
    long long cpu_ticks = 0;
    /// In bytes, whether there is anything or not.
    long long address_space = 0;
};

inline ProcessState state_of(const std::string& path) {
    const auto line = read_file(path).value_or("");
    // "7 (name) S 1": the name may have parentheses and spaces in it.
    const auto name_end = line.rfind(')');
    if (name_end == std::string::npos) {
        return {};
    }
    auto rest = std::string_view{line}.substr(name_end + 1);
    std::array<long long, 50> numbers{}; // from the 3rd column on
    const auto letter = next_word(rest);
    for (std::size_t i = 1; i < numbers.size(); ++i) {
        const auto word = next_word(rest);
        std::from_chars(word.data(), word.data() + word.size(), numbers.at(i));
    }
    constexpr long long exiting = 4; // PF_EXITING
    return {.letter = letter.empty() ? '\0' : letter.front(),
            .parent = static_cast<pid_t>(numbers[1]),
            .ends = (numbers[6] & exiting) != 0,
            .status = static_cast<int>(numbers[49]),
            .cpu_ticks = numbers[11] + numbers[12],
            .address_space = numbers[20]};
}

/// Returns the parent of a process; 0 where it has none, or is not there.
inline pid_t parent_of(pid_t pid) {
    return state_of(fmt::format("/proc/{}/stat", pid)).parent;
}

} // namespace test_tunnel::detail

#endif
