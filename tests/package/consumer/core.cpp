#include <fmt/core.h>

#include <test_tunnel/test_tunnel.hpp>

int main() {
    test_tunnel::enter_network(test_tunnel::network_mode_from_environment());
    const auto pairs = test_tunnel::discover_pairs(test_tunnel::Config{});
    fmt::print("{} combinations\n", pairs.size());
    return pairs.empty() ? 1 : 0;
}
