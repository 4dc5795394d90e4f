#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "test_tunnel/checks/detail/asking_client.hpp"
#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/odd_upstream.hpp"
#include "test_tunnel/handshakes/protocol.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// A way to grant a request.
struct Grant {
    /// What it is, for texts.
    std::string what;
    std::string reply;
    /// Whether only a client may be told so that has asked in HTTP/1.1.
    bool is_of_1_1 = false;
};
using Grants = std::vector<Grant>;

/// An answer of HTTP with so many fields of 50 bytes.
inline std::string http_with_fields(std::size_t count) {
    std::string result = "HTTP/1.1 200 OK\r\n";
    for (std::size_t i = 0; i < count; ++i) {
        result += fmt::format("X-Field-{}: {}\r\n", i, std::string(37, 'x'));
    }
    return result + "\r\n";
}

/// Those that every client has to understand.
inline Grants usual_grants(const Protocol& upstream) {
    const Endpoint ipv4{Address::parse("192.0.2.7"), 1080};
    const Endpoint ipv6{Address::parse("2001:db8::7"), 1080};
    const Endpoint none{Address::parse("0.0.0.0"), 0};
    if (std::holds_alternative<Socks5Options>(upstream)) {
        return {{"with an IPv4 address (RFC 1928 §6)", detail::socks5_reply(0, ipv4)},
                {"with an IPv6 address (RFC 1928 §6)", detail::socks5_reply(0, ipv6)},
                {"with the null address (RFC 1928 §6)", detail::socks5_reply(0, none)}};
    }
    if (std::holds_alternative<Socks4Options>(upstream)) {
        constexpr unsigned granted = 90;
        return {{"with an address (SOCKS4 §1)", detail::socks4_reply(granted, ipv4)},
                {"with the null address (SOCKS4 §1)", detail::socks4_reply(granted, none)}};
    }
    return {{"in HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n"},
            {"with fields of 400 bytes", http_with_fields(8)}};
}

/// Those that a standard allows, that no common proxy has, and that some clients refuse.
inline Grants rare_grants(const Protocol& upstream) {
    if (std::holds_alternative<Socks5Options>(upstream)) {
        constexpr std::uint16_t port = 1080;
        return {{"with a name of 1 byte (RFC 1928 §6)", detail::socks5_reply(0, "a", port)},
                {"with a name of 255 bytes (RFC 1928 §6)",
                 detail::socks5_reply(0, std::string(255, 'a'), port)}};
    }
    if (std::holds_alternative<HttpConnectOptions>(upstream)) {
        return {{"without words behind the code (RFC 9112 §4)", "HTTP/1.1 200 \r\n\r\n"},
                {"by 204 (RFC 9110 §9.3.6)", "HTTP/1.1 204 No Content\r\n\r\n"},
                {"with fields of 4 kB", http_with_fields(80)},
                {"with a Content-Length, which means nothing (RFC 9110 §9.3.6)",
                 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
                {"with a Transfer-Encoding, which means nothing (RFC 9110 §9.3.6)",
                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true},
                {"behind an interim answer (RFC 9110 §15.2)",
                 "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", true}};
    }
    return {};
}

/// Grants what is asked in a way that a client may refuse: that is noted. One that it understands
/// must work.
inline void grant_rarely(PairRun& run, const Grant& grant) {
    const OddUpstream::Answer answer = [&](Socket& tool) {
        const auto asked = run.upstream().read_asked(tool);
        const bool is_of_1_0 = asked.version == HttpVersion::http_1_0;
        tool.write(grant.is_of_1_1 && is_of_1_0 ? detail::http_success : grant.reply);
    };
    bool is_refused = false;
    try {
        OddUpstream upstream{run, "grant", "the client is connected, or refused", answer};
        AskingClient client{run};
        const auto tool = upstream.await(client); // stays open: its end would end the client
        is_refused = has_refused(run, client);
    } catch (const SystemError& error) {
        if (error.code() != ECONNRESET) {
            throw;
        }
        is_refused = true; // perhaps so soon that it is connect(2) that tells
    }
    if (is_refused) {
        run.note(fmt::format("it refuses a client when its upstream proxy grants the request {}",
                             grant.what));
    } else {
        demand_grant(run, grant.what, {}, answer);
    }
}

/// Has the upstream proxy grant what is asked in all the ways that there are: in single bytes, and
/// with each type of address.
inline void grant_in_all_ways(PairRun& run) {
    const auto& upstream = need_upstream(run);
    demand_grant(run, "in single bytes", {}, [&](Socket& tool) {
        const auto singly = [&](Socket& to, std::string_view data) { write_singly(run, to, data); };
        take_request(run, tool, singly);
        singly(tool, detail::granting_reply(tool.local(), upstream));
    });
    for (const auto& grant : usual_grants(upstream)) {
        demand_grant(run, grant.what, {}, [&](Socket& tool) {
            run.upstream().read_asked(tool);
            tool.write(grant.reply);
        });
    }
    if (run.strict() && !serves_once(run)) {
        for (const auto& grant : rare_grants(upstream)) {
            grant_rarely(run, grant);
        }
    }
}

inline constexpr Check upstream_reply{
    .id = "upstream.reply",
    .title = "the upstream's reply is understood in single bytes, and with each type of address",
    .run = grant_in_all_ways};

} // namespace test_tunnel::check
