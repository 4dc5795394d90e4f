#pragma once

// What comes of a child that was started.

#include <test_tunnel/base/error.hpp>
#include <test_tunnel/process/process.hpp>

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <utility>

#include "child.hpp"

namespace support {

/// What the child prints; it must end by itself.
inline std::string output_of(test_tunnel::SpawnOptions options) {
    auto process = test_tunnel::Process::spawn(std::move(options));
    REQUIRE(process.wait(soon()));
    CHECK(process.err().empty());
    CHECK(process.status()->code() == 0);
    return process.out();
}

inline std::string output_of(Words commands) {
    return output_of(child(std::move(commands)));
}

inline std::string message_of(test_tunnel::SpawnOptions options) {
    try {
        test_tunnel::Process::spawn(std::move(options));
    } catch (const test_tunnel::Error& error) {
        return error.what();
    }
    return "no error";
}

} // namespace support
