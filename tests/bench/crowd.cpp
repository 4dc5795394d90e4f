// A thousand connections at once through the correct forwarder of the tests, each with data of its
// own in both directions that is compared byte by byte, and what this process has in memory then.
//
//   bench_crowd [rounds]        default: 10

#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <test_tunnel/net/stream.hpp>
#include <test_tunnel/private_network/private_network.hpp>
#include <test_tunnel/run/check.hpp>
#include <test_tunnel/run/pair_run.hpp>
#include <vector>

#include "../support/faulty_tunnel.hpp"
#include "bench.hpp"

using namespace test_tunnel;

namespace {

constexpr std::size_t count = 1000;
constexpr std::uint64_t size = 65536;

void crowd(PairRun& run) {
    std::vector<Connection> connections;
    for (std::size_t i = 0; i < count; ++i) {
        connections.push_back(run.connect());
    }
    std::vector<Stream> streams;
    for (auto& [client, server] : connections) {
        const auto number = streams.size();
        streams.push_back({client, server, fmt::format("{}, {}", number / 2 + 1, PairRun::up),
                           run.pattern(number), size});
        streams.back().ends = true;
        streams.push_back({server, client, fmt::format("{}, {}", number / 2 + 1, PairRun::down),
                           run.pattern(number + 1), size});
        streams.back().ends = true;
    }
    transfer(streams, run.supervisor());
}

class Crowd : public support::FaultyTunnel {
public:
    using FaultyTunnel::FaultyTunnel;
    std::vector<Check> checks() const override {
        return {{.id = "crowd", .title = "many at once", .level = Level::hello, .run = crowd}};
    }
};

/// The tool inherits it.
void allow_descriptors() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    constexpr rlim_t needed = 2 * count + 100;
    limit.rlim_cur = std::max(limit.rlim_cur, std::min(limit.rlim_max, needed));
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

} // namespace

int main(int argc, char** argv) {
    try {
        const int rounds = argc > 1 ? std::atoi(argv[1]) : 10;
        enter_network(NetworkMode::automatic);
        allow_descriptors();
        Crowd tunnel{bench::quiet(FAULTY_TUNNEL), "none", "forward"};
        const auto pairs = tunnel.pairs();
        std::vector<double> times;
        for (int round = 0; round < rounds; ++round) {
            const auto result =
                tunnel.run_pair(pairs[static_cast<std::size_t>(round) % pairs.size()]);
            bench::require_passed(result);
            times.push_back(bench::milliseconds(result.duration));
        }
        constexpr long budget = 64L * 1024;
        const auto peak = bench::peak_memory();
        bench::print({fmt::format("{} connections at once, {} KiB each way verified on each", count,
                                  size / 1024),
                      fmt::format("{:.1f} MiB in the harness, {:.0f} ms",
                                  static_cast<double>(peak) / 1024, bench::median(times)),
                      "—", "—", "≤ 64 MiB", peak <= budget});
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return EXIT_FAILURE;
    }
}
