#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "test_tunnel/config/per_direction.hpp"
#include "test_tunnel/config/traits.hpp"

namespace test_tunnel {

/// All that the library knows of one trait, but for the words for its values (trait_words.hpp).
template <typename Value, typename Member = std::optional<Value>>
struct Trait {
    /// What the member of Traits is called, in text too: "half_close".
    std::string_view name;
    /// The member of Traits that declares it.
    Member Traits::*member = nullptr;
    /// What it says of a tool, in one line for a reader.
    std::string_view about;
    /// What a note about it begins with, before a colon and the value that was seen. Empty where
    /// the values are times or sizes, which `PairRun::judge` does not judge.
    std::string_view subject{};
    /// The value that needs no declaration. Nothing where there is no such value: then no value is
    /// better than another one.
    std::optional<Value> rule{};
    /// What needs no declaration, where no value says it.
    std::string_view rule_in_words{};

    /// A copy with another rule: for a check that knows more about this one tool.
    [[nodiscard]] constexpr Trait with_rule(std::optional<Value> other) const {
        auto result = *this;
        result.rule = other;
        return result;
    }
};

/// A row for a trait that may differ by the direction, such as `Traits::half_close`.
template <typename Value>
using DirectedTrait = Trait<Value, PerDirection<Value>>;

/// A row for a trait that is a list, such as `Traits::exit_statuses`.
template <typename Value>
struct ListTrait {
    /// What the member of Traits is called, in text too: "exit_statuses".
    std::string_view name;
    /// The member of Traits that declares it. An empty list declares nothing.
    std::vector<Value> Traits::*member = nullptr;
    /// What it says of a tool, in one line for a reader.
    std::string_view about;
    /// What needs no declaration.
    std::string_view rule_in_words;
};

} // namespace test_tunnel
