#pragma once

#include <test_tunnel/config/level.hpp>

#include <array>

/// A check of associations, and a fault that it was made for.
struct AssociateCase {
    const char* check;
    const char* behaviour;
    test_tunnel::Level level = test_tunnel::Level::standard;
    /// The member of Traits that the text must name.
    const char* trait = "";
};

inline constexpr auto associate_cases = std::to_array<AssociateCase>({
    {"associate.targets", "association-one-target"},
    {"associate.apart", "association-steals-answers"},
    {"associate.unknown_client", "association-needs-address"},
    {"associate.fragment", "association-forwards-fragments"},
    {"associate.invalid", "association-crashes-on-short"},
    {"associate.growth", "association-leaks", test_tunnel::Level::strict},
    {"associate.strangers", "association-serves-strangers", test_tunnel::Level::standard,
     "drops_strangers"},
    {"associate.end", "association-outlives-control", test_tunnel::Level::standard,
     "ends_associations"},
});
