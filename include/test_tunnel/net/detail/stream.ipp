#pragma once

#include <poll.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/net/detail/pace.hpp"
#include "test_tunnel/net/stream.hpp"
#include "test_tunnel/net/supervisor.hpp"
#include "test_tunnel/net/wait.hpp"

namespace test_tunnel {

namespace detail {

/// Returns what is known of `actual`, the bytes that came at `at` in place of the pattern's:
/// whether they stand elsewhere in this stream or in another one.
inline std::string where_else(std::string_view actual, std::uint64_t at, const Stream& stream,
                              std::span<const Stream> all) {
    constexpr std::size_t enough = 8;
    constexpr std::uint64_t reach = 1U << 20U;
    const auto probe = actual.substr(0, enough);
    if (probe.size() < enough) {
        return {};
    }
    const auto begin = at > reach ? at - reach : 0;
    const auto near = stream.pattern.bytes(begin, static_cast<std::size_t>(2 * reach));
    if (const auto found = near.find(probe); found != std::string::npos) {
        const auto offset = begin + found;
        return offset > at ? fmt::format(
                                 "; these are the bytes of offset {}: {} bytes before them "
                                 "are missing",
                                 offset, offset - at)
                           : fmt::format("; these are the bytes of offset {} again", offset);
    }
    for (const auto& other : all) {
        if (&other != &stream &&
            other.pattern.bytes(0, static_cast<std::size_t>(reach)).find(probe) !=
                std::string::npos) {
            return fmt::format("; these are bytes of {}", other.name);
        }
    }
    return {};
}

/// Throws Unexpected where what has arrived is not what was written.
inline void verify_piece(const Stream& stream, std::string_view piece,
                         std::span<const Stream> all) {
    const auto most = std::min<std::uint64_t>(stream.written - stream.read, piece.size());
    auto same = stream.pattern.mismatch(stream.read, piece);
    if (same == piece.size() && most == piece.size()) {
        return;
    }
    same = std::min(same, static_cast<std::size_t>(most));
    const auto at = stream.read + same;
    constexpr std::size_t before = 16;
    constexpr std::size_t shown = 48;
    const auto start = same > before ? same - before : 0;
    const auto actual = piece.substr(start, shown);
    const auto offset = stream.read + start;
    if (most <= same) {
        throw Unexpected{
            fmt::format("{}: {} bytes and not one more", stream.name, stream.written),
            fmt::format("{} more after them\n{}", piece.size() - same,
                        hexdump(piece.substr(same, shown), static_cast<std::size_t>(at)))};
    }
    const auto wanted = stream.pattern.bytes(
        offset,
        static_cast<std::size_t>(std::min<std::uint64_t>(actual.size(), stream.written - offset)));
    throw Unexpected{fmt::format("{}: {} bytes as they were written\n{}", stream.name, stream.size,
                                 hexdump(wanted, static_cast<std::size_t>(offset))),
                     fmt::format("different from offset {} on{}\n{}", at,
                                 where_else(piece.substr(same), at, stream, all),
                                 hexdump(actual, static_cast<std::size_t>(offset)))};
}

/// Returns whether its end is awaited, and not only its bytes.
[[nodiscard]] inline bool awaits_end(const Stream& stream) {
    return (stream.ends || stream.may_break) && !stream.end_is_optional;
}

[[nodiscard]] inline bool wants_to_read(const Stream& stream) {
    return stream.reads && !stream.ended && (stream.read < stream.size || awaits_end(stream));
}

/// Returns whether nothing is left to be done.
[[nodiscard]] inline bool is_done(const Stream& stream) {
    return !stream.wants_to_write() && !wants_to_read(stream);
}

/// Writes what can be written without waiting, and returns whether that was anything.
inline bool write_some(Stream& stream, std::span<char> buffer) {
    bool any = false;
    std::size_t turn = 0;
    try {
        while (stream.wants_to_write() && turn < buffer.size()) {
            const auto piece = stream.pieces[stream.next_piece % stream.pieces.size()];
            const auto left =
                std::min<std::uint64_t>(piece - stream.piece_done, stream.size - stream.written);
            // What nobody takes has to be made again: a page tells as well whether somebody does.
            constexpr std::size_t page = 4096;
            const auto size =
                std::min(static_cast<std::size_t>(left), stream.is_full ? page : buffer.size());
            stream.pattern.fill(stream.written, buffer.first(size));
            const auto count = stream.from.try_write({buffer.data(), size});
            stream.is_full = count == 0;
            if (stream.is_full) {
                break;
            }
            any = true;
            turn += count;
            stream.written += count;
            stream.piece_done += count;
            if (stream.piece_done == piece) {
                stream.piece_done = 0;
                ++stream.next_piece;
            }
        }
        if (stream.from.has_unsent()) {
            static_cast<void>(stream.from.try_write({}));
        }
        if (stream.ends && !stream.shut_down && stream.written == stream.size) {
            stream.shut_down = true;
            stream.from.shutdown_write();
            any = true;
        }
    } catch (const SystemError& error) {
        stream.break_off(error.what());
        return true;
    }
    return any;
}

/// Reads what can be read without waiting, and returns whether that was anything.
inline bool read_some(Stream& stream, std::span<char> buffer, std::span<const Stream> all) {
    std::optional<std::size_t> count;
    try {
        count = stream.to.try_read(buffer.data(), buffer.size());
    } catch (const SystemError& error) {
        stream.break_off(error.what());
        stream.ended = true;
        return true;
    }
    if (!count) {
        return false;
    }
    if (*count == 0) {
        stream.ended = true;
        if (!stream.ends || stream.written < stream.size || stream.read < stream.written) {
            stream.break_off("end of stream");
        }
        return true;
    }
    verify_piece(stream, {buffer.data(), *count}, all);
    stream.read += *count;
    stream.unacknowledged = true;
    return true;
}

} // namespace detail

TEST_TUNNEL_INLINE std::string Stream::progress() const {
    return fmt::format("{}: {} of {} bytes written, {} read", name, written, size, read);
}

TEST_TUNNEL_INLINE void Stream::take(std::string_view bytes) {
    detail::verify_piece(*this, bytes, {});
    read += bytes.size();
}

TEST_TUNNEL_INLINE void Stream::break_off(std::string_view how) {
    if (!may_break) {
        throw Unexpected{fmt::format("{}: {} bytes arrive as they were written{}", name, size,
                                     ends ? ", then the end of the stream" : ""),
                         fmt::format("{}\n({})", how, progress())};
    }
    broken += fmt::format("{}{}", broken.empty() ? "" : "; ", how);
}

TEST_TUNNEL_INLINE bool transfer(std::span<Stream> streams,
                                 const std::weak_ptr<Supervisor>& supervisor,
                                 const TransferOptions& options) {
    constexpr std::size_t buffer_size = 1U << 18U;
    // Not initialized: most transfers are small.
    const std::unique_ptr<char[]> memory{new char[buffer_size]}; // NOLINT(*-avoid-c-arrays)
    const std::span<char> buffer{memory.get(), buffer_size};
    const auto guard = supervisor.lock();
    auto deadline = Deadline::after(options.patience);
    constexpr Duration window = std::chrono::seconds{10};
    detail::Pace pace{window, options.longest};
    const auto give_up = [&](std::string_view reason) {
        std::string state;
        for (const auto& stream : streams) {
            if (!detail::is_done(stream)) {
                state += '\n' + stream.progress();
            }
        }
        throw TimedOut{fmt::format("{}{}", reason, state)};
    };
    std::vector<SocketEvent> events;
    for (;;) {
        const bool enough = options.soft_end && options.soft_end->passed();
        bool progress = false;
        bool done = true;
        events.clear();
        for (auto& stream : streams) {
            if (enough) {
                stream.size = std::min(stream.size, std::max<std::uint64_t>(stream.written, 1));
            }
            const bool must_end = stream.ends && !stream.shut_down;
            if (stream.wants_to_write() ||
                (stream.broken.empty() && (must_end || stream.from.has_unsent()))) {
                progress |= detail::write_some(stream, buffer);
            }
            if (detail::wants_to_read(stream)) {
                progress |= detail::read_some(stream, buffer, streams);
            }
            done = done && detail::is_done(stream);
            if (stream.wants_to_write() || stream.from.has_unsent()) {
                events.push_back(stream.from.event(POLLOUT));
            }
            if (detail::wants_to_read(stream)) {
                events.push_back(stream.to.event(POLLIN));
            }
        }
        if (done) {
            return true;
        }
        constexpr std::string_view awaited = "the streams to go on";
        if (!progress) {
            // A tool may hold its last piece back until the one before it is acknowledged.
            for (auto& stream : streams) {
                if (std::exchange(stream.unacknowledged, false)) {
                    stream.to.acknowledge_now();
                }
            }
        }
        if (progress) {
            deadline = Deadline::after(options.patience);
            if (guard) {
                guard->require_time(awaited);
            }
            const auto complaint =
                options.may_stall ? std::string{} : pace.complaint(streams, Clock::now());
            if (!complaint.empty()) {
                give_up(complaint);
            }
        } else if (!wait_for(events, deadline, guard.get(), awaited)) {
            if (options.may_stall) {
                return false;
            }
            give_up(fmt::format("nothing for {}", text_of(scaled(options.patience))));
        }
    }
}

} // namespace test_tunnel
