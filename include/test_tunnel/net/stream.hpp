#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/net/pattern.hpp"
#include "test_tunnel/net/socket.hpp"
#include "test_tunnel/net/supervisor.hpp"

namespace test_tunnel {

/// Sizes of single writes that no buffer of a tunnel is a multiple of, and 64 KiB, which many are.
inline constexpr std::array<std::size_t, 10> odd_pieces{1,   2,    3,    7,    31,
                                                        127, 1021, 4093, 8191, 65536};
/// Writes as large as most programs make them: 64 KiB.
inline constexpr std::array<std::size_t, 1> large_pieces{65536};
/// Writes of a single byte each.
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
    /// The sizes of the pieces in which it is written, over and over.
    std::span<const std::size_t> pieces = large_pieces;
    /// After the last byte the direction is ended, and its clean end demanded.
    bool ends = false;
    /// Whether the reader reads at all.
    bool reads = true;
    /// Whether the stream may break before it is complete; that is then told by `broken`.
    bool may_break = false;
    /// Whether the stream is complete when all of its bytes have arrived, so that its end is not
    /// awaited, though `ends` or `may_break` is set.
    bool end_is_optional = false;

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

    /// "client → server: 5 of 8 bytes written, 3 read"
    [[nodiscard]] std::string progress() const;

    /// Whether there are bytes left to be written, and nothing is wrong.
    [[nodiscard]] bool wants_to_write() const { return broken.empty() && written < size; }

    /// Takes what the caller has read from `to` in place of `transfer`, and counts it. Throws
    /// Unexpected where these are not the bytes that were written, or more than that.
    void take(std::string_view bytes);

    /// Notes that the stream has broken, and `how`. Throws Unexpected where it may not break.
    void break_off(std::string_view how);
};

/// How streams are carried.
struct TransferOptions {
    /// How long nothing at all may happen before it is given up.
    Duration patience = Timeouts{}.io;
    /// How long what has been written may take to arrive, as far as that can be told from the rate
    /// of the last ten seconds; less, where little has been written: a second for each KiB, and ten
    /// seconds at least. No limit with `may_stall`.
    Duration longest = std::chrono::seconds{60};
    /// When to write no more than has been written by then, so that a slow tool takes no longer;
    /// what has been written must still arrive.
    std::optional<Deadline> soft_end{};
    /// Nothing happening is not an error: `transfer` returns false.
    bool may_stall = false;
};

/// Writes and reads all streams at once, in one thread, until each is complete, or has broken where
/// it may. Every byte is compared as it arrives. True when done; false only with `may_stall`.
///
/// Throws Unexpected where other bytes come, or fewer, or more, TimedOut where nothing happens for
/// `patience`, or where it would not be done within `longest`, ToolEnded as `supervisor` does.
bool transfer(std::span<Stream> streams, const std::weak_ptr<Supervisor>& supervisor,
              const TransferOptions& options = {});

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/net/detail/stream.ipp" // IWYU pragma: export
#endif
