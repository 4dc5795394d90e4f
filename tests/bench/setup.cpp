// What it costs to find the combinations to test where there are thousands of addresses. Makes
// them, so it runs in a private network or not at all.
//
//   bench_setup [rounds]        default: 21

#include <net/if.h>

#include <cstdlib>
#include <test_tunnel/discovery/addresses.hpp>
#include <test_tunnel/discovery/pairs.hpp>
#include <test_tunnel/private_network/detail/rtnetlink.hpp>
#include <test_tunnel/private_network/private_network.hpp>
#include <vector>

#include "bench.hpp"

using namespace test_tunnel;

namespace {

double time_of_discovery(const Config& config, int rounds) {
    std::vector<double> times;
    for (int round = 0; round < rounds; ++round) {
        const auto started = Clock::now();
        const auto pairs = discover_pairs(config);
        times.push_back(bench::milliseconds(Clock::now() - started));
        constexpr std::size_t combinations = 4;
        if (pairs.size() != combinations) {
            throw Error{fmt::format("{} combinations instead of {}", pairs.size(), combinations)};
        }
    }
    return bench::median(times);
}

void run(int rounds) {
    const auto config = bench::quiet("");
    const auto few = get_addresses(config).size();
    const auto before = time_of_discovery(config, rounds);
    detail::Rtnetlink kernel;
    const auto loopback = if_nametoindex("lo");
    constexpr std::size_t wanted = 2000;
    for (std::size_t i = 1; few + 2 * i <= wanted; ++i) {
        // RFC 2544 and RFC 3849: for benchmarks, and for examples.
        kernel.add_address(loopback, Address::parse(fmt::format("198.18.{}.{}", i / 250, i % 250)));
        kernel.add_address(loopback, Address::parse(fmt::format("2001:db8:1::{:x}", i)));
    }
    const auto many = get_addresses(config).size();
    const auto after = time_of_discovery(config, rounds);
    constexpr double budget = 50;
    bench::print({fmt::format("set-up of a run at {} addresses", many),
                  fmt::format("{:.1f} ms", after),
                  fmt::format("{:.1f} ms at {} addresses", before, few),
                  fmt::format("+{:.1f} ms", after - before), "≤ +50 ms", after - before <= budget});
}

} // namespace

int main(int argc, char** argv) {
    try {
        enter_private_network();
        run(argc > 1 ? std::atoi(argv[1]) : 21);
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return EXIT_FAILURE;
    }
}
