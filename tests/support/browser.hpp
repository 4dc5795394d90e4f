#pragma once

// Pages as a browser shows them.

#include <test_tunnel/process/find_program.hpp>
#include <test_tunnel/process/process.hpp>
#include <test_tunnel/process/temp_dir.hpp>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace support {

/// The page in Chromium, without a network; skips where there is none. Nothing it keeps is left.
inline std::string browse(const test_tunnel::TempDir& directory, const std::string& page,
                          const std::vector<std::string>& options) {
    const auto environment = test_tunnel::utf8_environment();
    try {
        test_tunnel::detail::find_program("chromium", environment);
    } catch (const test_tunnel::ToolMissing& error) {
        SKIP(error.what());
    }
    std::vector<std::string> argv{"chromium",
                                  "--headless",
                                  "--no-sandbox",
                                  "--disable-gpu",
                                  "--disable-quic",
                                  "--no-first-run",
                                  "--disable-background-networking",
                                  "--disable-component-update",
                                  "--disable-sync",
                                  "--disable-dev-shm-usage",
                                  "--hide-scrollbars",
                                  "--user-data-dir=" + directory.path() + "/profile"};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.push_back("file://" + page);
    auto process =
        test_tunnel::Process::spawn({.argv = std::move(argv), .environment = environment});
    const auto status = process.wait(test_tunnel::Deadline::after(std::chrono::seconds{90}));
    INFO(process.err());
    REQUIRE(status);
    REQUIRE(status->code() == 0);
    return process.out();
}

} // namespace support
