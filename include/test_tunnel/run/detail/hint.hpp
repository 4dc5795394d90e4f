#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/process/server.hpp"
#include "test_tunnel/report/report.hpp"

namespace test_tunnel::detail {

/// What a failure looks like to somebody who has seen many; empty where it tells nothing. `given`
/// is what whoever failed thinks of it.
inline std::string hint_of(const CheckResult& failed, const std::string& given,
                           const Server& tool) {
    std::string output;
    for (const auto& process : tool.processes()) {
        if (!process.left_behind().empty() && !process.was_told_to_end()) {
            return fmt::format(
                "{} went into the background; most tools have an option against that",
                process.name());
        }
        output += process.err() + process.out();
    }
    if (!given.empty()) {
        return given;
    }
    // In the tool's words, which are the C library's.
    constexpr std::array<std::pair<std::string_view, std::string_view>, 5> complaints{{
        {"Address already in use", "the port is already in use by another process"},
        {"Cannot assign requested address", "the tool was told an address that it can't bind"},
        {"Permission denied", "the tool may not open something: a file, or a port below 1024"},
        {"No such file or directory", "the tool misses a file"},
        {"error while loading shared libraries", "the tool misses a library"},
    }};
    for (const auto& [complaint, meaning] : complaints) {
        if (failed.step_kind == StepKind::connect && output.find(complaint) != std::string::npos) {
            return std::string{meaning};
        }
    }
    if (failed.cause != Cause::timed_out) {
        return {};
    }
    switch (failed.step_kind) {
        case StepKind::accept:
            return "the tool took the connection, but never connected onwards";
        case StepKind::handshake:
            return "each of the two may be waiting for the other to speak";
        case StepKind::end_of_stream:
            return "the tool does not pass the end of a stream on";
        case StepKind::other:
        case StepKind::connect:
        case StepKind::source:
            break;
    }
    return {};
}

} // namespace test_tunnel::detail
