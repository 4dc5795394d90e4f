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

#include "../deadline.hpp"
#include "system.hpp"
#include "unique_fd.hpp"

namespace test_tunnel::detail {

/// Connections that this side has ended in TLS and in TCP, and to which the other one may still
/// have to say something: its own close_notify, a ticket that comes late. Were they closed, the
/// system would answer that by a reset, and a tool that still has to pass data on might take that
/// for a reason not to. So they are kept for a moment, and what comes is thrown away; but only so
/// much: a tool that goes on with data has to learn that nobody takes it. Every wait tends them.
class Lingering {
public:
    /// Never destroyed: what is, after `main`, may wait.
    static Lingering& instance() {
        // NOLINTNEXTLINE(*-owning-memory,*-avoid-non-const-global-variables)
        static auto* const instance = new Lingering;
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

    /// Closes those whose time is over, or that the other side has ended too, or speaks to. Returns
    /// how long a wait may last before this must be called again.
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

    Lingering() = default;

    /// Takes what has arrived. False: it has ended, or it is more than what comes late.
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
