#pragma once

#include <test_tunnel/net/wait.hpp>
#include <test_tunnel/process/process.hpp>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

#include "child.hpp"
#include "fifo.hpp"

namespace support {

/// Processes of their own names, and a place for their files.
class Workshop : public support::TemporaryDirectory {
public:
    [[nodiscard]] std::string content(const std::string& name) const {
        std::ifstream stream{file(name)};
        return {std::istreambuf_iterator<char>{stream}, {}};
    }

    /// A child that does `commands`.
    [[nodiscard]] test_tunnel::Process start(const std::string& name, Words commands) const {
        if (!std::filesystem::exists(file(name))) {
            std::filesystem::create_symlink(CHILD_PROGRAM, file(name));
        }
        commands.insert(commands.begin(), file(name));
        return test_tunnel::Process::spawn({.argv = std::move(commands)});
    }

    /// Starts a child and returns when it has said that it is ready; nothing but its own output
    /// is drained meanwhile.
    [[nodiscard]] test_tunnel::Process start_ready(const std::string& name,
                                                   const Words& commands) const {
        auto process = start(name, commands);
        REQUIRE(
            test_tunnel::detail::pump(process, soon(), [&] { return process.out() == "ready\n"; }));
        return process;
    }
};

} // namespace support
