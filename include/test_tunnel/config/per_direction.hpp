#pragma once

#include <optional>
#include <string_view>

namespace test_tunnel {

/// One of the two directions of a connection.
enum class Direction {
    /// From the client to the server.
    up,
    /// From the server to the client.
    down
};

/// Returns "up" or "down".
constexpr std::string_view text_of(Direction direction) {
    return direction == Direction::up ? "up" : "down";
}

/// A trait that a tool may have in one direction only. A plain value declares it for both, two
/// braces for one of them, and nothing is said of the other one then:
///
///     Traits{.passes_eof = false};
///     Traits{.passes_eof = {{.down = false}}};
///
/// The direction is the one in which the event travels that the trait is about: `down` is what the
/// server does, and the client sees.
template <typename Value>
struct PerDirection {
    /// What is declared of each direction, for the constructor below.
    struct Each {
        /// From the client to the server.
        std::optional<Value> up{};
        /// From the server to the client.
        std::optional<Value> down{};
    };

    /// Declares nothing.
    constexpr PerDirection() = default;
    // NOLINTBEGIN(google-explicit-constructor): so that a member is declared by a plain value
    /// Declares nothing.
    constexpr PerDirection(std::nullopt_t /*nothing*/) {}
    /// Declares a value for both directions.
    constexpr PerDirection(Value both) : up{both}, down{both} {}
    /// Declares a value, or nothing, for both directions.
    constexpr PerDirection(std::optional<Value> both) : up{both}, down{both} {}
    /// Declares what is given for each direction.
    constexpr PerDirection(Each each) : up{each.up}, down{each.down} {}
    // NOLINTEND(google-explicit-constructor)

    /// Returns what is declared of one direction.
    [[nodiscard]] constexpr const std::optional<Value>& in(Direction direction) const {
        return direction == Direction::up ? up : down;
    }
    /// Returns what is declared of one direction, to be changed.
    [[nodiscard]] constexpr std::optional<Value>& in(Direction direction) {
        return direction == Direction::up ? up : down;
    }

    /// Returns whether nothing differs by the direction.
    [[nodiscard]] constexpr bool is_one() const { return up == down; }

    /// Whether both directions are declared alike. A plain value equals one that is declared for
    /// both directions.
    friend bool operator==(const PerDirection&, const PerDirection&) = default;

    /// What is declared of the direction from the client to the server.
    std::optional<Value> up{};
    /// What is declared of the direction from the server to the client.
    std::optional<Value> down{};
};

} // namespace test_tunnel
