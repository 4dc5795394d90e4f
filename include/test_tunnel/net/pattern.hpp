#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace test_tunnel {

namespace detail {

/// Returns the finalizer of SplitMix64: every bit of the result depends on every bit of `value`.
constexpr std::uint64_t mix(std::uint64_t value) {
    value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
    value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
    return value ^ (value >> 31U);
}

} // namespace detail

/// An endless stream of pseudo-random bytes of which every part can be made at once, by its offset:
/// nothing has to be stored to be compared later. Two of different keys have nothing in common.
class Pattern {
public:
    /// Makes a pattern that has the same bytes each time for the same `key`.
    explicit constexpr Pattern(std::uint64_t key) : key_{detail::mix(key + increment)} {}

    /// Returns another pattern that `name` tells from its siblings: that of a check, or of a
    /// direction.
    [[nodiscard]] constexpr Pattern derive(std::string_view name) const {
        std::uint64_t key = key_;
        for (const char character : name) {
            key = detail::mix(key + static_cast<unsigned char>(character) + 1);
        }
        return Pattern{key};
    }
    /// Returns another pattern that `number` tells from its siblings: that of one of many
    /// connections.
    [[nodiscard]] constexpr Pattern derive(std::uint64_t number) const {
        return Pattern{key_ ^ detail::mix(number + 1)};
    }

    /// Writes the bytes from `offset` on.
    void fill(std::uint64_t offset, std::span<char> bytes) const {
        for_each_word(offset, bytes.size(), [&](std::size_t at, const char* word, auto size) {
            std::memcpy(bytes.data() + at, word, size);
            return true;
        });
    }

    /// Returns `size` bytes from `offset` on.
    [[nodiscard]] std::string bytes(std::uint64_t offset, std::size_t size) const {
        std::string result(size, '\0');
        fill(offset, result);
        return result;
    }

    /// Returns where `bytes`, which should be those from `offset` on, first differ; their size
    /// where they don't.
    [[nodiscard]] std::size_t mismatch(std::uint64_t offset, std::string_view bytes) const {
        std::size_t same = bytes.size();
        for_each_word(offset, bytes.size(), [&](std::size_t at, const char* word, auto size) {
            if (std::memcmp(bytes.data() + at, word, size) == 0) {
                return true;
            }
            const auto* const end = bytes.data() + at + size;
            same = static_cast<std::size_t>(std::mismatch(bytes.data() + at, end, word).first -
                                            bytes.data());
            return false;
        });
        return same;
    }

private:
    static constexpr std::uint64_t increment = 0x9e3779b97f4a7c15U;

    /// Calls `use(position, word, size)` for each piece of at most eight bytes until it says no.
    /// The size of a whole word is a constant: to copy or compare it is one instruction then, not a
    /// call.
    template <typename Use>
    void for_each_word(std::uint64_t offset, std::size_t size, Use use) const {
        constexpr std::size_t width = sizeof(std::uint64_t);
        std::size_t at = 0;
        while (at < size) {
            const std::uint64_t position = offset + at;
            const std::uint64_t word = detail::mix(key_ + position / width * increment);
            const auto skipped = static_cast<std::size_t>(position % width);
            const auto count = std::min(width - skipped, size - at);
            char bytes[width]; // NOLINT(*-avoid-c-arrays)
            std::memcpy(bytes, &word, width);
            if (count == width ? !use(at, bytes, std::integral_constant<std::size_t, width>{})
                               : !use(at, bytes + skipped, count)) {
                return;
            }
            at += count;
        }
    }

    std::uint64_t key_;
};

} // namespace test_tunnel
