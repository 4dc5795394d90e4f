#include <test_tunnel/base/text.hpp>
#include <test_tunnel/discovery/bind.hpp>
#include <test_tunnel/net/pattern.hpp>
#include <test_tunnel/net/stream.hpp>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "support/child.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

namespace {

constexpr std::uint64_t key = 42;

/// Both ends of a connection that no tunnel is in.
struct Direct {
    Socket near;
    Socket far;
};

Direct direct_connection() {
    const Endpoint any_port{Address::parse("127.0.0.1"), 0};
    auto listener = bind_to({}, any_port);
    listener.listen();
    Socket near{Family::ipv4};
    near.connect(listener.local());
    return {std::move(near), listener.accept()};
}

/// A tool that takes all that it is given, and says what the test has it say.
struct BadTunnel {
    Direct in = direct_connection();
    Direct out = direct_connection();

    /// What is written to it, and read from it.
    Stream stream(const Pattern& pattern, std::uint64_t size) {
        return {.from = in.near,
                .to = out.far,
                .name = "client → server",
                .pattern = pattern,
                .size = size};
    }
    void say(std::string_view bytes) { out.near.write(bytes); }
    void end() { out.near.shutdown_write(); }
};

constexpr std::uint64_t size = 4096; // fits into the system's buffers

const Pattern pattern{key};
const TransferOptions impatient{.patience = 50ms};

void carry(Stream& stream, const TransferOptions& options = {.patience = 60s}) {
    REQUIRE(transfer({&stream, 1}, {}, options));
}

/// How a transfer of the stream fails.
Unexpected failure_of(std::span<Stream> streams) {
    try {
        transfer(streams, {}, {.patience = 60s});
    } catch (const Unexpected& error) {
        return error;
    }
    return {"", "(nothing)"};
}

Unexpected failure_of(Stream& stream) {
    return failure_of({&stream, 1});
}

} // namespace

// --- What arrives as it was written

TEST_CASE("1 MiB each way arrives, and is counted", "[stream]") {
    auto [near, far] = direct_connection();
    constexpr std::uint64_t much = 1U << 20U;
    std::array<Stream, 2> streams{{{.from = near,
                                    .to = far,
                                    .name = "up",
                                    .pattern = pattern,
                                    .size = much,
                                    .pieces = odd_pieces},
                                   {.from = far,
                                    .to = near,
                                    .name = "down",
                                    .pattern = pattern.derive("down"),
                                    .size = much}}};
    REQUIRE(transfer(streams, {}, {.patience = 60s}));
    for (const auto& stream : streams) {
        CHECK(stream.written == much);
        CHECK(stream.read == much);
        CHECK(stream.broken.empty());
        CHECK_FALSE(stream.ended);
    }
}

TEST_CASE("a stream can be carried on with where it was left", "[stream]") {
    auto [near, far] = direct_connection();
    Stream stream{.from = near, .to = far, .name = "up", .pattern = pattern, .size = 100};
    carry(stream);
    stream.size = 250;
    carry(stream);
    CHECK(stream.read == 250);
    CHECK(far.pending() == 0);
}

TEST_CASE("a stream that ends is followed by a clean end", "[stream]") {
    auto [near, far] = direct_connection();
    Stream stream{
        .from = near, .to = far, .name = "up", .pattern = pattern, .size = size, .ends = true};
    carry(stream);
    CHECK(stream.read == size);
    CHECK(stream.ended);
}

TEST_CASE("a stream of no bytes can end, too", "[stream]") {
    auto [near, far] = direct_connection();
    Stream stream{.from = near, .to = far, .name = "up", .pattern = pattern, .ends = true};
    carry(stream);
    CHECK(stream.ended);
}

TEST_CASE("a stream is written in the pieces that it asks for", "[stream]") {
    auto [near, far] = direct_connection();
    constexpr std::array<std::size_t, 3> pieces{5, 1, 10};
    Stream stream{.from = near,
                  .to = far,
                  .name = "up",
                  .pattern = pattern,
                  .size = 3 * 16 + 7,
                  .pieces = pieces};
    carry(stream);
    CHECK(stream.next_piece == 3 * pieces.size() + 2);
    CHECK(stream.piece_done == 1);
}

TEST_CASE("the last piece is cut down to what is left", "[stream]") {
    BadTunnel tunnel;
    auto stream = tunnel.stream(pattern, 10);
    stream.reads = false;
    carry(stream);
    CHECK(stream.written == 10);
    CHECK(tunnel.in.far.read(10) == pattern.bytes(0, 10));
    CHECK(tunnel.in.far.pending() == 0);
}

TEST_CASE("nothing is read of a stream that nobody reads", "[stream]") {
    auto [near, far] = direct_connection();
    Stream stream{
        .from = near, .to = far, .name = "up", .pattern = pattern, .size = size, .reads = false};
    carry(stream);
    CHECK(stream.written == size);
    CHECK(stream.read == 0);
    stream.reads = true;
    carry(stream);
    CHECK(stream.read == size);
}

TEST_CASE("after its soft end a stream is not written on, but read", "[stream]") {
    auto [near, far] = direct_connection();
    constexpr std::uint64_t endless = std::uint64_t{1} << 50U;
    Stream stream{.from = near, .to = far, .name = "up", .pattern = pattern, .size = endless};
    const auto soft_end = GENERATE(0ms, 20ms);
    carry(stream, {.patience = 60s, .soft_end = Deadline::unscaled(soft_end)});
    CHECK(stream.written > 0);
    CHECK(stream.written < endless);
    CHECK(stream.read == stream.written);
    CHECK(stream.size == stream.written);
}

TEST_CASE("a soft end leaves a stream that is complete as it is", "[stream]") {
    auto [near, far] = direct_connection();
    Stream stream{
        .from = near, .to = far, .name = "up", .pattern = pattern, .size = size, .ends = true};
    carry(stream, {.patience = 60s, .soft_end = support::soon()});
    CHECK(stream.size == size);
}

// --- What does not

TEST_CASE("bytes that are lost are told by where they stood, and how many", "[stream]") {
    BadTunnel tunnel;
    tunnel.say(pattern.bytes(0, 1000) + pattern.bytes(1010, size - 1010));
    auto stream = tunnel.stream(pattern, size);
    const auto failure = failure_of(stream);
    CHECK(failure.expected() == "client → server: 4096 bytes as they were written\n" +
                                    hexdump(pattern.bytes(984, 48), 984));
    CHECK(failure.actual() ==
          "different from offset 1000 on; these are the bytes of offset 1010: 10 bytes before them "
          "are missing\n" +
              hexdump(pattern.bytes(984, 16) + pattern.bytes(1010, 32), 984));
}

TEST_CASE("bytes that come twice are told by where they belong", "[stream]") {
    BadTunnel tunnel;
    tunnel.say(pattern.bytes(0, 1000) + pattern.bytes(500, 1000));
    auto stream = tunnel.stream(pattern, size);
    CHECK_THAT(failure_of(stream).actual(),
               StartsWith("different from offset 1000 on; these are the bytes of offset 500 "
                          "again\n000003d8  "));
}

TEST_CASE("bytes of another stream are told by its name", "[stream]") {
    BadTunnel tunnel;
    auto [near, far] = direct_connection();
    const auto other = pattern.derive("other");
    tunnel.say(pattern.bytes(0, 1000) + other.bytes(300, 1000));
    std::array<Stream, 2> streams{
        tunnel.stream(pattern, size),
        Stream{.from = near, .to = far, .name = "another", .pattern = other, .size = size}};
    CHECK_THAT(failure_of(streams).actual(),
               StartsWith("different from offset 1000 on; these are bytes of another\n000003d8  "));
}

TEST_CASE("bytes that come from nowhere are told as they are", "[stream]") {
    BadTunnel tunnel;
    auto bytes = pattern.bytes(0, size);
    bytes[1000] = static_cast<char>(bytes[1000] ^ 1);
    tunnel.say(bytes);
    auto stream = tunnel.stream(pattern, size);
    CHECK(failure_of(stream).actual() ==
          "different from offset 1000 on\n" + hexdump(bytes.substr(984, 48), 984));
}

TEST_CASE("bytes after the last one are told by their number", "[stream]") {
    BadTunnel tunnel;
    tunnel.say(pattern.bytes(0, size) + "!!");
    auto stream = tunnel.stream(pattern, size);
    const auto failure = failure_of(stream);
    CHECK(failure.expected() == "client → server: 4096 bytes and not one more");
    CHECK(failure.actual() == "2 more after them\n" + hexdump("!!", 4096));
}

TEST_CASE("bytes between the last one and the end are noticed", "[stream]") {
    BadTunnel tunnel;
    auto stream = tunnel.stream(pattern, size);
    stream.ends = true;
    tunnel.say(pattern.bytes(0, size));
    REQUIRE(transfer({&stream, 1}, {}, {.patience = 10ms, .may_stall = true}) == false);
    tunnel.say("!");
    CHECK(failure_of(stream).actual() == "1 more after them\n" + hexdump("!", 4096));
}

TEST_CASE("bytes that come before they were written are noticed", "[stream]") {
    BadTunnel tunnel;
    tunnel.say(pattern.bytes(0, size));
    auto stream = tunnel.stream(pattern, 100);
    CHECK(failure_of(stream).expected() == "client → server: 100 bytes and not one more");
}

TEST_CASE("an end that comes too early is told with what had come", "[stream]") {
    BadTunnel tunnel;
    tunnel.say(pattern.bytes(0, 1000));
    tunnel.end();
    auto stream = tunnel.stream(pattern, size);
    SECTION("where no end was to come") {
        const auto failure = failure_of(stream);
        CHECK(failure.expected() == "client → server: 4096 bytes arrive as they were written");
        CHECK(failure.actual() ==
              "end of stream\n(client → server: 4096 of 4096 bytes written, 1000 read)");
    }
    SECTION("where one was") {
        stream.ends = true;
        const auto failure = failure_of(stream);
        CHECK_THAT(failure.expected(), ContainsSubstring(", then the end of the stream"));
        CHECK_THAT(failure.actual(), StartsWith("end of stream\n"));
    }
}

TEST_CASE("a reset is told as one", "[stream]") {
    BadTunnel tunnel;
    auto stream = tunnel.stream(pattern, size);
    SECTION("where it is read from") {
        tunnel.out.near.reset();
        CHECK_THAT(failure_of(stream).actual(),
                   StartsWith("read (") &&
                       ContainsSubstring("): Connection reset by peer\n(client → server: 4096 of "
                                         "4096 bytes written, 0 read)"));
    }
    SECTION("where it is written to") {
        tunnel.in.far.reset();
        CHECK_THAT(failure_of(stream).actual(),
                   StartsWith("write (") &&
                       ContainsSubstring("\n(client → server: 0 of 4096 bytes written, 0 read)"));
    }
}

TEST_CASE("a stream that stands still is given up, and its progress told", "[stream]") {
    BadTunnel tunnel;
    tunnel.say(pattern.bytes(0, 1000));
    auto stream = tunnel.stream(pattern, size);
    CHECK_THROWS_WITH(
        transfer({&stream, 1}, {}, impatient),
        StartsWith("nothing for ") &&
            ContainsSubstring("\nclient → server: 4096 of 4096 bytes written, 1000 read"));
    CHECK_THROWS_AS(transfer({&stream, 1}, {}, impatient), TimedOut);
}

TEST_CASE("of several streams only those are told that stand still", "[stream]") {
    BadTunnel tunnel;
    auto [near, far] = direct_connection();
    std::array<Stream, 2> streams{
        tunnel.stream(pattern, size),
        Stream{.from = near, .to = far, .name = "another", .pattern = pattern, .size = size}};
    CHECK_THROWS_WITH(transfer(streams, {}, impatient), !ContainsSubstring("another"));
}

TEST_CASE("a stream that may stand still only says so", "[stream]") {
    BadTunnel tunnel;
    auto stream = tunnel.stream(pattern, size);
    CHECK_FALSE(transfer({&stream, 1}, {}, {.patience = 10ms, .may_stall = true}));
    tunnel.say(pattern.bytes(0, size));
    carry(stream);
    CHECK(stream.read == size);
}

TEST_CASE("a stream that may break only says how", "[stream]") {
    BadTunnel tunnel;
    auto stream = tunnel.stream(pattern, size);
    stream.may_break = true;
    SECTION("by an end") {
        tunnel.say(pattern.bytes(0, 1000));
        tunnel.end();
        carry(stream);
        CHECK(stream.read == 1000);
        CHECK(stream.broken == "end of stream");
    }
    SECTION("by a reset") {
        tunnel.out.near.reset();
        carry(stream);
        CHECK_THAT(stream.broken, ContainsSubstring("Connection reset by peer"));
    }
    CHECK(stream.ended);
}

TEST_CASE("a stream that may break must not change", "[stream]") {
    BadTunnel tunnel;
    tunnel.say("something else");
    auto stream = tunnel.stream(pattern, size);
    stream.may_break = true;
    CHECK_THAT(failure_of(stream).actual(), StartsWith("different from offset 0 on\n00000000  73"));
}

TEST_CASE("a watch that demands an end stops a transfer that makes progress", "[stream]") {
    class Stopwatch final : public Supervisor {
    public:
        void append_to(std::vector<pollfd>& /*fds*/) const override {}
        void handle() override {}
        void require_running() const override {}
        void require_time(std::string_view awaited) const override {
            throw TimedOut{fmt::format("no time for {}", awaited)};
        }
        [[nodiscard]] Duration longest_wait() const override { return Duration::max(); }
    };
    auto [near, far] = direct_connection();
    const auto supervisor = std::make_shared<Stopwatch>();
    Stream stream{
        .from = near, .to = far, .name = "up", .pattern = pattern, .size = std::uint64_t{1} << 50U};
    CHECK_THROWS_WITH(transfer({&stream, 1}, supervisor, {}), "no time for the streams to go on");
}
