// What the harness costs: the hello run of socat over four combinations as a whole process, against
// the bare minimum in C, in turn in one private network. Prints the medians and their ratio;
// asserts nothing, since machines are shared and noisy.
//
//   bench_hello [rounds]        default: 21

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <test_tunnel/private_network.hpp>
#include <test_tunnel/process.hpp>
#include <vector>

using namespace test_tunnel;

namespace {

struct Series {
    std::string name;
    std::vector<std::string> argv;
    std::vector<double> milliseconds;
};

void run_once(Series& series) {
    auto environment = utf8_environment();
    environment["TEST_TUNNEL_NETWORK"] = "host"; // the one that both share here
    auto process = Process::spawn({.argv = series.argv, .environment = environment});
    const auto status = process.wait(Deadline::after(std::chrono::seconds{60}));
    if (!status || status->code() != 0) {
        throw Error{fmt::format("{}: {}\n{}{}", series.name,
                                status ? status->text() : "did not end", process.out(),
                                process.err())};
    }
    series.milliseconds.push_back(
        std::chrono::duration<double, std::milli>{process.run_time()}.count());
}

double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

} // namespace

int main(int argc, char** argv) {
    try {
        const int rounds = argc > 1 ? std::atoi(argv[1]) : 21;
        fmt::print("{} rounds in {}\n", rounds, enter_network(NetworkMode::automatic));
        std::array<Series, 2> series{Series{"test-tunnel", {SOCAT_TEST, "--level", "hello"}, {}},
                                     Series{"bare minimum", {BARE_MINIMUM}, {}}};
        for (int round = -1; round < rounds; ++round) {
            for (auto& entry : series) {
                run_once(entry);
            }
            if (round < 0) { // the first run of each reads its files from the disk
                for (auto& entry : series) {
                    entry.milliseconds.clear();
                }
            }
        }
        for (const auto& entry : series) {
            const auto [least, most] =
                std::minmax_element(entry.milliseconds.begin(), entry.milliseconds.end());
            fmt::print("{:<13} median {:6.2f} ms   min {:6.2f}   max {:6.2f}\n", entry.name,
                       median(entry.milliseconds), *least, *most);
        }
        fmt::print("ratio of the medians: {:.2f}\n",
                   median(series[0].milliseconds) / median(series[1].milliseconds));
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
}
