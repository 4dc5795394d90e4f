#pragma once

#include <memory>
#include <optional>
#include <string>

#include "test_tunnel/base/interruption.hpp"
#include "test_tunnel/report/files.hpp"
#include "test_tunnel/run/command_line.hpp"

namespace test_tunnel::catch2::detail {

/// What the command line asked for, and what has come of it. Catch2's test cases take no arguments:
/// so there is one such object in a process, written by `main` before the first of them runs.
struct Options {
    std::optional<std::string> prog; // an empty one is not the default one
    RunSettings run;
    std::shared_ptr<ReportFiles> files;
    std::string pairs_missing; // why the pairs that are asked for can't be tested
    std::optional<Interruption> interruption;
    bool has_failed = false;
    bool has_skipped = false;
    bool in_sections = false; // of check_all, which makes assertions of its own
};

inline Options& options() {
    static Options instance;
    return instance;
}

} // namespace test_tunnel::catch2::detail
