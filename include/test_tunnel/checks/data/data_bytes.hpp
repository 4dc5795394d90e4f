#pragma once

#include <poll.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Bytes that programs have been seen to treat in special ways. They consist of parts with names.
struct OddBytes {
    struct Part {
        std::string_view name;
        std::size_t begin;
    };
    std::string bytes{};
    std::vector<Part> parts{};

    void add(std::string_view name, std::string_view data) {
        parts.push_back({name, bytes.size()});
        bytes += data;
    }

    /// Returns where `offset` is, in words: "offset 70012 (offset 12 of a run of 0xff)".
    [[nodiscard]] std::string place(std::size_t offset) const {
        const auto next = std::find_if(parts.begin() + 1, parts.end(),
                                       [&](const Part& part) { return part.begin > offset; });
        const auto& part = *(next - 1);
        return fmt::format("offset {} (offset {} of {})", offset, offset - part.begin, part.name);
    }
};

/// Returns the shortest text in which every two byte values stand side by side, in either order: a
/// de Bruijn sequence, made of all Lyndon words of one and two letters in their order.
inline std::string every_two_bytes() {
    constexpr int values = 256;
    std::string result;
    for (int first = 0; first < values; ++first) {
        result += static_cast<char>(first);
        for (int second = first + 1; second < values; ++second) {
            result += {static_cast<char>(first), static_cast<char>(second)};
        }
    }
    return result;
}

inline OddBytes odd_bytes() {
    using namespace std::string_view_literals;
    OddBytes result;
    result.add("line endings", "a\nb\rc\r\nd\n\re\r\r\n\n\rf\n\n\n\r\n\r\n\r\r\r"sv);
    result.add("characters that end or pause something",
               "\0 a\0b\0\0\0c \x03 \x04 \x1a \x1a\x1a\r\n\x1a \x11 \x13 \x11\x13 \x7f \b \f"sv);
    result.add("what terminals, modems and remote shells obey",
               "\x1b[6n \x1b]0;t\x07 \r~.\r +++\r\nATH\r\n \xff\xf4\xff\xfd\x06 \xff\xff \xff"sv);
    result.add(
        "what looks like another protocol",
        "\r\n.\r\n..\r\nQUIT\r\n\r\n0\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n\x05\x01\0 %%s%n%d% "
        "\\n\\0 &#0;"sv);
    result.add(
        "valid and invalid UTF-8",
        "\xef\xbb\xbf\xc3\xa4 \xe2\x82\xac \xf0\x9f\x99\x82 \xc0\x80 \xed\xa0\x80 \x80 \xfe"sv);
    result.add("every two byte values side by side", every_two_bytes());
    constexpr std::size_t length = 65536;
    for (const auto& [name, byte] :
         {std::pair{"a run of 0x00", '\0'}, {"a run of 0xff", '\xff'}, {"a run of 'a'", 'a'}}) {
        // What follows tells at once that a run was too short.
        result.add(name, std::string(length, byte) + "the end of the run");
    }
    return result;
}

/// One direction of an exchange, and how far it has come.
struct Text {
    Socket& from;
    Socket& to;
    std::string_view name;
    std::string_view bytes;
    std::size_t written = 0;
    std::size_t read = 0;
};

/// Throws Unexpected: instead of `text`, `actual` came from a little before the offset `at` on;
/// `what` says in words how that is different.
[[noreturn]] inline void fail_text(const Text& text, std::size_t at, std::string_view actual,
                                   std::string_view what) {
    constexpr std::size_t before = 16;
    constexpr std::size_t shown = 48;
    const auto start = at > before ? at - before : 0;
    const auto wanted = text.bytes.substr(start, shown);
    throw Unexpected{
        fmt::format("{}: {} bytes as they were written{}{}", text.name, text.bytes.size(),
                    wanted.empty() ? "" : "\n", hexdump(wanted, start)),
        fmt::format("{}{}{}", what, actual.empty() ? "" : "\n",
                    hexdump(actual.substr(0, shown), start))};
}

/// Throws Unexpected where `piece`, which has arrived, is not what was written.
inline void verify_text(const Text& text, const OddBytes& odd, std::string_view piece) {
    const auto wanted = text.bytes.substr(text.read, piece.size());
    const auto same = static_cast<std::size_t>(
        std::mismatch(wanted.begin(), wanted.end(), piece.begin()).first - wanted.begin());
    if (same == piece.size()) {
        return;
    }
    const auto at = text.read + same;
    // The line before the difference has arrived, or this would not have been reached.
    const auto before = std::min<std::size_t>(at, 16);
    auto actual = std::string{text.bytes.substr(at - before, before)};
    actual += piece.substr(same);
    fail_text(text, at, actual,
              at < text.bytes.size()
                  ? fmt::format("different from {} on: 0x{} instead of 0x{}", odd.place(at),
                                hex(piece.substr(same, 1)), hex(wanted.substr(same, 1)))
                  : fmt::format("{} more after them", piece.size() - same));
}

/// Writes what is taken and reads what is there, without waiting. Returns whether that was
/// anything.
inline bool advance_text(Text& text, const OddBytes& odd, std::string& buffer) {
    try {
        const auto taken = text.from.try_write(text.bytes.substr(text.written));
        text.written += taken;
        const auto count = text.to.try_read(buffer.data(), buffer.size());
        if (!count) {
            return taken > 0;
        }
        if (*count == 0) {
            fail_text(text, text.read, {},
                      fmt::format("the end of the stream at {}", odd.place(text.read)));
        }
        verify_text(text, odd, {buffer.data(), *count});
        text.read += *count;
    } catch (const SystemError& error) {
        fail_text(text, text.read, {},
                  fmt::format("at {}: {}", odd.place(text.read), error.what()));
    }
    return true;
}

/// Sends the bytes in both directions at once, and compares what arrives. Sends only the first of
/// them where a slow tool takes too long for all.
inline void exchange(PairRun& run, Connection& connection, const OddBytes& odd) {
    auto& [client, server] = connection;
    std::array<Text, 2> texts{
        {{client, server, PairRun::up, odd.bytes}, {server, client, PairRun::down, odd.bytes}}};
    const auto supervisor = run.supervisor();
    const auto patience = run.config().timeouts.io;
    auto deadline = Deadline::after(patience);
    const auto soft_end = run.soft_end();
    constexpr std::size_t buffer_size = 65536;
    std::string buffer(buffer_size, '\0');
    std::vector<SocketEvent> events;
    for (;;) {
        bool progress = false;
        events.clear();
        for (auto& text : texts) {
            if (soft_end && soft_end->passed()) {
                text.bytes = text.bytes.substr(0, std::max<std::size_t>(text.written, 1));
            }
            progress |= text.read < text.bytes.size() && advance_text(text, odd, buffer);
            if (text.written < text.bytes.size() || text.from.has_unsent()) {
                events.push_back(text.from.event(POLLOUT));
            }
            if (text.read < text.bytes.size()) {
                events.push_back(text.to.event(POLLIN));
            }
        }
        constexpr std::string_view awaited = "the bytes to arrive";
        if (events.empty()) {
            return;
        }
        if (progress) {
            deadline = Deadline::after(patience);
            supervisor->require_time(awaited);
            continue;
        }
        // A tool may hold its last piece back until the one before it is acknowledged.
        server.acknowledge_now();
        client.acknowledge_now();
        if (!run.wait_for(events, deadline, awaited)) {
            const auto& late = texts[0].read < texts[0].bytes.size() ? texts[0] : texts[1];
            fail_text(late, late.read, {},
                      fmt::format("nothing for {} at {}; {} bytes had been written",
                                  text_of(scaled(patience)), odd.place(late.read), late.written));
        }
    }
}

/// Sends all that programs have been seen to change, swallow or obey: every byte value, every two
/// of them side by side, line endings, long runs of one value; both ways at once, then some of it
/// alone. A tunnel that takes its data for text, for strings that end with a NUL or for a
/// terminal's input does not let all of it through.
inline void carry_odd_bytes(PairRun& run) {
    using namespace std::string_view_literals;
    auto connection = run.connect();
    run.step("odd bytes", "every byte value and every two of them arrive as they were written",
             Party::client, Party::server);
    exchange(run, connection, odd_bytes());
    run.step("odd bytes alone", "odd bytes arrive when they are written all alone", Party::client,
             Party::server);
    const auto soft_end = run.soft_end();
    constexpr std::size_t length = 4096; // in one piece, which may be all that a tool looks at
    const std::string zeros(length, '\0');
    const std::string ones(length, '\xff');
    for (const std::string_view bytes :
         {"\0"sv, "\x04"sv, "\x1a"sv, "\xff"sv, "\n"sv, "\r"sv, "\r\n"sv, " "sv, "quit\r\n"sv,
          "exit\n"sv, std::string_view{zeros}, std::string_view{ones}}) {
        OddBytes alone;
        alone.add("bytes that were written alone", bytes);
        exchange(run, connection, alone);
        if (soft_end && soft_end->passed()) {
            break;
        }
    }
    run.round_trip(connection);
}

inline constexpr Check data_bytes{
    .id = "data.bytes",
    .title =
        "every byte value, line endings, control characters and long runs go through, both ways",
    .presumes = {"data.bulk.up", "data.bulk.down"},
    .run = carry_odd_bytes};

} // namespace test_tunnel::check
