#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "../check.hpp"
#include "../detail/fmt.hpp"
#include "../names.hpp"
#include "../pair_run.hpp"
#include "handshake_client.hpp"
#include "handshake_framing.hpp"
#include "handshake_http.hpp"
#include "handshake_refusals.hpp"
#include "handshake_socks.hpp"

namespace test_tunnel::check {

/// What a check sends, for each protocol that there is; nothing where there is nothing of the kind.
struct OddRequests {
    std::vector<OddRequest> (*socks5)(const Endpoint&, const Socks5Options&);
    std::vector<OddRequest> (*socks4)(const Endpoint&, const Socks4Options&);
    std::vector<OddRequest> (*http)(const Endpoint&, const HttpConnectOptions&);

    [[nodiscard]] std::vector<OddRequest> of(const Protocol& protocol,
                                             const Endpoint& target) const {
        if (const auto* options = std::get_if<Socks5Options>(&protocol)) {
            return socks5(target, *options);
        }
        if (const auto* options = std::get_if<Socks4Options>(&protocol)) {
            return socks4(target, *options);
        }
        return http(target, std::get<HttpConnectOptions>(protocol));
    }
};

inline constexpr OddRequests invalid_requests{odd_socks5, odd_socks4, odd_http};
inline constexpr OddRequests long_requests{long_socks5, long_socks4, long_http};
inline constexpr OddRequests truncated_requests{truncated_socks5, truncated_socks4, truncated_http};
inline constexpr OddRequests unauthorized_requests{
    unauthorized_socks5,
    [](const Endpoint&, const Socks4Options&) { return std::vector<OddRequest>{}; },
    unauthorized_http};

/// The names that `Traits::accepts` may have: those of requests of which a tool can do the wrong
/// thing.
inline std::vector<std::string_view> acceptable_names() {
    std::vector<std::string_view> result;
    const Endpoint target{Address::parse("192.0.2.1"), 1};
    const std::array<Protocol, 5> protocols{
        Socks5Options{}, Socks5Options{.user = "u", .password = "p"}, Socks4Options{},
        HttpConnectOptions{}, HttpConnectOptions{.user = "u", .password = "p"}};
    for (const auto& protocol : protocols) {
        for (const auto* requests :
             {&invalid_requests, &long_requests, &truncated_requests, &unauthorized_requests}) {
            const auto* socks5 = std::get_if<Socks5Options>(&protocol);
            const auto* http = std::get_if<HttpConnectOptions>(&protocol);
            const bool has_user =
                (socks5 != nullptr && socks5->user) || (http != nullptr && http->user);
            if (requests == &unauthorized_requests && !has_user) {
                continue;
            }
            for (const auto& request : requests->of(protocol, target)) {
                if (request.demand != Demand::nothing) {
                    result.push_back(request.name);
                }
            }
        }
    }
    std::sort(result.begin(), result.end());
    result.erase(std::unique(result.begin(), result.end()), result.end());
    return result;
}

/// Throws InvalidConfig for a name that no request has.
inline void require_known(const std::vector<std::string>& accepts) {
    if (accepts.empty()) {
        return;
    }
    const auto known = acceptable_names();
    for (const auto& name : accepts) {
        if (!std::binary_search(known.begin(), known.end(), name)) {
            throw InvalidConfig{fmt::format("Traits::accepts has '{}'; there are: {}", name,
                                            detail::joined(known, ", "))};
        }
    }
}

/// Tries the requests of a kind.
inline void try_kind(PairRun& run, const OddRequests& kind) {
    require_known(run.traits().accepts);
    const auto protocol = need_protocol(run);
    try_requests(run, protocol, kind.of(protocol, run.pair().svc_listen.listen()));
}

inline void invalid(PairRun& run) {
    try_kind(run, invalid_requests);
}

inline void limits(PairRun& run) {
    try_kind(run, long_requests);
}

inline void truncated(PairRun& run) {
    try_kind(run, truncated_requests);
}

/// Nobody is served without the right user and password; least of all is a connection made before
/// they were looked at.
inline void password(PairRun& run) {
    const auto protocol = need_protocol(run);
    const auto* socks5 = std::get_if<Socks5Options>(&protocol);
    const auto* http = std::get_if<HttpConnectOptions>(&protocol);
    const bool may_do_without = socks5 != nullptr && socks5->offer_no_authentication;
    const bool has_user = (socks5 != nullptr && socks5->user) || (http != nullptr && http->user);
    if (may_do_without || !has_user) {
        throw NotApplicable{"its protocol (TestTunnel::protocol) demands no user and password"};
    }
    try_kind(run, unauthorized_requests);
}

/// The target is asked for by each name that it has, also the shortest and the longest.
inline void name(PairRun& run) {
    const auto protocol = need_protocol(run);
    const auto target = run.pair().svc_listen.listen();
    const auto names = names_of(target.address);
    if (names.empty()) {
        throw NotApplicable{
            fmt::format("no name on this machine means {} and nothing else", target.address)};
    }
    Attempt result{Answer::served};
    for (const auto& each : names) {
        auto socket = run.open_client();
        constexpr std::size_t most = 64;
        const auto shown = each.size() <= most ? fmt::format("'{}'", each)
                                               : fmt::format("a name of {} bytes", each.size());
        run.step("by name", fmt::format("{} is known to the tool as {}", shown, target.address),
                 Party::client, Party::tool);
        HandshakeClient client{socket};
        const auto named = detail::with_name(protocol, each);
        result = attempt(client, [&](HandshakeClient& some) { shake_hands(some, target, named); });
        if (result.answer != Answer::served) {
            break;
        }
        use(run, std::move(socket));
    }
    const auto expected = run.expected();
    try {
        run.judge<bool>("resolves_names", "a target that is asked for by name is reached",
                        run.traits().resolves_names, result.answer == Answer::served, true);
    } catch (const Unexpected& error) {
        throw Unexpected{expected, fmt::format("{}\n{}", error.actual(), result.text)};
    }
    if (result.answer != Answer::served) {
        run.sentinel();
    }
}

inline constexpr std::array handshake_checks{
    Check{.id = "handshake.glued",
          .title = "what the server says as soon as it is connected comes behind the reply",
          .run = glued},
    Check{.id = "handshake.password",
          .title = "wrong users and passwords, and none, are refused, and connect to nobody",
          .trait = "accepts",
          .run = password},
    Check{.id = "handshake.cut",
          .title = "a handshake that is cut behind every byte, or behind one, is served",
          .level = Level::strict,
          .trait = "takes_pieces",
          .run = cut},
    Check{.id = "handshake.early_data",
          .title = "what the client sends without waiting for the reply arrives",
          .level = Level::strict,
          .trait = "early_data",
          .run = early_data},
    Check{.id = "handshake.name",
          .title = "the target is reached by its names, of 1 byte to 253",
          .level = Level::strict,
          .trait = "resolves_names",
          .run = name},
    Check{.id = "handshake.limits",
          .title = "names, users, passwords and headers as long as they may be are answered",
          .level = Level::strict,
          .trait = "accepts",
          .run = limits},
    Check{.id = "handshake.invalid",
          .title = "requests that the protocol forbids are refused, and connect to nobody",
          .level = Level::strict,
          .trait = "accepts",
          .run = invalid},
    Check{.id = "handshake.truncated",
          .title = "requests that end too early connect to nobody",
          .level = Level::strict,
          .trait = "accepts",
          .run = truncated}};

} // namespace test_tunnel::check
