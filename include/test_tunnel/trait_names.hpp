#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "detail/inline.hpp"
#include "traits.hpp"

namespace test_tunnel {

/// A trait in text: "half_close" and "timed", as in a report or on a command line.
struct NamedTrait {
    /// The member of Traits.
    std::string name;
    /// "true" and "false", the name of an enumerator, "30s", "64MiB", "0,15", "undeclared".
    std::string value;

    /// The same name, and the same value in the same words.
    friend bool operator==(const NamedTrait&, const NamedTrait&) = default;
};

/// What `traits` declares, in the order of Traits: all that is not as in `Traits{}`.
[[nodiscard]] std::vector<NamedTrait> declared_traits(const Traits& traits);

/// All traits there are, each with the values that it may have, in words: {"half_close", "full,
/// timed, none"}. Each may be "undeclared" besides.
[[nodiscard]] std::vector<NamedTrait> trait_names();

/// Sets the trait of that name: `declare(traits, "half_close", "timed")`. Throws InvalidConfig,
/// which lists the right names or values, where there is no such trait or value.
void declare(Traits& traits, std::string_view name, std::string_view value);

/// The same for one text: "half_close=timed".
void declare(Traits& traits, std::string_view assignment);

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "detail/impl/trait_names.hpp" // IWYU pragma: export
#endif
