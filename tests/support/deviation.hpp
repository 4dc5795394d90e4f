#pragma once

#include <test_tunnel/run/tunnel.hpp>

#include <ostream>
#include <string>

#include "runs.hpp"

namespace support {

/// A tool that differs where correct tools differ, and in which check that shows.
struct Deviation {
    std::string behaviour;
    std::string mode;
    std::string check;
    /// The member of Traits, and the value that is the tool's, as they are written in C++.
    std::string trait;
    std::string value;
    /// What the tool is like.
    test_tunnel::Traits as_it_is;
    /// What the rule demands, which the tool does not keep.
    test_tunnel::Traits better;
    /// Nothing said.
    test_tunnel::Traits undeclared{};
    /// How the declaration is written that it does not hold.
    std::string claim{};
    /// ".up" or ".down", where it may differ by the direction: in which one the check sees it.
    std::string direction{};
};

inline std::ostream& operator<<(std::ostream& out, const Deviation& deviation) {
    return out << deviation.behaviour << ", " << deviation.check;
}

/// One check on one tool, on the first pair.
inline test_tunnel::CheckResult result_of(const Deviation& deviation, const std::string& behaviour,
                                          test_tunnel::Level level,
                                          const test_tunnel::Traits& traits) {
    return run_check(deviation.check, level, behaviour, deviation.mode, traits);
}

} // namespace support
