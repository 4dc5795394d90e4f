#pragma once

// What follows from the line of a behaviour, for `detection`.

#include <test_tunnel/run/check.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "declarations.hpp"
#include "faulty/behaviours.hpp"

/// Whether only that level sees it.
inline bool is_strict_fault(const Behaviour& behaviour) {
    return contains(behaviour.description, "(strict)");
}

/// Where it is run already at `standard`.
inline bool is_standard(std::string_view id) {
    const auto known = test_tunnel::checks();
    return std::any_of(known.begin(), known.end(), [&](const test_tunnel::Check& check) {
        return check.id == id && check.level <= test_tunnel::Level::standard;
    });
}

inline bool is_check(std::string_view id) {
    const auto known = test_tunnel::checks();
    return std::any_of(known.begin(), known.end(),
                       [&](const auto& check) { return check.id == id; }) ||
           id == "soak"; // all of them, again and again
}

/// A deviation from what is the rule for tools, and not one of several ways that are as good.
inline bool needs_declaration(const Behaviour& behaviour) {
    constexpr std::array free_choices{"wrong-source", "refuses-by-end", "retries-target",
                                      "finishes-connections"};
    return behaviour.kind == "trait" && std::find(free_choices.begin(), free_choices.end(),
                                                  behaviour.name) == free_choices.end();
}

/// Whether all the checks are tried on this behaviour in another mode: how data is carried has
/// nothing to do with how the tool is asked to carry it.
inline bool is_tried_as_forwarder(std::string_view name, std::string_view mode) {
    const auto& behaviour = *std::find_if(behaviours.begin(), behaviours.end(),
                                          [&](const Behaviour& each) { return each.name == name; });
    return mode != "forward" && has_mode(behaviour, "forward");
}

/// Whether another mode differs from this one only in how the tool is told its target.
inline bool is_variant(std::string_view mode) {
    return mode == "by-name" || mode == "socks4" || mode.ends_with("-password");
}

/// The checks that have to do with how the tool is asked, and with what it says of itself.
inline std::vector<std::string> about_asking() {
    return {"hello", "handshake.*", "address.*", "target.*", "data.ping_pong", "stop.*"};
}

/// The ids of the checks that one of the traits may excuse which are declared: "a=b c.up=d".
inline std::vector<std::string> checks_about(const std::string& declaration) {
    std::vector<std::string> result;
    for (const auto& each : split(declaration, ' ')) {
        const auto name = each.substr(0, each.find_first_of(".="));
        for (const auto& check : test_tunnel::checks()) {
            if (check.trait == name && !check.is_asked_for) {
                result.emplace_back(check.id);
            }
        }
    }
    return result;
}
