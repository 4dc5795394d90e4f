// How long it takes until a tool's death is noticed, and until a program that is no tunnel has been
// reported, all combinations included. Prints; asserts nothing, since machines are shared and
// noisy.
//
//   bench_failures [rounds]        default: 21

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string>
#include <string_view>
#include <test_tunnel/test_tunnel.hpp>
#include <utility>
#include <vector>

#include "../support/any_program.hpp"
#include "bench.hpp"

using namespace test_tunnel;
using support::AnyProgram;

namespace {

/// When the tool says that it has died.
Clock::time_point time_of_death(const PairResult& result) {
    const auto& account = result.checks.front().account;
    constexpr std::string_view before = "died at ";
    const auto begin = account.find(before);
    long long nanoseconds = 0;
    if (begin == std::string::npos || std::from_chars(&account[begin + before.size()],
                                                      account.data() + account.size(), nanoseconds)
                                              .ec != std::errc{}) {
        throw Error{account};
    }
    return Clock::time_point{std::chrono::nanoseconds{nanoseconds}};
}

/// From the moment of its death until it is reported, the account written.
void measure_death(int rounds, const std::string& what, const std::string& delay) {
    AnyProgram tool{bench::quiet(DIE), {DIE, delay}};
    const auto pairs = tool.pairs();
    std::vector<double> times;
    for (int round = 0; round < rounds; ++round) {
        const auto result = tool.run_pair(pairs[static_cast<std::size_t>(round) % pairs.size()]);
        times.push_back(bench::milliseconds(Clock::now() - time_of_death(result)));
    }
    const auto median = bench::median(times);
    constexpr double budget = 5;
    bench::print({what, fmt::format("{:.2f} ms", median), "the moment it died", "—", "≤ 5 ms",
                  median <= budget});
}

void measure_report(int rounds, const std::string& what, const std::vector<std::string>& argv) {
    std::vector<double> times;
    for (int round = 0; round < rounds; ++round) {
        AnyProgram tool{bench::quiet(argv.front()), argv};
        const auto started = Clock::now();
        try {
            tool.run();
            throw std::logic_error{what + " passed"};
        } catch (const Error&) { // TunnelFailure, ToolMissing, ToolNotExecutable
            times.push_back(bench::milliseconds(Clock::now() - started));
        }
    }
    bench::print({what + " is reported, 4 pairs", fmt::format("{:.1f} ms", bench::median(times))});
}

} // namespace

int main(int argc, char** argv) {
    try {
        const int rounds = argc > 1 ? std::atoi(argv[1]) : 21;
        enter_network(NetworkMode::automatic);
        measure_death(rounds, "noticing that a tool died at its start", "0");
        measure_death(rounds, "noticing that a tool died after 100 ms, without having listened",
                      "100");
        TempDir files;
        measure_report(rounds, "`/bin/false`", {"/bin/false"});
        measure_report(rounds, "a missing program", {"/no/such/tool"});
        measure_report(rounds, "a text file", {files.write("notes.txt", "no program\n", 0644)});
        measure_report(rounds, "a crash", {"/bin/sh", "-c", "kill -SEGV $$"});
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return EXIT_FAILURE;
    }
}
