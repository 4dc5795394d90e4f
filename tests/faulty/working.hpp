// What it computes though there is nothing to do.

#pragma once

#include <atomic>
#include <thread>

#include "behaviours.hpp"
#include "sockets.hpp"

/// Computes for so long.
inline void work_for(std::chrono::milliseconds duration) {
    for (const auto end = Clock::now() + duration; Clock::now() < end;) {
    }
}

/// Has a thread that never waits for anything.
inline void work_for_ever() {
    std::thread{[] {
        for (std::atomic<bool> ever{true}; ever;) {
        }
    }}.detach();
}

/// Has one such thread from the first call on.
inline void work_from_now_on() {
    static std::atomic<bool> works = false;
    if (!works.exchange(true)) {
        work_for_ever();
    }
}

/// What it does when a connection has ended.
inline void work_after_connection() {
    if (is("spins-after-client")) {
        work_from_now_on();
    }
    static std::atomic<int> times = 0;
    constexpr int few = 4;
    if (is("tidies-up") && times++ < few) {
        work_for(200ms);
    }
}

/// Threads that wake up now and then.
inline void tick_for_ever() {
    constexpr int threads = 4;
    for (int i = 0; i < threads; ++i) {
        std::thread{[] {
            for (std::atomic<bool> ever{true}; ever;) {
                sleep_for(1ms);
            }
        }}.detach();
    }
}
