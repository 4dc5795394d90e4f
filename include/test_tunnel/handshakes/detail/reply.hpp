#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/base/text.hpp"

namespace test_tunnel {

/// What a handshake is made over: a Socket, or what reads and writes like one. `read_some` waits
/// for data and stores at most as much as it is told; it returns how much, and 0 at the end of the
/// stream.
template <typename T>
concept SocketLike = requires(T& socket, char* buffer, std::size_t size, std::string_view data) {
    { socket.read_some(buffer, size) } -> std::same_as<std::size_t>;
    socket.write(data);
};

namespace detail {

constexpr unsigned char byte_at(std::string_view bytes, std::size_t offset) {
    return static_cast<unsigned char>(bytes.at(offset));
}

/// Returns the number in two bytes in network order.
constexpr std::uint16_t number_at(std::string_view bytes, std::size_t offset) {
    return static_cast<std::uint16_t>(byte_at(bytes, offset) << 8U | byte_at(bytes, offset + 1));
}

/// Returns the number as two bytes in network order.
inline std::string two_bytes(std::size_t number) {
    return {static_cast<char>(number >> 8U & 0xffU), static_cast<char>(number & 0xffU)};
}

/// Throws InvalidConfig unless `value` is of a length that its protocol can carry. The value itself
/// is not quoted: it may be a password.
inline void require_length(std::string_view value, std::size_t shortest, std::string_view name,
                           std::string_view section) {
    constexpr std::size_t longest = 255;
    if (value.size() < shortest || value.size() > longest) {
        throw InvalidConfig{fmt::format("{} has {} bytes, not {} to {} ({})", name, value.size(),
                                        shortest, longest, section)};
    }
}

/// Nothing more came of a step of a handshake: the connection has ended, or nothing came in time.
class CutShort : public Unexpected {
public:
    using Unexpected::Unexpected;
};

/// What the other side sends in one step of a handshake: read piece by piece and never further than
/// asked for, judged as it comes, and kept whole for the account of what was wrong with it.
template <SocketLike Source>
class Reply {
public:
    /// `name` is what is awaited: "the reply to CONNECT (RFC 1928 §6)".
    Reply(Source& source, std::string name) : source_{&source}, name_{std::move(name)} {}

    /// All that was read.
    [[nodiscard]] const std::string& bytes() const noexcept { return bytes_; }

    [[nodiscard]] const std::string& name() const noexcept { return name_; }

    /// Waits for something, and reads at most `size` bytes of it. Throws CutShort where nothing
    /// comes any more.
    void read_up_to(std::size_t size) {
        const auto before = bytes_.size();
        std::size_t count = 0;
        std::string end = ", then end of stream";
        auto cause = Cause::unexpected;
        bytes_.resize(before + size);
        try {
            count = source_->read_some(bytes_.data() + before, size);
        } catch (const SetupError&) {
            throw;
        } catch (const Error& error) {
            end = fmt::format(", then: {}", error.what());
            cause = cause_of(error);
        }
        bytes_.resize(before + count);
        if (count == 0) {
            throw CutShort{"the rest of " + name_, bytes_around(bytes_, before, end), cause};
        }
    }

    /// Reads exactly `size` bytes more. The text is gone with the next call.
    std::string_view read(std::size_t size) {
        const auto before = bytes_.size();
        while (bytes_.size() < before + size) {
            read_up_to(before + size - bytes_.size());
        }
        return std::string_view{bytes_}.substr(before);
    }

    unsigned char read_byte() { return byte_at(read(1), 0); }

    /// Reads `constant`, and not a byte more where it turns out to be something else: who sends
    /// something shorter instead is noticed at once. `expected`: "version 5".
    void read_constant(std::string_view constant, std::string_view expected) {
        const auto before = bytes_.size();
        while (bytes_.size() < before + constant.size()) {
            read_up_to(before + constant.size() - bytes_.size());
            const auto actual = std::string_view{bytes_}.substr(before);
            const auto same = std::mismatch(actual.begin(), actual.end(), constant.begin()).first;
            if (same != actual.end()) {
                reject(before + static_cast<std::size_t>(same - actual.begin()), expected);
            }
        }
    }

    /// Throws Unexpected: the bytes are wrong from `offset` on.
    [[noreturn]] void reject(std::size_t offset, std::string_view expected) const {
        throw Unexpected{fmt::format("{} in {}", expected, name_),
                         bytes_around(bytes_, offset, fmt::format(", wrong at offset {}", offset))};
    }

private:
    Source* source_;
    std::string name_;
    std::string bytes_;
};

} // namespace detail

} // namespace test_tunnel
