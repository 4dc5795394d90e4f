#pragma once

#include "platform.hpp"

#if TEST_TUNNEL_LINUX

#include <dirent.h>
#include <fcntl.h>
#include <limits.h> // NOLINT(modernize-deprecated-headers): PATH_MAX is POSIX, not C
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../address.hpp"
#include "system.hpp"
#include "unique_fd.hpp"

namespace test_tunnel::detail {

/// The content of a file under /proc; nothing where it can't be read.
inline std::optional<std::string> read_proc(const std::string& path) {
    const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
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

/// The numbers among the names in a directory under /proc: processes, threads, descriptors.
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

/// A TCP socket of this network namespace, whoever owns it.
struct TcpSocket {
    Endpoint local;
    Endpoint remote;
    bool listens = false;
    /// 0 where no process has it any more.
    std::uint64_t inode = 0;
    /// How many bytes have arrived that its owner has not read; known to sock_diag only, as is
    /// whether both directions are still open.
    std::size_t unread = 0;
    bool established = false;
};

/// Cuts the next word off a line of a table.
inline std::string_view next_word(std::string_view& line) {
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    const auto word = line.substr(0, line.find(' '));
    line.remove_prefix(word.size());
    return word;
}

/// "0100007F:18E6": the address as 32-bit words in the machine's byte order, and the port.
inline Endpoint parse_table_endpoint(std::string_view text) {
    const auto colon = std::min(text.find(':'), text.size());
    std::string packed;
    for (std::size_t i = 0; i + 8 <= colon; i += 8) {
        std::uint32_t word = 0;
        std::from_chars(&text[i], &text[i] + 8, word, 16);
        packed.append(reinterpret_cast<const char*>(&word), sizeof word); // NOLINT(*-reinterpret-*)
    }
    Endpoint result{Address::from_packed(packed), 0};
    std::from_chars(text.data() + colon + 1, text.data() + text.size(), result.port, 16);
    return result;
}

/// All TCP sockets, as the kernel's tables say (proc_pid_net(5)): found without a connection.
inline std::vector<TcpSocket> tcp_sockets() {
    std::vector<TcpSocket> result;
    for (const auto* const table : {"/proc/self/net/tcp", "/proc/self/net/tcp6"}) {
        const auto content = read_proc(table).value_or("");
        std::string_view rest{content};
        rest.remove_prefix(std::min(rest.find('\n'), rest.size())); // the headings
        while (rest.size() > 1) {
            rest.remove_prefix(1);
            auto line = rest.substr(0, rest.find('\n'));
            rest.remove_prefix(line.size());
            next_word(line); // number
            TcpSocket socket;
            socket.local = parse_table_endpoint(next_word(line));
            socket.remote = parse_table_endpoint(next_word(line));
            socket.listens = next_word(line) == "0A"; // TCP_LISTEN
            for (int skipped = 0; skipped < 5; ++skipped) {
                next_word(line); // queues, timer, retransmits, user, timeout
            }
            const auto inode = next_word(line);
            std::from_chars(inode.data(), inode.data() + inode.size(), socket.inode);
            result.push_back(socket);
        }
    }
    return result;
}

/// The inode of a socket among a process's descriptors, by its path in /proc; nothing where it is
/// none, or this user may not know.
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

/// The inodes of all sockets of a process; nothing where this user may not know.
inline std::optional<std::vector<std::uint64_t>> socket_inodes(pid_t pid) {
    const auto directory = fmt::format("/proc/{}/fd", pid);
    if (::access(directory.c_str(), R_OK) == -1) {
        return std::nullopt;
    }
    std::vector<std::uint64_t> result;
    for (const int fd : numbers_in(directory)) {
        if (const auto inode = socket_inode(fmt::format("{}/{}", directory, fd))) {
            result.push_back(*inode);
        }
    }
    return result;
}

/// The children of a process: of all of its threads, adopted ones too, and zombies.
inline std::vector<pid_t> children_of(pid_t pid) {
    std::vector<pid_t> result;
    const auto threads = fmt::format("/proc/{}/task", pid);
    for (const pid_t thread : numbers_in(threads)) {
        const auto list = read_proc(fmt::format("{}/{}/children", threads, thread));
        std::string_view rest{list ? *list : std::string_view{}};
        for (auto word = next_word(rest); !word.empty(); word = next_word(rest)) {
            pid_t child = 0;
            std::from_chars(word.data(), word.data() + word.size(), child);
            result.push_back(child);
        }
    }
    return result;
}

/// A process and all that stem from it, each behind those that stem from itself.
inline std::vector<pid_t> family_of(pid_t pid) {
    std::vector<pid_t> result;
    for (const pid_t child : children_of(pid)) {
        const auto family = family_of(child);
        result.insert(result.end(), family.begin(), family.end());
    }
    result.push_back(pid);
    return result;
}

/// What is known of a process, or thread, by the path of its `stat` (proc_pid_stat(5)).
struct ProcessState {
    /// 'S' where it waits for something; 0 where it is not there.
    char letter = 0;
    pid_t parent = 0;
    /// Whether it is ending, or has ended.
    bool ends = false;
    /// As of wait(2), where this user may know.
    int status = 0;
};

inline ProcessState state_of(const std::string& path) {
    const auto line = read_proc(path).value_or("");
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
            .status = static_cast<int>(numbers[49])};
}

/// The parent of a process; 0 where it has none, or is not there.
inline pid_t parent_of(pid_t pid) {
    return state_of(fmt::format("/proc/{}/stat", pid)).parent;
}

/// Whether a process ends well, or every thread of it waits for something; false where that can't
/// be known.
inline bool is_at_rest(pid_t pid) {
    const auto process = fmt::format("/proc/{}", pid);
    const auto whole = state_of(process + "/stat"); // a thread's own status is set later
    if (whole.ends) {
        return whole.status == 0;
    }
    const auto threads = numbers_in(process + "/task");
    return !threads.empty() && std::all_of(threads.begin(), threads.end(), [&](pid_t thread) {
        return state_of(fmt::format("{}/task/{}/stat", process, thread)).letter == 'S';
    });
}

/// The name of a process, as the kernel has it.
inline std::string name_of(pid_t pid) {
    const auto name = read_proc(fmt::format("/proc/{}/comm", pid)).value_or("");
    return name.substr(0, name.find('\n'));
}

/// The path of the file that a process runs. Nothing for a zombie, and for what may not be looked
/// into.
inline std::optional<std::string> program_of(pid_t pid) {
    std::array<char, PATH_MAX> path{};
    const auto length =
        ::readlink(fmt::format("/proc/{}/exe", pid).c_str(), path.data(), path.size());
    return length == -1 ? std::nullopt
                        : std::optional{std::string{path.data(), static_cast<std::size_t>(length)}};
}

} // namespace test_tunnel::detail

#endif
