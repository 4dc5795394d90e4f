#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "test_tunnel/checks/detail/after_refusal.hpp"
#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/handshake_client.hpp"
#include "test_tunnel/checks/detail/odd_kinds.hpp"
#include "test_tunnel/checks/detail/refusal.hpp"
#include "test_tunnel/checks/detail/wrong_credentials.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/handshakes/http_connect.hpp"
#include "test_tunnel/handshakes/protocol.hpp"
#include "test_tunnel/handshakes/socks4.hpp"
#include "test_tunnel/handshakes/socks5.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Returns the clients of SOCKS5 that are refused by what they say, and go on.
inline std::vector<Persistence> persistent_socks5(const Endpoint& target,
                                                  const Socks5Options& options,
                                                  const std::string& word) {
    using namespace std::string_literals;
    const Script good = script_of(options, target);
    std::vector<Persistence> result;
    if (options.user && !options.offer_no_authentication) {
        auto wrong = options;
        wrong.password = with_last_changed(*options.password);
        result.push_back({.what = "a wrong password",
                          .section = "RFC 1929 §2",
                          .script = {good.greeting, script_of(wrong, target).credentials, ""},
                          .then = {good.request, word},
                          .silent = "socks5.password.no_reply",
                          .open = "socks5.password.stays_open"});
        result.push_back({.what = "no offer of user and password",
                          .section = "RFC 1928 §3",
                          .script = {"\x05\x01\x00"s, "", good.request},
                          .then = {good.request, word}});
    }
    result.push_back({.what = "a method that does not exist (0x7f)",
                      .section = "RFC 1928 §3",
                      .script = {"\x05\x01\x7f"s, "", good.request},
                      .then = {good.request, word}});
    return result;
}

/// Returns the clients of an HTTP proxy that are refused by what they say, and go on.
inline std::vector<Persistence> persistent_http(const Endpoint& target,
                                                const HttpConnectOptions& options,
                                                const std::string& word) {
    if (!options.user) {
        return {};
    }
    auto without = options;
    without.user.reset();
    without.password.reset();
    auto wrong = options;
    wrong.password = *options.password + "x";
    const auto none = script_of(without, target);
    return {{.what = "no user and password",
             .section = "RFC 9110 §15.5.8",
             .script = none,
             .then = {none.request, none.request + word}},
            {.what = "a wrong password",
             .section = "RFC 9110 §15.5.8",
             .script = script_of(wrong, target),
             .then = {word}}};
}

/// Returns the client whose target can't be reached, and who goes on when it can be again. In HTTP
/// another request on the same connection may be served, so there it only says a word.
inline Persistence persistent_for_target(const Protocol& protocol, const Endpoint& target,
                                         const std::string& word) {
    const auto good = script_of(protocol, target);
    const bool is_socks5 = std::holds_alternative<Socks5Options>(protocol);
    const bool is_socks4 = std::holds_alternative<Socks4Options>(protocol);
    return {.what = "a target at which nobody listens",
            .section = is_socks5   ? "RFC 1928 §6"
                       : is_socks4 ? "SOCKS4 §1"
                                   : "RFC 9110 §9.3.6",
            .script = good,
            .then = is_socks5 || is_socks4 ? std::vector{good.request, word} : std::vector{word},
            .is_closed_target = true,
            .silent = is_socks5   ? "socks5.refusal.no_reply"
                      : is_socks4 ? "socks4.refusal.no_reply"
                                  : "",
            .open = is_socks5   ? "socks5.refusal.stays_open"
                    : is_socks4 ? "socks4.refusal.stays_open"
                                : ""};
}

/// Has clients be refused and go on as if they had not been: none may be connected then, and not a
/// byte of theirs may reach the server.
inline void go_on_after_refusals(PairRun& run) {
    using namespace std::chrono_literals;
    require_known(run);
    const auto protocol = need_protocol(run);
    const auto target = run.pair().svc_listen.listen();
    const auto word = "!" + run.pattern().bytes(0, 16);
    std::vector<Persistence> clients;
    if (const auto* socks5 = std::get_if<Socks5Options>(&protocol)) {
        clients = persistent_socks5(target, *socks5, word);
    } else if (const auto* http = std::get_if<HttpConnectOptions>(&protocol)) {
        clients = persistent_http(target, *http, word);
    }
    const auto steps = run.steps();
    for (const auto& each : clients) {
        run.forget_steps(steps);
        static_cast<void>(try_to_go_on(run, protocol, each));
    }
    if (!clients.empty() && !run.is_eager()) {
        require_no_arrival(run, run.wait(500ms)); // of those that may come late
    }
    run.forget_steps(steps);
    bool is_closed = true;
    try {
        close_target(run);
    } catch (const NotApplicable&) { // on this machine nobody learns that it is closed
        is_closed = false;
    }
    const bool is_tried =
        is_closed && try_to_go_on(run, protocol, persistent_for_target(protocol, target, word));
    if (is_tried && !run.is_eager()) {
        require_no_arrival(run, run.wait(500ms));
    }
    require_service_in_time_after(run, "clients have gone on after a refusal");
}

inline constexpr Check handshake_after_refusal{
    .id = "handshake.after_refusal",
    .title = "a client that was refused and goes on as if it had not been gets nowhere",
    .trait = trait::accepts.name,
    .presumes = {"target.unreachable"},
    .run = go_on_after_refusals};

} // namespace test_tunnel::check
