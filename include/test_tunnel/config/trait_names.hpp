#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/config/traits.hpp"

namespace test_tunnel {

/// A trait and its value in text, such as "half_close" and "timed": for reports and command lines.
struct NamedTrait {
    /// The name of the member of Traits; that of one direction only has it behind a dot:
    /// "half_close.up".
    std::string name;
    /// The value: "true", the name of an enumerator, "30s", "64MiB", "0,15" or "undeclared".
    std::string value;

    /// Whether both the names and the values are the same texts.
    friend bool operator==(const NamedTrait&, const NamedTrait&) = default;
};

/// Returns what `traits` declares, in the order of the members: each member that is not as in
/// `Traits{}`.
[[nodiscard]] std::vector<NamedTrait> declared_traits(const Traits& traits);

/// Returns all traits there are, each with the values that it may have, in words: {"half_close",
/// "full, timed, none"}. One that may differ by the direction is listed three times: "half_close",
/// "half_close.up", "half_close.down". Each may also be "undeclared", which is not listed.
[[nodiscard]] std::vector<NamedTrait> trait_names();

/// Sets the trait that has this name: `declare(traits, "half_close", "timed")`, in both directions
/// unless the name says which: "half_close.up". Throws InvalidConfig, which lists the names or the
/// values there are, where this is none of them.
void declare(Traits& traits, std::string_view name, std::string_view value);

/// Sets a trait by one text: `declare(traits, "half_close=timed")`. Throws InvalidConfig where the
/// text has no `=`, or names no trait or value.
void declare(Traits& traits, std::string_view assignment);

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/config/detail/trait_names.ipp" // IWYU pragma: export
#endif
