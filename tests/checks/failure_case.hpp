#pragma once

#include <test_tunnel/config/level.hpp>

#include <ostream>
#include <string>
#include <vector>

/// A part of a text that is another one each time, and what stands for it.
struct Varying {
    std::string pattern;
    std::string name;
};

/// A check, and a fault that it was made for.
struct Case {
    std::string check;
    std::string behaviour;
    std::string mode = "forward";
    /// strict also for what has a second at standard, which a busy machine may need for less.
    test_tunnel::Level level = test_tunnel::Level::standard;
    std::vector<Varying> varying{};
    /// The member of Traits that the text must name.
    std::string trait{};
};

inline std::ostream& operator<<(std::ostream& out, const Case& entry) {
    return out << entry.check << " with " << entry.behaviour;
}
