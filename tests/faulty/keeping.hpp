// What it keeps when a connection has ended.

#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "behaviours.hpp"
#include "sockets.hpp"

inline int keep_descriptor() {
    return ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
}

/// What it does with data that it carries.
inline void keep_of_data(std::string_view data) {
    static std::mutex mutex;
    static std::vector<std::string> kept;
    constexpr std::size_t one_in = 20;
    if (is("keeps-some-data")) {
        const std::lock_guard lock{mutex};
        kept.emplace_back(data.substr(0, data.size() / one_in));
    }
}

/// What it does when a connection has ended.
inline void keep_after_connection() {
    static std::mutex mutex;
    static std::vector<std::string> kept;
    const std::lock_guard lock{mutex};
    if (is("leaks-memory")) {
        kept.emplace_back(std::size_t{3} << 10, 'x');
    }
    static unsigned ended = 0;
    ++ended;
    if (is("leaks-300-bytes")) {
        kept.emplace_back(300, 'x');
    }
    constexpr unsigned many = 3000;
    if (is("dies-after-3000") && ended > many) {
        crash();
    }
    constexpr std::size_t large_pool = 1000;
    if (is("fills-large-pool") && kept.size() < large_pool) {
        kept.emplace_back(std::size_t{1} << 10, 'x');
    }
    constexpr std::size_t pool = 30;
    if (is("fills-pool") && kept.size() < pool) {
        kept.emplace_back(std::size_t{64} << 10, 'x');
        keep_descriptor();
    }
    constexpr std::size_t garbage = 100;
    if (is("collects-garbage")) {
        kept.emplace_back(std::size_t{30} << 10, 'x');
        if (kept.size() > garbage) {
            kept.clear();
        }
    }
    if (is("closes-late")) {
        std::thread{[fd = keep_descriptor()] {
            sleep_for(2s);
            ::close(fd);
        }}.detach();
    }
}
