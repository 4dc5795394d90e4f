#pragma once

// How a check has a trait judged: the templates of PairRun.

#include <string_view>
#include <type_traits>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/config/per_direction.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/detail/judge.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel {

template <typename Value, typename Member>
    requires(std::is_enum_v<Value> || std::is_same_v<Value, bool>)
void PairRun::judge(const Trait<Value, Member>& trait, std::type_identity_t<Value> shown,
                    std::string_view subject) {
    take(detail::judge(trait, shown, traits(), config(), subject));
}

template <typename Value>
    requires(std::is_enum_v<Value> || std::is_same_v<Value, bool>)
void PairRun::judge(const DirectedTrait<Value>& trait, Direction direction,
                    std::type_identity_t<Value> shown, std::string_view subject) {
    const auto usual = fmt::format("{}, {}", trait.subject, direction == Direction::up ? up : down);
    take(detail::judge(trait, shown, traits(), config(), subject.empty() ? usual : subject,
                       direction));
}

} // namespace test_tunnel
