#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <utility>
#include <vector>

#include "../deadline.hpp"
#include "../detail/system.hpp"
#include "../detail/unique_fd.hpp"

namespace test_tunnel::detail {

/// Connections that this side has ended in TLS and in TCP, and to which the other one may still
/// have to say something: its own close_notify, a ticket that comes late. Were they closed, the
/// system would answer that by a reset, and a tool that still has to pass data on might take that
/// for a reason not to. So they are kept for a moment, and what comes is thrown away.
class Lingering {
public:
    static Lingering& instance() {
        static Lingering instance;
        return instance;
    }

    void add(UniqueFd fd) {
        constexpr auto moment = std::chrono::seconds{2};
        const std::lock_guard lock{mutex_};
        connections_.push_back({std::move(fd), Deadline::after(moment)});
        tend();
    }

private:
    struct Ended {
        UniqueFd fd;
        Deadline until;
    };

    Lingering() = default;

    /// Closes those whose time is over, or that the other side has ended too.
    void tend() {
        std::erase_if(connections_, [](const Ended& ended) {
            return ended.until.passed() || has_ended(ended.fd.get());
        });
    }

    static bool has_ended(int fd) {
        constexpr int most = 16; // whoever says more than that has not noticed
        std::array<char, 16384> nobodys{};
        for (int i = 0; i < most; ++i) {
            const auto count =
                retry_eintr([&] { return ::recv(fd, nobodys.data(), nobodys.size(), 0); });
            if (count <= 0) {
                return count == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
            }
        }
        return false;
    }

    std::mutex mutex_;
    std::vector<Ended> connections_;
};

} // namespace test_tunnel::detail
