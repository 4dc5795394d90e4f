// How long it takes until a program that is no tunnel has been reported, all combinations included.
// Prints; asserts nothing, since machines are shared and noisy.

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <test_tunnel/test_tunnel.hpp>
#include <utility>
#include <vector>

#include "../support/any_program.hpp"

using namespace test_tunnel;
using support::AnyProgram;

namespace {

/// The first line that says what happened.
std::string reason_of(const Error& error) {
    const std::string text = error.what();
    const auto begin = text.find("actual:");
    const auto line = text.substr(begin == std::string::npos ? 0 : begin);
    return line.substr(0, line.find('\n'));
}

void report(const std::string& name, const std::vector<std::string>& argv) {
    ConfigProg config;
    config.log->set_level(spdlog::level::off);
    constexpr int rounds = 11;
    std::vector<double> milliseconds;
    std::string reason = "(it passed)";
    for (int round = 0; round < rounds; ++round) {
        AnyProgram tunnel{config, argv};
        const auto start = Clock::now();
        try {
            tunnel.run();
        } catch (const Error& error) {
            reason = reason_of(error);
        }
        milliseconds.push_back(
            std::chrono::duration<double, std::milli>{Clock::now() - start}.count());
    }
    std::sort(milliseconds.begin(), milliseconds.end());
    fmt::print("{:<14} median {:6.1f} ms   max {:6.1f}   {}\n", name, milliseconds[rounds / 2],
               milliseconds.back(), reason);
}

} // namespace

int main() {
    try {
        fmt::print("four combinations in {}\n", enter_network(NetworkMode::automatic));
        TempDir files;
        report("/bin/false", {"/bin/false"});
        report("/bin/true", {"/bin/true"});
        report("missing", {"/no/such/tool"});
        report("a directory", {files.path()});
        report("a text file", {files.write("notes.txt", "no program\n", 0644)});
        report("a crash", {"/bin/sh", "-c", "kill -SEGV $$"});
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return EXIT_FAILURE;
    }
}
