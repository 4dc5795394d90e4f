#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/base/detail/unique_fd.hpp"

namespace test_tunnel::detail {

/// Connections that this side has ended in TLS and in TCP, while the other side may still have
/// something to say: its own close_notify, a ticket that comes late. Were they closed, the system
/// would answer that by a reset, which a tool that still has to pass data on might take for a
/// reason not to. So they stay open for two seconds, and what comes is thrown away; but only 64 KiB
/// of it, since a tool that goes on with data has to learn that nobody takes it. Every wait tends
/// them (wait.hpp).
class ClosingConnections {
public:
    /// Returns the only one, which is never destroyed: even what is destroyed after `main` may
    /// wait.
    static ClosingConnections& instance() {
        // NOLINTNEXTLINE(*-owning-memory,*-avoid-non-const-global-variables)
        static auto* const instance = new ClosingConnections;
        return *instance;
    }

    void add(UniqueFd fd) {
        constexpr auto moment = std::chrono::seconds{2};
        {
            const std::lock_guard lock{mutex_};
            connections_.push_back({std::move(fd), Deadline::after(moment)});
        }
        tend();
    }

    /// Closes those whose time is over, and those that the other side has ended too or sends too
    /// much on. Returns how long a wait may last before this must be called again.
    Duration tend() {
        constexpr auto often = std::chrono::milliseconds{10};
        const std::lock_guard lock{mutex_};
        std::erase_if(connections_,
                      [](Ended& ended) { return ended.until.passed() || !is_silent(ended); });
        return connections_.empty() ? Duration::max() : Duration{often};
    }

private:
    struct Ended {
        UniqueFd fd;
        Deadline until;
        std::size_t thrown_away = 0;
    };

    ClosingConnections() = default;

    /// Takes what has arrived. Returns false where the connection has ended, or where more has come
    /// than what comes late.
    static bool is_silent(Ended& ended) {
        constexpr std::size_t most = std::size_t{64} * 1024;
        std::array<char, 16384> nobodys; // NOLINT(*-member-init): large
        while (ended.thrown_away < most) {
            const auto count = retry_eintr(
                [&] { return ::recv(ended.fd.get(), nobodys.data(), nobodys.size(), 0); });
            if (count <= 0) {
                return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
            }
            ended.thrown_away += static_cast<std::size_t>(count);
        }
        return false;
    }

    std::mutex mutex_;
    std::vector<Ended> connections_;
};

} // namespace test_tunnel::detail
