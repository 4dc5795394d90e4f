// What the harness costs: the hello run of socat over four combinations as a whole process, against
// the bare minimum in C, in turn in one private network; its CPU time against that of the tool, and
// its memory. Prints; asserts nothing, since machines are shared and noisy.
//
//   bench_hello [rounds]        default: 21
//
// PYTHON_ANCESTOR is a command, without quotes in it, that does the same run with the Python
// library of that name; there is no such line where it is not set.

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <sstream>
#include <string>
#include <test_tunnel/private_network/private_network.hpp>
#include <vector>

#include "bench.hpp"

using namespace test_tunnel;
using bench::median;

namespace {

struct Series {
    std::vector<std::string> argv;
    std::vector<double> wall{};
    std::vector<double> own{};
    std::vector<double> others{};
    long peak = 0;
    std::string output{};
};

void run_once(Series& series) {
    auto environment = utf8_environment();
    environment["TEST_TUNNEL_NETWORK"] = "host"; // the one that all share here
    const auto cost = bench::run_process(series.argv, environment);
    series.wall.push_back(cost.wall);
    series.own.push_back(cost.own);
    series.others.push_back(cost.others);
    series.peak = std::max(series.peak, cost.peak);
    series.output = cost.output.substr(0, cost.output.find('\n'));
}

std::vector<std::string> words_of(const char* text) {
    std::istringstream stream{text == nullptr ? "" : text};
    return {std::istream_iterator<std::string>{stream}, {}};
}

void run(int rounds) {
    // Before anything is in memory here: a child counts what its parent had when it was started.
    Series hello{.argv = {SOCAT_TEST, "--level", "hello"}};
    Series bare{.argv = {BARE_MINIMUM}};
    Series start{.argv = {SOCAT_TEST, "--list-tests"}};
    Series bare_start{.argv = {BARE_MINIMUM, "nothing"}};
    Series python{.argv = words_of(std::getenv("PYTHON_ANCESTOR"))}; // NOLINT(concurrency-*)
    for (int round = 0; round < rounds; ++round) {
        for (auto* const series : {&hello, &bare, &start, &bare_start}) {
            run_once(*series);
            if (round == 0) { // the first run of each reads its files from the disk
                *series = {.argv = series->argv};
                run_once(*series);
            }
        }
    }
    // Apart: it sleeps for four seconds, and what runs behind it finds nothing in the caches.
    constexpr int most_rounds = 11;
    for (int round = 0; !python.argv.empty() && round < std::min(rounds, most_rounds); ++round) {
        run_once(python);
    }
    const auto wall = median(hello.wall);
    const auto text = [](double value) { return fmt::format("{:.1f} ms", value); };
    const auto against_bare = wall / median(bare.wall);
    constexpr double hello_budget = 1.25;
    bench::print({"hello run of socat, 4 pairs, whole process", text(wall),
                  fmt::format("{} the bare minimum in C", text(median(bare.wall))),
                  fmt::format("{:.2f}", against_bare), "≤ 1.25", against_bare <= hello_budget});
    bench::print({"of that, the start of the process (`--list-tests`)", text(median(start.wall)),
                  fmt::format("{} the start of the C program", text(median(bare_start.wall))),
                  fmt::format("{:.2f}", median(start.wall) / median(bare_start.wall))});
    bench::print({"of the bare minimum, a combination (one run)", bare.output});
    if (python.wall.empty()) {
        bench::print({"the same run", text(wall), "the Python ancestor: not installed here", "—",
                      "≥ 200 times as fast"});
    } else {
        constexpr double python_budget = 200;
        const auto factor = median(python.wall) / wall;
        bench::print({"the same run", text(wall),
                      fmt::format("{} the Python ancestor", text(median(python.wall))),
                      fmt::format("{:.0f} times as fast", factor), "≥ 200 times as fast",
                      factor >= python_budget});
    }
    const auto share = median(hello.own) / median(hello.others);
    bench::print({"the harness's own CPU time in that run", text(median(hello.own)),
                  fmt::format("{} the tool's", text(median(hello.others))),
                  fmt::format("{:.2f}", share), "≤ 1", share <= 1});
    constexpr long most_memory = 8L * 1024;
    bench::print({"memory of that run, at its peak",
                  fmt::format("{:.1f} MiB", static_cast<double>(hello.peak) / 1024), "—", "—",
                  "≤ 8 MiB", hello.peak <= most_memory});
}

} // namespace

int main(int argc, char** argv) {
    try {
        enter_network(NetworkMode::automatic);
        run(argc > 1 ? std::atoi(argv[1]) : 21);
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return EXIT_FAILURE;
    }
}
