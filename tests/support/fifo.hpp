#pragma once

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <test_tunnel/base/deadline.hpp>
#include <test_tunnel/base/detail/system.hpp>
#include <test_tunnel/base/detail/unique_fd.hpp>
#include <test_tunnel/net/detail/poll.hpp>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace support {

/// A directory of a test's own, removed with all that is in it.
class TemporaryDirectory {
public:
    TemporaryDirectory() {
        auto name = (std::filesystem::temp_directory_path() / "test-tunnel-XXXXXX").string();
        test_tunnel::detail::checked(::mkdtemp(name.data()) == nullptr ? -1 : 0, name);
        path_ = name;
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    [[nodiscard]] std::string path() const { return path_; }
    [[nodiscard]] std::string file(const std::string& name) const { return path_ / name; }

    /// A file of its own with this content and these permissions.
    [[nodiscard]] std::string write(const std::string& name, const std::string& content,
                                    std::filesystem::perms permissions) const {
        std::ofstream{file(name)} << content;
        std::filesystem::permissions(file(name), permissions);
        return file(name);
    }

private:
    std::filesystem::path path_;
};

/// Tells whether processes that the test can't wait for still live: those that were told to `hold`
/// it.
class Fifo {
public:
    Fifo() {
        test_tunnel::detail::checked(::mkfifo(path().c_str(), 0600), "mkfifo");
        fd_ = test_tunnel::detail::UniqueFd{test_tunnel::detail::checked(
            ::open(path().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC), "open a FIFO")};
    }

    [[nodiscard]] std::string path() const { return directory_.file("fifo"); }

    /// Waits until so many more processes have begun to hold it.
    [[nodiscard]] bool wait_for_holders(int count) const {
        return read_until([&](ssize_t got) { return got > 0 && --count == 0; });
    }

    /// Waits until the last process that held it is gone.
    [[nodiscard]] bool wait_for_end() const {
        return read_until([](ssize_t got) { return got == 0; });
    }

    /// Whether a process holds it, of those that have begun to.
    [[nodiscard]] bool is_held() const {
        char byte = 0;
        return ::read(fd_.get(), &byte, 1) != 0;
    }

private:
    template <typename Done>
    [[nodiscard]] bool read_until(Done done) const {
        const auto deadline = test_tunnel::Deadline::after(std::chrono::seconds{30});
        while (!deadline.passed()) {
            char byte = 0;
            if (done(::read(fd_.get(), &byte, 1))) {
                return true;
            }
            pollfd entry{.fd = fd_.get(), .events = POLLIN, .revents = 0};
            test_tunnel::detail::poll_once({&entry, 1}, std::chrono::milliseconds{10});
        }
        return false;
    }

    TemporaryDirectory directory_;
    test_tunnel::detail::UniqueFd fd_;
};

} // namespace support
