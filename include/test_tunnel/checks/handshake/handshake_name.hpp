#pragma once

#include <cstddef>
#include <utility>

#include "test_tunnel/checks/detail/handshake_client.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/handshakes/protocol.hpp"
#include "test_tunnel/private_network/host_names.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Asks for the target by each name that it has, from the shortest to the longest.
inline void ask_by_name(PairRun& run) {
    const auto protocol = need_protocol(run);
    const auto target = run.pair().svc_listen.listen();
    const auto names = names_of(target.address);
    if (names.empty()) {
        throw NotApplicable{
            fmt::format("no name on this machine stands for {} and nothing else", target.address)};
    }
    Attempt result{Answer::served};
    for (const auto& each : names) {
        auto socket = run.open_client();
        constexpr std::size_t most = 64;
        const auto shown = each.size() <= most ? fmt::format("'{}'", each)
                                               : fmt::format("a name of {} bytes", each.size());
        run.step(
            "by name",
            fmt::format("the tool connects to {} when it is asked for {}", target.address, shown),
            Party::client, Party::tool);
        HandshakeClient client{socket};
        const auto named = detail::with_name(protocol, each);
        result = attempt(client, [&](HandshakeClient& some) { shake_hands(some, target, named); });
        if (result.answer != Answer::served) {
            break;
        }
        round_trip_after_handshake(run, std::move(socket));
    }
    const auto expected = run.expected();
    try {
        run.judge(trait::resolves_names, result.answer == Answer::served);
    } catch (const Unexpected& error) {
        throw Unexpected{expected, fmt::format("{}\n{}", error.actual(), result.text)};
    }
    if (result.answer != Answer::served) {
        run.sentinel();
    }
}

inline constexpr Check handshake_name{
    .id = "handshake.name",
    .title = "the target is reached by name, with names of 1 to 253 bytes",
    .level = Level::strict,
    .trait = trait::resolves_names.name,
    .run = ask_by_name};

} // namespace test_tunnel::check
