#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/discovery/addresses.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/process/listening.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Returns where else on this machine somebody might reach a tool that was told to listen at `own`.
inline std::vector<Endpoint> other_endpoints(const Config& config, const Endpoint& own) {
    constexpr std::size_t most = 16;
    std::vector<Address> addresses{Address::parse("127.0.0.1"), Address::parse("::1")};
    const auto all = get_addresses(config);
    addresses.insert(addresses.end(), all.begin(), all.end());
    std::vector<Endpoint> result;
    for (const auto& address : addresses) {
        const Endpoint endpoint{address, own.port};
        if (address != own.address && result.size() < most &&
            std::find(result.begin(), result.end(), endpoint) == result.end()) {
            result.push_back(endpoint);
        }
    }
    return result;
}

/// Returns whether somebody accepts a connection to `endpoint`, which is reset at once.
inline bool is_accepted(const Endpoint& endpoint, Duration patience) {
    try {
        Socket probe{endpoint.address.family(), patience};
        const bool accepted = probe.try_connect(endpoint);
        probe.reset();
        return accepted;
    } catch (const SystemError&) {
        return false; // no such address any more, no way there
    } catch (const TimedOut&) {
        return false;
    }
}

/// Looks where else the tool listens: one that was told to listen on one address and listens on all
/// of them, or on a second port, is open to people who were never meant to reach it. The kernel
/// says where it listens; that is also tried, since the kernel does not say whether "::" takes IPv4
/// too.
inline void look_for_other_listeners(PairRun& run) {
    using namespace std::chrono_literals;
    {
        auto connection = run.connect(); // it listens by now
        run.round_trip(connection);
    }
    run.settle();
    if (!run.has_tool()) {
        throw NotApplicable{fmt::format(
            "it serves just one connection ({}), so that no other address could be tried",
            run.wording(trait::serves_again.name))};
    }
    const auto own = run.pair().proxy_listen.listen();
    run.step("listens elsewhere", fmt::format("the tool listens at {} and nowhere else", own),
             Party::client, Party::tool);
    std::vector<std::string> elsewhere;
    for (const auto& other : listens_elsewhere(run.tool(), own)) {
        if (other.port != own.port && run.may_listen_on(other.port)) {
            continue;
        }
        elsewhere.push_back(other.port == own.port ? other.address.text() : other.text());
    }
    std::vector<std::string> accepted;
    for (const auto& endpoint : other_endpoints(run.config(), own)) {
        if (!is_accepted(endpoint, run.wait(1s))) {
            continue;
        }
        // Another process may have that port on another address, and every right to it.
        if (listens_at(run.tool(), endpoint).value_or(true)) {
            accepted.push_back(endpoint.address.text());
        }
    }
    if (!accepted.empty()) {
        // The connections that it has made for these would meet those of the next check.
        run.kill_after_check();
        elsewhere.insert(elsewhere.end(), accepted.begin(), accepted.end());
    }
    run.judge(trait::binds_listener, elsewhere.empty(),
              elsewhere.empty() ? std::string{}
                                : fmt::format("{}, not at {}", trait::binds_listener.subject,
                                              joined(elsewhere, ", ")));
}

inline constexpr Check address_binding{
    .id = "address.binding",
    .title = "the tool listens on the address and port that it was given, and nowhere else",
    .trait = trait::binds_listener.name,
    .run = look_for_other_listeners};

} // namespace test_tunnel::check
