#pragma once

#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/config/traits.hpp"

// Every member of Traits has one row: this does not compile without it.

namespace test_tunnel::detail {

template <typename Type>
struct IsTraitMember : std::false_type {};
template <typename Value>
struct IsTraitMember<std::optional<Value>> : std::true_type {};
template <typename Value>
struct IsTraitMember<std::vector<Value>> : std::true_type {};
template <typename Value>
struct IsTraitMember<PerDirection<Value>> : std::true_type {};

/// Initializes any member of Traits.
struct AnyTraitMember {
    template <typename Member>
        requires IsTraitMember<Member>::value
    operator Member() const;
};

/// Initializes what can't be declared, and thus is no member of Traits.
struct AnyOtherMember {
    template <typename Member>
        requires(!IsTraitMember<Member>::value)
    operator Member() const;
};

template <typename... Last, std::size_t... index>
constexpr bool has_members(std::index_sequence<index...> /*one for each but the last*/) {
    return requires { Traits{(static_cast<void>(index), AnyTraitMember{})..., Last{}...}; };
}

/// Returns how many members Traits has: with one initializer more it could not be made.
template <std::size_t count = 1>
constexpr std::size_t count_of_traits() {
    if constexpr (has_members(std::make_index_sequence<count>{})) {
        return count_of_traits<count + 1>();
    } else {
        static_assert(!has_members<AnyOtherMember>(std::make_index_sequence<count - 1>{}),
                      "a member of Traits is no std::optional, PerDirection or std::vector");
        return count - 1;
    }
}

/// Returns how many rows there are.
constexpr std::size_t count_of_rows() {
    std::size_t count = 0;
    trait::for_each([&](const auto& /*row*/) { ++count; });
    return count;
}

/// Whether no two rows are about one member.
constexpr bool rows_differ() {
    std::size_t same = 0;
    trait::for_each([&](const auto& row) {
        trait::for_each([&](const auto& other) {
            if constexpr (std::is_same_v<decltype(row), decltype(other)>) {
                same += row.member == other.member ? 1 : 0;
            }
        });
    });
    return same == count_of_rows(); // each is the same as itself
}

static_assert(rows_differ(), "two rows in trait_table.hpp are about one member of Traits");
static_assert(count_of_rows() == count_of_traits(),
              "a member of Traits has no row in trait_table.hpp, or its row is not in `for_each`");

} // namespace test_tunnel::detail
