#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/discovery/bind.hpp"
#include "test_tunnel/process/listening.hpp"
#include "test_tunnel/run/detail/association.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::detail {

/// Where a client sends to that has been told `told` on its connection to `server`.
TEST_TUNNEL_INLINE Endpoint relay_of(PairRun& run, const std::optional<Endpoint>& told,
                                     const Endpoint& server) {
    const auto reject = [&](std::string actual) {
        throw Unexpected{"the tool tells an endpoint to which the client can send (RFC 1928 §6)",
                         std::move(actual)};
    };
    if (!told) {
        reject("it names itself by a domain name, which few clients resolve");
    }
    if (told->port == 0) {
        reject(fmt::format("it tells {}", *told));
    }
    if (told->address.is_unspecified()) {
        run.note(
            "it tells a relay address of zeros, by which clients have to guess that it is the one "
            "that they are connected to");
        return {server.address, told->port};
    }
    if (told->address.packed() == server.address.packed()) { // perhaps without its scope
        return {server.address, told->port};
    }
    if (told->address.family() != server.address.family()) {
        reject(fmt::format("it tells {} to a client that has connected to {}", *told, server));
    }
    run.note(fmt::format("its relay is at {}, where it was not told to listen", told->address));
    return *told;
}

TEST_TUNNEL_INLINE Flow open_association(PairRun& run, const Socks5Options& options,
                                         ToldClient told) {
    auto control = run.open_client();
    if (run.connections() == 1) {
        require_own_listener(run.tool(), run.pair().proxy_listen.listen());
    }
    run.step(StepKind::handshake, "the tool grants the client an association (UDP ASSOCIATE)",
             Party::client);
    const auto target = run.pair().svc_listen.listen();
    const auto own = run.client_of_flow();
    auto client = bind_datagrams_to(run.config(), own);
    client.supervise(run.supervisor());
    auto shown = client.local();
    if (told == ToldClient::nothing) {
        shown =
            own.address.family() == Family::ipv4 ? Endpoint{} : Endpoint{Address::parse("::"), 0};
    }
    const auto relay = socks5_associate(control, shown, options);
    Flow flow{.client = std::move(client),
              .relay = relay_of(run, relay, control.peer()),
              .target = target,
              .layer = std::make_shared<Socks5FlowLayer>(target, options.name)};
    flow.control.emplace(std::move(control));
    return flow;
}

} // namespace test_tunnel::detail
