#include <test_tunnel/net/pattern.hpp>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <set>

using namespace test_tunnel;

namespace {

constexpr std::uint64_t key = 42;

/// SplitMix64 as it was published (Steele, Lea, Flood, 2014), one number after the other.
std::uint64_t split_mix(std::uint64_t& state) {
    std::uint64_t value = state += 0x9e3779b97f4a7c15U;
    value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
    value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
    return value ^ (value >> 31U);
}

/// The pattern's first bytes, one by one.
std::string reference(std::size_t size) {
    std::uint64_t state = key;
    std::uint64_t words = split_mix(state) - 0x9e3779b97f4a7c15U;
    std::string result;
    while (result.size() < size) {
        const std::uint64_t word = split_mix(words);
        std::array<char, sizeof word> bytes{};
        std::memcpy(bytes.data(), &word, sizeof word);
        result.append(bytes.data(), std::min(bytes.size(), size - result.size()));
    }
    return result;
}

const Pattern pattern{key};

} // namespace

TEST_CASE("a pattern is SplitMix64, whatever the offset and the size", "[pattern]") {
    const auto all = reference(64);
    for (std::size_t offset = 0; offset < 24; ++offset) {
        for (std::size_t count = 0; count < 40; ++count) {
            CAPTURE(offset, count);
            std::string bytes(count + 2, '#');
            pattern.fill(offset, std::span{bytes}.subspan(1, count));
            REQUIRE(bytes == '#' + all.substr(offset, count) + '#');
        }
    }
}

TEST_CASE("the bytes of a pattern are what it fills in", "[pattern]") {
    CHECK(pattern.bytes(3, 20) == reference(23).substr(3));
    CHECK(pattern.bytes(7, 0).empty());
}

TEST_CASE("a pattern goes on beyond 4 GiB", "[pattern]") {
    constexpr std::uint64_t far = (std::uint64_t{1} << 32U) - 5;
    const auto whole = pattern.bytes(far, 64);
    for (std::size_t i = 0; i < whole.size(); ++i) {
        REQUIRE(pattern.bytes(far + i, 1) == whole.substr(i, 1));
    }
    CHECK(whole.substr(5) != pattern.bytes(0, 59));
}

TEST_CASE("the first byte that differs is found at all alignments", "[pattern]") {
    const auto all = reference(64);
    for (std::size_t offset = 0; offset < 16; ++offset) {
        for (std::size_t wrong = 0; wrong < 32; ++wrong) {
            CAPTURE(offset, wrong);
            auto bytes = all.substr(offset, 32);
            REQUIRE(pattern.mismatch(offset, bytes) == bytes.size());
            bytes[wrong] = static_cast<char>(bytes[wrong] ^ 1);
            REQUIRE(pattern.mismatch(offset, bytes) == wrong);
            REQUIRE(pattern.mismatch(offset, std::string_view{bytes}.substr(0, wrong)) == wrong);
        }
    }
}

TEST_CASE("patterns of other names and numbers have no word in common", "[pattern]") {
    constexpr std::size_t words = 1024;
    const std::vector<Pattern> all{pattern,
                                   Pattern{key + 1},
                                   pattern.derive(0),
                                   pattern.derive(1),
                                   pattern.derive("a"),
                                   pattern.derive("b"),
                                   pattern.derive("ab"),
                                   pattern.derive("a").derive("b"),
                                   pattern.derive("a").derive(0),
                                   pattern.derive(0).derive("a")};
    std::set<std::string> seen;
    for (const auto& each : all) {
        for (std::size_t i = 0; i < words; ++i) {
            seen.insert(each.bytes(i * 8, 8));
        }
    }
    CHECK(seen.size() == all.size() * words);
}

TEST_CASE("a pattern of the same name or number is the same", "[pattern]") {
    CHECK(pattern.derive("a").bytes(0, 16) == pattern.derive("a").bytes(0, 16));
    CHECK(pattern.derive(7).bytes(0, 16) == pattern.derive(7).bytes(0, 16));
}
