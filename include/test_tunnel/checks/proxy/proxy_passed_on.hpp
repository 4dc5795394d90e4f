#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "test_tunnel/checks/detail/proxy_trials.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Sends headers that tell of clients elsewhere, of both families whatever the connection's own is:
/// they must be served, and where the tool sends a header to the server, it must tell of the same.
inline void tell_of_others(PairRun& run) {
    HeaderTrials trials{run};
    constexpr std::uint16_t highest = 65535;
    const auto endpoint = [](std::string_view address, std::uint16_t port) {
        return Endpoint{Address::parse(address), port};
    };
    const std::pair<Endpoint, Endpoint> others[] = {
        {endpoint("192.0.2.77", 1), endpoint("203.0.113.9", 443)},
        {endpoint("198.51.100.254", highest), endpoint("198.51.100.253", highest)},
        {endpoint("2001:db8::77", 1025), endpoint("2001:db8:ffff::9", 443)},
        {endpoint("2001:db8:1234:5678:9abc:def0:1234:5678", highest),
         endpoint("2001:db8:1234:5678:9abc:def0:8765:4321", highest)}};
    for (const auto version : versions_taken(run, trials)) {
        for (const auto& [source, destination] : others) {
            const auto steps = run.steps();
            trials.serve({.what = fmt::format("a header of version {} that tells of {}",
                                              static_cast<int>(version), source),
                          .header = detail::proxy_header_bytes(
                              {.version = version, .source = source, .destination = destination}),
                          .claimed = source,
                          .is_about_client = true});
            run.forget_steps(steps);
        }
    }
}

inline constexpr Check proxy_passed_on{
    .id = "proxy.passed_on",
    .title = "clients that are elsewhere, by their PROXY header, are served, and told of onwards",
    .trait = trait::passes_client_on.name,
    .run = tell_of_others};

} // namespace test_tunnel::check
