#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "../check.hpp"
#include "../detail/listeners.hpp"
#include "../detail/text.hpp"
#include "../detail/verdict.hpp"
#include "../discovery/addresses.hpp"
#include "../pair_run.hpp"

namespace test_tunnel::check {

/// From where the tool connects, four times: a tool may do right once, or tell the same address
/// each time. The work is done in TestTunnel::verify_source, for this connection as for all.
inline void source(PairRun& run) {
    constexpr int count = 4;
    for (int i = 0; i < count; ++i) {
        auto connection = run.connect();
        const auto from = connection.server.peer();
        const auto& given = run.pair().svc_listen.clients.front();
        run.step("family", fmt::format("the tool connects over IPv{}", family_id(given.family())),
                 Party::tool, Party::server);
        if (from.address.family() != given.family()) {
            throw Unexpected{run.expected(), fmt::format("a connection from {}", from)};
        }
        run.round_trip(connection);
        connection.client.close();
        run.demand_end(connection.server, run.up);
    }
}

/// Where else on this machine somebody might reach a tool that listens at `own`.
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

/// Whether somebody accepts a connection there; it is ended at once.
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

/// A tool that was told to listen at one address and listens at all of them, or at a second port,
/// is open to people who were never meant to reach it. Where it listens is known from the kernel,
/// and tried: from the kernel alone one can't tell whether "::" takes IPv4 too.
inline void binding(PairRun& run) {
    using namespace std::chrono_literals;
    {
        auto connection = run.connect(); // it listens by now
        run.round_trip(connection);
    }
    run.settle();
    if (!run.has_server()) {
        throw NotApplicable{
            "it has ended after one connection (Traits::serves_again), so that "
            "nothing could be tried; what the kernel says was looked at then"};
    }
    const auto own = run.pair().proxy_listen.listen();
    run.step("listens elsewhere", fmt::format("the tool listens at {} and nowhere else", own),
             Party::client, Party::tool);
    std::vector<std::string> elsewhere;
    for (const auto& other : detail::listens_elsewhere(run.server(), own)) {
        elsewhere.push_back(other.port == own.port ? other.address.text() : other.text());
    }
    std::vector<std::string> accepted;
    for (const auto& endpoint : other_endpoints(run.config(), own)) {
        if (!is_accepted(endpoint, run.wait(1s))) {
            continue;
        }
#if TEST_TUNNEL_LINUX
        // Another process may have that port at another address, and every right to it.
        if (!detail::listens_at(run.server().processes(), endpoint)) {
            continue;
        }
#endif
        accepted.push_back(endpoint.address.text());
    }
    if (!accepted.empty()) {
        // What it has made of these connections would meet the next check's.
        run.discard();
        elsewhere.insert(elsewhere.end(), accepted.begin(), accepted.end());
    }
    run.judge<bool>("binds_listener",
                    elsewhere.empty()
                        ? "listening only where it was told to"
                        : fmt::format("listening only where it was told to, not at {}",
                                      detail::joined(elsewhere, ", ")),
                    run.traits().binds_listener, elsewhere.empty(), true);
}

inline constexpr std::array address_checks{
    Check{.id = "address.source",
          .title = "it connects to the server from the address that it was given",
          .trait = "binds_source",
          .run = source},
    Check{.id = "address.binding",
          .title = "it listens at the address and port that it was given, and nowhere else",
          .trait = "binds_listener",
          .run = binding}};

} // namespace test_tunnel::check
