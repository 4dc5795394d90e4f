// Transfers that move, but would not be done in time.

#include <test_tunnel/net/detail/pace.hpp>
#include <test_tunnel/net/stream.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "support/sockets.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr std::uint64_t size = 100'000;

/// A stream all of which has been written, and a part of it read.
Stream under_way(Socket& socket, std::uint64_t read) {
    Stream stream{.from = socket, .to = socket, .name = "up", .pattern = Pattern{1}, .size = size};
    stream.written = size;
    stream.read = read;
    return stream;
}

} // namespace

TEST_CASE("a stream that would take too long is complained of when the window is over") {
    Socket socket{Family::ipv4};
    detail::Pace pace{10s, 60s};
    const auto window = scaled(10s);
    std::vector<Stream> streams;
    streams.push_back(under_way(socket, 0));
    const auto begin = Clock::now();
    CHECK(pace.complaint(streams, begin).empty()); // nothing is known yet
    streams[0].read = 1'000;
    CHECK(pace.complaint(streams, begin + window / 2).empty());
    CHECK_THAT(pace.complaint(streams, begin + window), ContainsSubstring(" bytes per second in "));
    // Another window, in which it has become fast enough.
    streams[0].read = 50'000;
    CHECK(pace.complaint(streams, begin + 2 * window).empty());
}

TEST_CASE("a stream that is slow, but will be done, is left alone") {
    Socket socket{Family::ipv4};
    detail::Pace pace{10s, 60s};
    const auto window = scaled(10s);
    std::vector<Stream> streams;
    streams.push_back(under_way(socket, 0));
    const auto begin = Clock::now();
    CHECK(pace.complaint(streams, begin).empty());
    streams[0].read = 20'000; // four fifths of it take four windows more
    CHECK(pace.complaint(streams, begin + window).empty());
}

TEST_CASE("a few bytes are complained of sooner than many") {
    Socket socket{Family::ipv4};
    detail::Pace pace{10s, 60s};
    const auto window = scaled(10s);
    std::vector<Stream> streams;
    streams.push_back(under_way(socket, size - 4096));
    const auto begin = Clock::now();
    CHECK(pace.complaint(streams, begin).empty());
    streams[0].read += 1024; // the rest takes thirty seconds
    CHECK_FALSE(pace.complaint(streams, begin + window).empty());
}

TEST_CASE("time in which this process was stopped says nothing") {
    Socket socket{Family::ipv4};
    detail::Pace pace{10s, 60s};
    const auto window = scaled(10s);
    std::vector<Stream> streams;
    streams.push_back(under_way(socket, 0));
    const auto begin = Clock::now();
    CHECK(pace.complaint(streams, begin).empty());
    streams[0].read = 100;
    CHECK(pace.complaint(streams, begin + 3 * window).empty());
    streams[0].read = 200;
    CHECK_FALSE(pace.complaint(streams, begin + 4 * window).empty());
}

TEST_CASE("nothing is complained of while there is something to be written") {
    Socket socket{Family::ipv4};
    detail::Pace pace{10s, 60s};
    std::vector<Stream> streams;
    streams.push_back(under_way(socket, 0));
    streams[0].written = size - 1;
    const auto begin = Clock::now();
    CHECK(pace.complaint(streams, begin).empty());
    CHECK(pace.complaint(streams, begin + scaled(10s)).empty());
}
