#pragma once

#include <poll.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "deadline.hpp"
#include "detail/text.hpp"
#include "detail/wait_for_sockets.hpp"
#include "error.hpp"
#include "pattern.hpp"
#include "socket.hpp"
#include "watch.hpp"

namespace test_tunnel {

/// Sizes of single writes that no buffer of a tunnel is a multiple of, and 64 KiB, which many are.
inline constexpr std::array<std::size_t, 10> odd_pieces{1,   2,    3,    7,    31,
                                                        127, 1021, 4093, 8191, 65536};
/// Writes as large as most programs make them: 64 KiB.
inline constexpr std::array<std::size_t, 1> large_pieces{65536};
/// As many writes as there are bytes.
inline constexpr std::array<std::size_t, 1> single_bytes{1};

/// One direction of a connection: what is written at the one end must come out at the other.
struct Stream {
    /// The end at which it is written; the stream does not own it.
    Socket& from;
    /// The end at which it is read.
    Socket& to;
    /// "client → server", for the text of a failure.
    std::string name;
    /// What is written, from its offset 0 on.
    Pattern pattern;
    /// How many bytes there are to be written.
    std::uint64_t size = 0;
    /// In pieces of which sizes, over and over.
    std::span<const std::size_t> pieces = large_pieces;
    /// After the last byte the direction is ended, and its clean end demanded.
    bool ends = false;
    /// Whether the reader reads at all.
    bool reads = true;
    /// Whether the stream may break before it is complete; that is then told by `broken`.
    bool may_break = false;

    // What has come of it so far.

    /// How many bytes `from` has taken.
    std::uint64_t written = 0;
    /// How many have arrived, each of them the right one.
    std::uint64_t read = 0;
    /// The reader has seen the end of the stream.
    bool ended = false;
    /// Why nothing more can be written or read; empty as long as nothing is wrong.
    std::string broken{};
    /// How many pieces have been written to their end.
    std::size_t next_piece = 0;
    /// How many bytes of the next one have been written.
    std::size_t piece_done = 0;
    /// The direction was ended, as `ends` asks for.
    bool shut_down = false;
    /// Something was read since `Socket::acknowledge_now` was last called for it.
    bool unacknowledged = false;
    /// Nothing was taken when it was last tried.
    bool is_full = false;
};

/// How streams are carried.
struct TransferOptions {
    /// How long nothing at all may happen before it is given up.
    Duration patience = Timeouts{}.io;
    /// When to write no more than has been written by then, so that a slow tool takes no longer;
    /// what has been written must still arrive.
    std::optional<Deadline> soft_end{};
    /// Nothing happening is not an error: `transfer` returns false.
    bool may_stall = false;
};

namespace detail {

/// What is known of `actual`, the bytes that came at `at` instead of the pattern's: whether they
/// stand elsewhere in this stream or in another one.
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

/// That what has arrived is what was written: throws Unexpected where it is not.
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

inline std::string progress_of(const Stream& stream) {
    return fmt::format("{}: {} of {} bytes written, {} read", stream.name, stream.written,
                       stream.size, stream.read);
}

[[nodiscard]] inline bool wants_to_write(const Stream& stream) {
    return stream.broken.empty() && stream.written < stream.size;
}

/// Whether its end is awaited, and not only its bytes.
[[nodiscard]] inline bool awaits_end(const Stream& stream) {
    return stream.ends || stream.may_break;
}

[[nodiscard]] inline bool wants_to_read(const Stream& stream) {
    return stream.reads && !stream.ended && (stream.read < stream.size || awaits_end(stream));
}

/// Nothing is left to be done.
[[nodiscard]] inline bool is_done(const Stream& stream) {
    return !wants_to_write(stream) && !wants_to_read(stream);
}

/// Breaks the stream, or throws where it may not break.
inline void break_stream(Stream& stream, std::string_view how) {
    if (!stream.may_break) {
        throw Unexpected{
            fmt::format("{}: {} bytes arrive as they were written{}", stream.name, stream.size,
                        stream.ends ? ", then the end of the stream" : ""),
            fmt::format("{}\n({})", how, progress_of(stream))};
    }
    stream.broken += fmt::format("{}{}", stream.broken.empty() ? "" : "; ", how);
}

/// Writes what can be written without waiting; whether that was anything.
inline bool write_some(Stream& stream, std::span<char> buffer) {
    bool any = false;
    std::size_t turn = 0;
    try {
        while (wants_to_write(stream) && turn < buffer.size()) {
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
        break_stream(stream, error.what());
        return true;
    }
    return any;
}

/// Reads what can be read without waiting; whether that was anything.
inline bool read_some(Stream& stream, std::span<char> buffer, std::span<const Stream> all) {
    std::optional<std::size_t> count;
    try {
        count = stream.to.try_read(buffer.data(), buffer.size());
    } catch (const SystemError& error) {
        break_stream(stream, error.what());
        stream.ended = true;
        return true;
    }
    if (!count) {
        return false;
    }
    if (*count == 0) {
        stream.ended = true;
        if (!stream.ends || stream.written < stream.size || stream.read < stream.written) {
            break_stream(stream, "end of stream");
        }
        return true;
    }
    verify_piece(stream, {buffer.data(), *count}, all);
    stream.read += *count;
    stream.unacknowledged = true;
    return true;
}

} // namespace detail

/// Writes and reads all streams at once, in one thread, until each is complete, or has broken where
/// it may. Every byte is compared as it arrives. True when done; false only with `may_stall`.
///
/// Throws Unexpected where other bytes come, or fewer, or more, TimedOut where nothing happens for
/// `patience`, ToolEnded as `watch` does.
inline bool transfer(std::span<Stream> streams, const std::weak_ptr<Watch>& watch,
                     const TransferOptions& options = {}) {
    constexpr std::size_t buffer_size = 1U << 18U;
    // Not initialized: most transfers are small.
    const std::unique_ptr<char[]> memory{new char[buffer_size]}; // NOLINT(*-avoid-c-arrays)
    const std::span<char> buffer{memory.get(), buffer_size};
    const auto guard = watch.lock();
    auto deadline = Deadline::after(options.patience);
    std::vector<detail::SocketEvent> events;
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
            if (detail::wants_to_write(stream) ||
                (stream.broken.empty() && (must_end || stream.from.has_unsent()))) {
                progress |= detail::write_some(stream, buffer);
            }
            if (detail::wants_to_read(stream)) {
                progress |= detail::read_some(stream, buffer, streams);
            }
            done = done && detail::is_done(stream);
            if (detail::wants_to_write(stream) || stream.from.has_unsent()) {
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
        } else if (!detail::wait_for_sockets(events, deadline, guard.get(), awaited)) {
            if (options.may_stall) {
                return false;
            }
            std::string state;
            for (const auto& stream : streams) {
                if (!detail::is_done(stream)) {
                    state += '\n' + detail::progress_of(stream);
                }
            }
            throw TimedOut{fmt::format("nothing for {}{}",
                                       detail::text_of(detail::scaled(options.patience)), state)};
        }
    }
}

} // namespace test_tunnel
