#pragma once

// A program as a user runs it, to its end.

#include <test_tunnel/base/deadline.hpp>
#include <test_tunnel/base/environment.hpp>
#include <test_tunnel/process/process.hpp>

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <utility>
#include <vector>

namespace support {

/// What has come of a program.
struct ProgramResult {
    /// Its exit status, or 128 and the signal, as a shell tells it.
    int code = -1;
    std::string out;
    std::string err;
};

/// Runs a program, which has to end within `limit`.
inline ProgramResult run_program(std::vector<std::string> argv,
                                 test_tunnel::Environment environment,
                                 test_tunnel::Duration limit) {
    auto process = test_tunnel::Process::spawn(
        {.argv = std::move(argv), .environment = std::move(environment)});
    const auto status = process.wait(test_tunnel::Deadline::after(limit));
    REQUIRE(status);
    return {status->code().value_or(128 + status->signal().value_or(0)), process.out(),
            process.err()};
}

} // namespace support
