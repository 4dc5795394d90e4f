// A tunnel of two halves, one behind the other, that tell each other where a stream ends: what ends
// without that has been cut short.

#pragma once

#include <string>
#include <string_view>
#include <thread>

#include "behaviours.hpp"
#include "distortions.hpp"
#include "pipe.hpp"
#include "sockets.hpp"

/// On which side of this tunnel its other half is.
enum class OtherHalf { nowhere, at_client, at_server };

/// Set once, before there is a second thread.
inline OtherHalf other_half = OtherHalf::nowhere;

inline constexpr char half_escape = '\x1b';
inline constexpr char half_data = 'd'; // behind it: the escape itself
inline constexpr char half_end = 'e';  // behind it: the end of the stream

inline std::string to_other_half(std::string_view data) {
    std::string result;
    for (const char byte : data) {
        result += byte;
        if (byte == half_escape) {
            result += half_data;
        }
    }
    return result;
}

inline std::string end_for_other_half() {
    return {half_escape, half_end};
}

inline std::string from_other_half(Pipe& pipe, std::string_view data) {
    std::string result;
    for (const char byte : data) {
        if (pipe.is_escaped) {
            pipe.is_escaped = false;
            if (byte == half_end) {
                pipe.has_end_mark = true;
            } else {
                result += half_escape;
            }
        } else if (byte == half_escape) {
            pipe.is_escaped = true;
        } else {
            result += byte;
        }
    }
    return result;
}

/// A fault: all ends when this process was stopped for a while.
inline void stop_after_pause() {
    std::thread{[] {
        for (auto last = Clock::now(); Clock::now() - last < 1s;) {
            last = Clock::now();
            sleep_for(50ms);
        }
        process.has_stopped = true;
    }}.detach();
}
