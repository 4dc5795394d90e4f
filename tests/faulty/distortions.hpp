// What becomes of data on its way, and what the whole process knows of its connections.

#pragma once

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "behaviours.hpp"
#include "sockets.hpp"

/// What the connections know of each other.
struct Process {
    std::atomic<int> open = 0;    // connections
    std::atomic<int> clients = 0; // that have come
    std::atomic<int> stalled = 0; // connections of which one side has not read for 50 ms
    std::atomic<int> resets = 0;  // from clients and servers
    std::atomic<int> server_resets = 0;
    std::atomic<int> client_resets = 0;
    std::atomic<int> lost_halves = 0; // connections that ended with the tunnel's other half
    std::atomic<int> unreachable = 0; // how often the target was
    std::atomic<int> dialling = 0;    // connections that are being made
    std::atomic<int> pieces = 0;
    std::atomic<bool> has_stopped = false;
    std::atomic<int> not_asked = 0; // clients that have not begun their handshake
    std::atomic<bool> is_stopping = false;
    std::atomic<bool> has_run_out = false;     // of descriptors
    std::atomic<bool> evicts = false;          // a connection has to make room
    std::atomic<int> reloads = 0;              // how often it was to reload
    std::atomic<int> broken_reloads = 0;       // how often that was with a broken configuration
    std::atomic<Clock::rep> flooded_until = 0; // with datagrams

    std::mutex mutex; // of what follows
    std::string shared_buffer;
    std::set<int>
        silent; // the numbers of connections: of those that have carried nothing, or of all
};

inline Process process;
inline thread_local int number_of_client = 0;         // in the order in which they came
static_assert(std::atomic<int>::is_always_lock_free); // the signal handler reads them

inline std::string replace_all(std::string_view data, std::string_view from, std::string_view to) {
    std::string result;
    for (auto at = data.find(from); at != std::string_view::npos; at = data.find(from)) {
        result.append(data.substr(0, at)).append(to);
        data.remove_prefix(at + from.size());
    }
    return result.append(data);
}

inline std::string without_long_runs_of_zeros(const std::string& data) {
    constexpr int longest = 64;
    std::string result;
    int zeros = 0;
    for (const char byte : data) {
        zeros = byte == '\0' ? zeros + 1 : 0;
        if (zeros <= longest) {
            result += byte;
        }
    }
    return result;
}

/// Faults that each piece of data shows.
inline std::string distort_each(std::string data, bool up) {
    if (is(up ? Name{"changes-up"} : Name{"changes-down"})) {
        data.back() = static_cast<char>(data.back() ^ 1);
    } else if (is(up ? Name{"loses-up"} : Name{"loses-down"})) {
        data.pop_back();
    } else if (is(up ? Name{"adds-up"} : Name{"adds-down"})) {
        data += '!';
    } else if (is(up ? Name{"stalls-up"} : Name{"stalls-down"})) {
        data.clear();
    } else if (up && is("doubles-up")) {
        data += data;
    } else if (!up && is("reorders-down") && data.size() > 1) {
        std::swap(data[0], data[1]);
    } else if (up && is("crashes-in-transfer")) {
        crash();
    } else if (up && is("exits-in-transfer")) {
        ::_exit(7);
    }
    return data;
}

/// Faults that only certain bytes show.
inline std::string distort_bytes(std::string data) {
    if (is("stops-at-nul")) {
        data.resize(std::min(data.find('\0'), data.size()));
    } else if (is("text-mode")) {
        data = replace_all(data, "\n", "\r\n");
    } else if (is("loses-carriage-returns")) {
        data = replace_all(data, "\r\n", "\n");
    } else if (is("strips-eighth-bit")) {
        for (auto& byte : data) {
            byte = static_cast<char>(byte & 0x7f);
        }
    } else if (is("doubles-0xff")) {
        data = replace_all(data, "\xff", "\xff\xff");
    } else if (is("ends-at-0xff")) {
        data.resize(std::min(data.find('\xff'), data.size()));
    } else if (is("loses-xon-xoff")) {
        std::erase_if(data, [](char byte) { return byte == '\x11' || byte == '\x13'; });
    } else if (is("formats-percent")) {
        data = replace_all(data, "%%", "%");
    } else if (is("elides-zeros")) {
        data = without_long_runs_of_zeros(data);
    } else if (is("drops-blocks-of-zeros") && data.size() >= 512 &&
               data.find_first_not_of('\0') == std::string::npos) {
        data.clear();
    }
    return data;
}

/// Faults that show after a certain number of bytes; `offset` is that of this piece in its stream.
inline std::string distort_at(std::string data, bool up, std::uint64_t offset) {
    constexpr std::uint64_t block = 65536;
    constexpr std::uint64_t late = 700'000;
    const auto end = offset + data.size();
    if (up && is("loses-byte-at-64k-up") && offset < block && end >= block) {
        data.erase(block - 1 - offset, 1);
    } else if (up && is("corrupts-late-up") && offset <= late && late < end) {
        auto& byte = data[late - offset];
        byte = static_cast<char>(byte ^ 0x10);
    } else if (!up && is("stops-at-64k-down")) {
        data.resize(std::min(data.size(), block - std::min(offset, block)));
    } else if (!up && is("swaps-blocks-down") && offset >= 2 * block) {
        std::rotate(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(data.size() / 2),
                    data.end());
    }
    return data;
}

/// Faults that show after much data only; `offset` is that of this piece in its stream.
inline std::string distort_after_much(std::string data, bool up, std::uint64_t offset) {
    constexpr std::uint64_t much = 24 << 20;
    if (offset + data.size() <= much) {
        return data;
    }
    if (up && is("stops-at-24m-up")) {
        data.resize(offset < much ? much - offset : 0);
    } else if (!up && is("corrupts-after-24m-down")) {
        data.back() = static_cast<char>(data.back() ^ 1);
    } else if (up && is("skips-at-24m-up") && offset <= much) {
        data.clear(); // the piece at which its counter overflows
    } else if (is("pauses-at-24m") && offset <= much) {
        sleep_for(300ms);
    }
    return data;
}

/// Faults of one stream in many: of those that get to an offset.
inline std::string distort_rarely(std::string data, std::uint64_t offset) {
    constexpr std::uint64_t begin = 4096;
    constexpr std::uint64_t size = 512;
    constexpr unsigned one_in = 200;
    static std::atomic<unsigned> streams = 0;
    if (offset > begin || offset + data.size() < begin + size || ++streams % one_in != 0) {
        return data;
    }
    const auto block = data.begin() + static_cast<std::ptrdiff_t>(begin - offset);
    const auto block_end = block + static_cast<std::ptrdiff_t>(size);
    if (is("zeroes-block-rarely")) {
        std::fill(block, block_end, '\0');
    } else if (is("shifts-block-rarely")) {
        std::rotate(block, block + 1, block_end);
    }
    return data;
}

/// Faults by which connections disturb each other.
inline std::string distort_among(std::string data, bool up) {
    constexpr int few = 4;
    if (!up || process.open <= few) {
        return data;
    }
    if (is("crosses-connections")) {
        const std::lock_guard lock{process.mutex};
        std::swap(data, process.shared_buffer);
    } else if (is("shares-buffer")) {
        {
            const std::lock_guard lock{process.mutex};
            process.shared_buffer = data;
        }
        sleep_for(5ms); // in which another may use it
        const std::lock_guard lock{process.mutex};
        process.shared_buffer.resize(data.size());
        data = process.shared_buffer;
    }
    return data;
}

inline void make_noise() {
    constexpr int loud_ones = 4;
    const bool is_loud = process.pieces++ < loud_ones;
    const std::string noise(is_loud ? 1 << 20 : 20, 'n');
    std::fputs((noise + "\n").c_str(), stderr);
}

inline std::string distort(std::string data, bool up, std::uint64_t offset) {
    if (is("noisy")) {
        make_noise();
    }
    if (is("hiccups") && process.pieces++ % 50 == 49) {
        sleep_for(5ms);
    }
    data = distort_each(std::move(data), up);
    data = distort_bytes(std::move(data));
    data = distort_at(std::move(data), up, offset);
    data = distort_after_much(std::move(data), up, offset);
    data = distort_rarely(std::move(data), offset);
    return distort_among(std::move(data), up);
}
