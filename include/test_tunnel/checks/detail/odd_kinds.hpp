#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/detail/bad_certificates.hpp"
#include "test_tunnel/checks/detail/handshake_client.hpp"
#include "test_tunnel/checks/detail/odd_headers.hpp"
#include "test_tunnel/checks/detail/odd_http.hpp"
#include "test_tunnel/checks/detail/odd_requests.hpp"
#include "test_tunnel/checks/detail/odd_socks.hpp"
#include "test_tunnel/checks/detail/odd_spellings.hpp"
#include "test_tunnel/handshakes/http_connect.hpp"
#include "test_tunnel/handshakes/protocol.hpp"
#include "test_tunnel/handshakes/socks4.hpp"
#include "test_tunnel/handshakes/socks5.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Odd requests of one kind: for each protocol, a function that makes them for a target.
struct OddRequests {
    std::vector<OddRequest> (*socks5)(const Endpoint&, const Socks5Options&);
    std::vector<OddRequest> (*socks4)(const Endpoint&, const Socks4Options&);
    std::vector<OddRequest> (*http)(const Endpoint&, const HttpConnectOptions&);

    /// Returns the requests of this kind for a tool that speaks `protocol`.
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

/// Requests that the protocol forbids, or leaves to the tool.
inline constexpr OddRequests invalid_requests{odd_socks5, odd_socks4, odd_http};
/// Requests that are as long as the protocol allows.
inline constexpr OddRequests long_requests{long_socks5, long_socks4, long_http};
/// Requests that end too early.
inline constexpr OddRequests truncated_requests{truncated_socks5, truncated_socks4, truncated_http};
/// Requests that are written in another way than the library's own, as the protocol allows.
inline constexpr OddRequests spelled_requests{spelled_socks5, spelled_socks4, spelled_http};
/// Returns whether a tool that speaks `protocol` has to refuse a client with a wrong password.
inline bool demands_password(const Protocol& protocol) {
    if (const auto* options = std::get_if<Socks5Options>(&protocol)) {
        return options->user && !options->offer_no_authentication;
    }
    const auto* http = std::get_if<HttpConnectOptions>(&protocol);
    return http != nullptr && http->user;
}

/// Requests with a wrong user or password, or none: for a protocol that has a user and a password.
inline constexpr OddRequests unauthorized_requests{
    unauthorized_socks5,
    [](const Endpoint&, const Socks4Options&) { return std::vector<OddRequest>{}; },
    unauthorized_http};

/// The names of what a tool may do instead of what its protocol demands of it, but for requests.
inline constexpr std::array<std::string_view, 8> other_names{
    "socks5.password.no_reply",  "socks5.password.stays_open", "socks5.refusal.no_reply",
    "socks5.refusal.stays_open", "socks4.refusal.no_reply",    "socks4.refusal.stays_open",
    "http.retry.not_served",     "http.retry.content"};

/// Returns, sorted, the names that `Traits::accepts` may have: of all requests with which a tool
/// can do the wrong thing.
inline std::vector<std::string_view> acceptable_names() {
    std::vector<std::string_view> result;
    const Endpoint target{Address::parse("192.0.2.1"), 1};
    const std::array<Protocol, 5> protocols{
        Socks5Options{}, Socks5Options{.user = "u", .password = "p"}, Socks4Options{},
        HttpConnectOptions{}, HttpConnectOptions{.user = "u", .password = "p"}};
    for (const auto& protocol : protocols) {
        for (const auto* requests : {&invalid_requests, &long_requests, &truncated_requests,
                                     &spelled_requests, &unauthorized_requests}) {
            if (requests == &unauthorized_requests && !demands_password(protocol)) {
                continue;
            }
            for (const auto& request : requests->of(protocol, target)) {
                if (request.demand != Demand::nothing && request.demand != Demand::best_service) {
                    result.push_back(request.name);
                }
            }
        }
    }
    result.insert(result.end(), names_of_headers.begin(), names_of_headers.end());
    result.insert(result.end(), other_names.begin(), other_names.end());
    for (const auto& certificate : bad_certificates) {
        result.push_back(certificate.name);
    }
    result.push_back(expired_since.name);
    std::sort(result.begin(), result.end());
    result.erase(std::unique(result.begin(), result.end()), result.end());
    return result;
}

/// Throws InvalidConfig where `Traits::accepts` has a name that no request has.
inline void require_known(PairRun& run) {
    const auto& accepts = run.traits().accepts;
    if (accepts.empty()) {
        return;
    }
    const auto known = acceptable_names();
    for (const auto& name : accepts) {
        if (!std::binary_search(known.begin(), known.end(), name)) {
            throw InvalidConfig{fmt::format("{} has '{}'; there are: {}",
                                            run.wording(trait::accepts.name), name,
                                            joined(known, ", "))};
        }
    }
}

/// Tries all requests of one kind.
template <const OddRequests& kind>
void try_requests(PairRun& run) {
    require_known(run);
    const auto protocol = need_protocol(run);
    try_each(run, protocol, kind.of(protocol, run.pair().svc_listen.listen()));
}

} // namespace test_tunnel::check
