#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/config/detail/trait_count.hpp"
#include "test_tunnel/config/detail/trait_text.hpp"
#include "test_tunnel/config/detail/wording.hpp"
#include "test_tunnel/config/per_direction.hpp"
#include "test_tunnel/config/trait_names.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/config/traits.hpp"

namespace test_tunnel {

namespace detail {

template <typename Value, typename Member>
std::string values_of(const Trait<Value, Member>& /*of*/) {
    return TraitText<Value>::values();
}

template <typename Value>
std::string values_of(const ListTrait<Value>& /*of*/) {
    return TraitText<Value>::values();
}

inline constexpr std::array directions{Direction::up, Direction::down};

/// Calls `act` with each name of a row, and the part of `member` that is declared by it: with the
/// plain name and all of it first.
template <typename Row, typename Member, typename Act>
void for_each_name(const Row& row, Member& member, Act act) {
    act(std::string{row.name}, member);
    if constexpr (requires { member.is_one(); }) {
        for (const auto direction : directions) {
            act(directed_name(row.name, direction), member.in(direction));
        }
    }
}

} // namespace detail

TEST_TUNNEL_INLINE std::vector<NamedTrait> declared_traits(const Traits& traits) {
    std::vector<NamedTrait> result;
    const Traits nothing;
    trait::for_each([&](const auto& row) {
        const auto& member = traits.*row.member;
        const auto add = [&](std::string name, const auto& declared, const auto& usual) {
            auto value = detail::write_trait(declared);
            if (value != detail::write_trait(usual)) {
                result.push_back({std::move(name), std::move(value)});
            }
        };
        if constexpr (requires { member.is_one(); }) {
            if (!member.is_one()) {
                for (const auto direction : detail::directions) {
                    add(detail::directed_name(row.name, direction), member.in(direction),
                        (nothing.*row.member).in(direction));
                }
                return;
            }
        }
        add(std::string{row.name}, member, nothing.*row.member);
    });
    return result;
}

TEST_TUNNEL_INLINE std::vector<NamedTrait> trait_names() {
    std::vector<NamedTrait> result;
    const Traits any;
    trait::for_each([&](const auto& row) {
        detail::for_each_name(row, any.*row.member, [&](std::string name, const auto& /*member*/) {
            result.push_back({std::move(name), detail::values_of(row)});
        });
    });
    return result;
}

TEST_TUNNEL_INLINE void declare(Traits& traits, std::string_view name, std::string_view value) {
    bool is_known = false;
    std::vector<std::string_view> names;
    trait::for_each([&](const auto& row) {
        names.push_back(row.name);
        detail::for_each_name(row, traits.*row.member, [&](const std::string& known, auto& member) {
            if (name != known) {
                return;
            }
            is_known = true;
            if (!detail::read_trait(value, member)) {
                throw InvalidConfig{
                    fmt::format("'{}' is no value of the trait {}: it takes {}, or {}", value, name,
                                detail::values_of(row), detail::undeclared)};
            }
        });
    });
    if (!is_known) {
        throw InvalidConfig{
            fmt::format("'{}' is no trait; there are: {}", name, joined(names, ", "))};
    }
}

TEST_TUNNEL_INLINE void declare(Traits& traits, std::string_view assignment) {
    const auto equals = assignment.find('=');
    if (equals == std::string_view::npos) {
        throw InvalidConfig{
            fmt::format("'{}' declares nothing: it must be a trait, '=' and a "
                        "value, as half_close=timed",
                        assignment)};
    }
    declare(traits, assignment.substr(0, equals), assignment.substr(equals + 1));
}

} // namespace test_tunnel
