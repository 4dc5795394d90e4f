// What is gained by running at once what takes turns in one process: the test of socat at
// `standard`, four combinations one after the other in one process, against one process for each,
// as `ctest -j` runs what `test_tunnel_add_test(… PAIRS)` registers. And whether 32 harnesses at
// once get in each other's way.
//
//   bench_jobs [rounds]        default: 11

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <string>
#include <test_tunnel/private_network/private_network.hpp>
#include <thread>
#include <vector>

#include "bench.hpp"

using namespace test_tunnel;
using bench::median;

namespace {

using Command = std::vector<std::string>;

/// Runs them all at once. Returns how long that takes; throws where one does not pass.
double run_at_once(const std::vector<Command>& commands) {
    auto environment = utf8_environment();
    environment["TEST_TUNNEL_NETWORK"] = "host"; // the one that all share here
    std::vector<std::exception_ptr> errors(commands.size());
    const auto started = Clock::now();
    {
        std::vector<std::jthread> threads;
        threads.reserve(commands.size());
        for (std::size_t i = 0; i < commands.size(); ++i) {
            threads.emplace_back([&, i] {
                try {
                    bench::run_process(commands[i], environment);
                } catch (...) {
                    errors[i] = std::current_exception();
                }
            });
        }
    }
    const auto wall = bench::milliseconds(Clock::now() - started);
    for (const auto& error : errors) {
        if (error) {
            std::rethrow_exception(error);
        }
    }
    return wall;
}

void run(int rounds) {
    const std::vector<Command> one{{SOCAT_TEST}};
    const std::vector<Command> each{{SOCAT_TEST, "--pair", "4-4"},
                                    {SOCAT_TEST, "--pair", "4-6"},
                                    {SOCAT_TEST, "--pair", "6-4"},
                                    {SOCAT_TEST, "--pair", "6-6"}};
    std::vector<double> in_turn;
    std::vector<double> at_once;
    for (int round = 0; round < rounds; ++round) {
        in_turn.push_back(run_at_once(one));
        at_once.push_back(run_at_once(each));
    }
    const auto text = [](double wall) { return fmt::format("{:.1f} s", wall / 1e3); };
    bench::print({"test of socat at `standard`, a process for each of 4 pairs, at once",
                  text(median(at_once)),
                  fmt::format("{} in one process, in turn", text(median(in_turn))),
                  fmt::format("{:.1f} times as fast on {} cores", median(in_turn) / median(at_once),
                              std::thread::hardware_concurrency())});
    constexpr std::size_t many = 32;
    bench::print({"32 such tests at once, 4 pairs each (one run)",
                  text(run_at_once(std::vector<Command>(many, one.front()))), "—", "—", "all pass",
                  true});
}

} // namespace

int main(int argc, char** argv) {
    try {
        enter_network(NetworkMode::automatic);
        constexpr int usual = 11;
        run(argc > 1 ? std::atoi(argv[1]) : usual);
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return EXIT_FAILURE;
    }
}
