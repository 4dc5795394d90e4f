#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "test_tunnel/checks/detail/associations.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/discovery/addresses.hpp"
#include "test_tunnel/discovery/bind.hpp"
#include "test_tunnel/run/detail/association.hpp"

namespace test_tunnel::check {

/// A socket at another address of this machine than the client's, from which a datagram gets to
/// `relay`. Throws NotApplicable where there is none.
inline DatagramSocket make_stranger(PairRun& run, const Endpoint& relay) {
    constexpr Duration moment = std::chrono::milliseconds{200};
    const auto& client = run.pair().proxy_listen.clients.front();
    for (const auto& address : get_addresses(run.config())) {
        if (address.family() != client.family() || address == client || address == relay.address ||
            address.is_link_local()) {
            continue;
        }
        try {
            auto result = bind_datagrams_to(run.config(), {address, 0});
            auto probe = bind_datagrams_to(run.config(), {relay.address, 0});
            result.send("probe", probe.local());
            if (probe.receive(Deadline::after(moment))) {
                return result;
            }
        } catch (const Error&) { // this one will not do
        }
    }
    throw NotApplicable{
        fmt::format("this machine has no other address from which a stranger to {} could send to "
                    "the relay",
                    client)};
}

/// Has a stranger send to the relay, and then the client, and the server: nobody notices.
inline void intrude(PairRun& run, Flow& flow, DatagramSocket& stranger, std::string_view when) {
    Words words{run};
    const auto from = stranger.local();
    stranger.send(flow.layer->encode(run.pattern(1000).bytes(0, 32), flow.target), flow.relay);
    run.step("a stranger",
             fmt::format("what comes from {} to the relay of {} {} is dropped, and what the client "
                         "sends next arrives (RFC 1928 §7)",
                         from, run.pair().proxy_listen.clients.front(), when),
             Party::client, Party::server);
    demand_only(run, flow, words.next());
    stranger.send(flow.layer->encode(run.pattern(1001).bytes(0, 32), flow.target), flow.relay);
    run.step("answer",
             fmt::format("the answer goes to the client, and not to {}, from where something has "
                         "come {}",
                         from, when),
             Party::server, Party::client);
    demand_answer(run, flow, words.next());
    run.require_no_datagram({&flow});
    if (const auto came = stranger.try_receive()) {
        throw Unexpected{run.expected(), "at the stranger " + described(*came)};
    }
}

/// Has a stranger send, and returns whether nobody has noticed; somebody may only where that is
/// declared.
inline bool drops_stranger(PairRun& run, Flow& flow, DatagramSocket& stranger,
                           std::string_view when) {
    const bool may_serve = run.traits().drops_strangers == false;
    try {
        intrude(run, flow, stranger, when);
        return true;
    } catch (const Unexpected& error) {
        if (may_serve) {
            return false;
        }
        throw Unexpected{error.expected(),
                         fmt::format("{}\na tool that relays for anybody has to declare {}",
                                     error.actual(), run.wording(trait::drops_strangers, false)),
                         error.cause()};
    } catch (const TimedOut&) {
        if (may_serve) {
            return false;
        }
        throw;
    }
}

/// Has a stranger send to the relay of an association before its client has sent anything, and
/// after that.
inline void meet_strangers(PairRun& run) {
    const auto options = need_associations(run);
    std::optional<Flow> flow{run.open_flow()};
    auto stranger = make_stranger(run, flow->relay);
    bool drops = drops_stranger(run, *flow, stranger, "before the client has sent anything") &&
                 drops_stranger(run, *flow, stranger, "while the client is served");
    if (drops && run.traits().concurrent == false) {
        flow.reset();
        run.kill_after_check();
        run.settle();
        static_cast<void>(run.tool());
    }
    if (drops) {
        auto unknown = test_tunnel::detail::open_association(
            run, options, test_tunnel::detail::ToldClient::nothing);
        drops = drops_stranger(run, unknown, stranger,
                               "before the client, which has told zeros, has sent anything");
    }
    run.judge(trait::drops_strangers, drops);
    if (!drops) {
        run.kill_after_check();
    }
}

inline constexpr Check associate_strangers{
    .id = "associate.strangers",
    .title = "what somebody else sends to a SOCKS5 client's relay is dropped, also at first",
    .needs = {.udp = true},
    .trait = trait::drops_strangers.name,
    .run = meet_strangers};

} // namespace test_tunnel::check
