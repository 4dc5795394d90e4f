#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/detail/file_io.hpp"
#include "test_tunnel/base/detail/platform.hpp"
#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/base/detail/unique_fd.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/private_network/detail/moving_names.hpp"

#if TEST_TUNNEL_LINUX
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#endif

namespace test_tunnel::detail {

inline constexpr const char* hosts_path = "/etc/hosts";
/// The end of all names in a private network: ".test" is nobody's (RFC 6761 §6.2).
inline constexpr std::string_view names_end = ".test-tunnel.test";

/// Returns the words of a line of hosts(5), without its comment.
inline std::vector<std::string_view> words_of_line(std::string_view line) {
    constexpr std::string_view blank = " \t\r";
    line = line.substr(0, line.find('#'));
    std::vector<std::string_view> words;
    for (;;) {
        line.remove_prefix(std::min(line.find_first_not_of(blank), line.size()));
        if (line.empty()) {
            return words;
        }
        words.push_back(line.substr(0, line.find_first_of(blank)));
        line.remove_prefix(words.back().size());
    }
}

/// Returns the names that the text of a hosts(5) file gives to an address, each once, in the order
/// of the file.
inline std::vector<std::string> names_in_hosts(std::string_view text, const Address& address) {
    std::vector<std::string> names;
    while (!text.empty()) {
        const auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        const auto words = words_of_line(line);
        try {
            if (words.empty() || Address::parse(words.front()) != address) {
                continue;
            }
        } catch (const InvalidAddress&) {
            continue; // other people's file
        }
        for (auto word = words.begin() + 1; word != words.end(); ++word) {
            if (std::find(names.begin(), names.end(), *word) == names.end()) {
                names.emplace_back(*word);
            }
        }
    }
    return names;
}

#if TEST_TUNNEL_LINUX

/// Returns a name of as many bytes as DNS allows (RFC 1035 §2.3.4: 255 on the wire, which are 253
/// as text, and 63 for each label), made of a shorter one whose first label is kept.
inline std::string longest_name(std::string_view name) {
    constexpr std::size_t longest = 253;
    constexpr std::size_t label = 63;
    const auto first = name.find('.');
    std::string padding;
    while (name.size() + padding.size() + 1 < longest) {
        const auto missing = longest - name.size() - padding.size() - 1;
        padding += '.' + std::string(std::min(missing, label), 'x');
    }
    return std::string{name.substr(0, first)} + padding + std::string{name.substr(first)};
}

/// Returns the text of a hosts(5) file with names for the addresses of a private network added to
/// `text`: for each a usual one, one of a single byte and one of 253, which are no other address's,
/// and `localhost` for both families.
inline std::string hosts_with_names(std::string text, const std::vector<Address>& addresses) {
    struct Name {
        const char* address;
        const char* label;
        const char* single_byte; // no hexadecimal digit: nobody shall take it for an address
    };
    static constexpr std::array<Name, 6> names{{{"127.0.0.1", "ip4-0", "u"},
                                                {"192.0.2.1", "ip4-1", "v"},
                                                {"192.0.2.2", "ip4-2", "w"},
                                                {"::1", "ip6-0", "x"},
                                                {"2001:db8::1", "ip6-1", "y"},
                                                {"2001:db8::2", "ip6-2", "z"}}};
    if (!text.empty() && text.back() != '\n') {
        text += '\n';
    }
    const auto add = [&](const Address& address, const std::string& name) {
        const auto known = names_in_hosts(text, address);
        if (std::find(known.begin(), known.end(), name) == known.end()) {
            text += fmt::format("{} {}\n", address, name); // one a line: each has its address alone
        }
    };
    for (const auto& [own, label, single_byte] : names) {
        const auto address = Address::parse(own);
        if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) {
            continue;
        }
        if (address.is_loopback()) {
            add(address, "localhost");
        }
        const auto name = fmt::format("{}{}", label, names_end);
        add(address, name);
        add(address, single_byte);
        add(address, longest_name(name));
    }
    return text;
}

/// A tmpfs over a directory, in this mount namespace. It is taken off in the end, but goes on for
/// what was mounted from it elsewhere.
class ScratchMount {
public:
    explicit ScratchMount(const char* path) : path_{path} {
        checked(::mount("tmpfs", path_, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755"),
                "mount a tmpfs");
    }
    ScratchMount(const ScratchMount&) = delete;
    ScratchMount& operator=(const ScratchMount&) = delete;
    ~ScratchMount() { ::umount2(path_, MNT_DETACH); }

private:
    const char* path_;
};

/// Moves this process, which must have one thread, into a mount namespace of its own, in which
/// /etc/hosts has the names of a private network, and those that move. The new file is in no
/// directory: it ends with the last process that sees it. The system's own file is not touched, and
/// need not be writable. Throws SystemError; the process may be in a new mount namespace even then.
inline void mount_hosts(const std::vector<Address>& addresses) {
    const auto old_text = read_file(hosts_path);
    if (!old_text) {
        throw SystemError{"read /etc/hosts", ENOENT};
    }
    const auto text =
        hosts_with_names(without_moving(*old_text), addresses) + moving_lines(addresses);
    checked(::unshare(CLONE_NEWNS), "unshare(CLONE_NEWNS)");
    // What is mounted here is not seen outside; what is unmounted outside is not kept here. The
    // texts are for valgrind, which looks at them although the kernel does not.
    checked(::mount("none", "/", "none", MS_REC | MS_SLAVE, nullptr), "mount(MS_SLAVE)");
    // Below, it is hidden. A symbolic link is followed, as whoever reads it does.
    const UniqueFd old{checked(::open(hosts_path, O_PATH | O_CLOEXEC), "open /etc/hosts")};
    const auto old_path = fmt::format("/proc/self/fd/{}", old.get());
    const ScratchMount scratch{"/etc"};
    const UniqueFd file{checked(::open(hosts_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644),
                                "write a hosts file")};
    checked(::fchmod(file.get(), 0644), "write a hosts file"); // whatever the umask: for every user
    write_all(file.get(), text, "write a hosts file");
    checked(::mount(hosts_path, old_path.c_str(), "none", MS_BIND, nullptr), "mount a hosts file");
}

#endif

} // namespace test_tunnel::detail
