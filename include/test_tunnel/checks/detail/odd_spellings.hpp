#pragma once

// Requests that are written in another way than the library's own, as the protocol allows.

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/checks/detail/handshake_client.hpp"
#include "test_tunnel/checks/detail/odd_http.hpp"
#include "test_tunnel/checks/detail/odd_requests.hpp"
#include "test_tunnel/checks/detail/odd_socks.hpp"
#include "test_tunnel/handshakes/http_connect.hpp"
#include "test_tunnel/handshakes/socks4.hpp"
#include "test_tunnel/handshakes/socks5.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel::check {

/// Returns the text with all of its letters from one range in the other: 'A' for lower case.
inline std::string in_case_of(char letter, std::string_view text) {
    std::string result{text};
    constexpr int between = 'a' - 'A';
    const char first = letter == 'a' ? 'A' : 'a';
    for (char& each : result) {
        if (each >= first && each < first + 26) {
            each = static_cast<char>(letter == 'a' ? each + between : each - between);
        }
    }
    return result;
}

/// Returns a request with all of its field names in lower case ('a') or upper case ('A').
inline std::string with_field_names(char letter, const std::string& request) {
    std::string result = request.substr(0, request.find("\r\n") + 2);
    for (auto at = result.size(); at < request.size();) {
        const auto end = request.find("\r\n", at);
        const auto line = request.substr(at, end + 2 - at);
        const auto colon = std::min(line.find(':'), line.size());
        result += in_case_of(letter, line.substr(0, colon)) + line.substr(colon);
        at = end + 2;
    }
    return result;
}

/// Returns the text with `from`, where it is first, replaced by `to`.
inline std::string with_replaced(std::string text, std::string_view from, std::string_view to) {
    if (const auto at = text.find(from); at != std::string::npos) {
        text.replace(at, from.size(), to);
    }
    return text;
}

/// Returns CONNECT requests in other spellings.
inline std::vector<OddRequest> spelled_http(const Endpoint& target,
                                            const HttpConnectOptions& options) {
    const auto good = script_of(options, target).request;
    std::vector<OddRequest> result;
    const auto add = [&](std::string_view name, std::string what, std::string_view section,
                         std::string text, Demand demand = Demand::service) {
        result.push_back({name, std::move(what), section, {.request = std::move(text)}, demand});
    };
    add("http.fields.lower", "the names of all fields in lower case", "RFC 9110 §5.1",
        with_field_names('a', good));
    add("http.fields.upper", "the names of all fields in upper case", "RFC 9110 §5.1",
        with_field_names('A', good));
    add("http.field.no_space", "no space behind a field's colon", "RFC 9112 §5.1",
        with_replaced(good, "Host: ", "Host:"));
    add("http.field.spaces", "spaces and a tab around a field's value", "RFC 9112 §5.1",
        with_replaced(good, "\r\n\r\n", "\r\nX-Test: \t 1 \t \r\n\r\n"));
    add("http.fields.usual", "the fields that clients usually send", "RFC 9110 §9.3.6",
        with_replaced(good, "\r\n\r\n",
                      "\r\nUser-Agent: curl/7.88.1\r\nProxy-Connection: Keep-Alive\r\n\r\n"));
    constexpr int many = 40;
    std::string fields;
    for (int i = 1; i <= many; ++i) {
        fields += fmt::format("\r\nX-Test-{}: {}", i, i);
    }
    add("http.fields.many", fmt::format("{} other fields before those that matter", many),
        "RFC 9110 §5.3", with_replaced(good, "\r\nHost: ", fields + "\r\nHost: "));
    auto old = options;
    old.version = HttpVersion::http_1_0;
    const auto old_request = script_of(old, target).request;
    const auto host = old_request.find("\r\nHost: ");
    add("http.version.1_0", "HTTP/1.0, without Host", "RFC 9112 §3.2",
        old_request.substr(0, host) + old_request.substr(old_request.find("\r\n", host + 2)));
    add("http.line.empty_before", "an empty line before the request", "RFC 9112 §2.2",
        "\r\n" + good, Demand::best_service);
    if (options.user) {
        const std::string_view scheme = ": Basic ";
        add("http.scheme.lower", "'basic' in place of Basic", "RFC 9110 §11.1",
            with_replaced(good, scheme, ": basic "));
        add("http.scheme.upper", "'BASIC' in place of Basic", "RFC 9110 §11.1",
            with_replaced(good, scheme, ": BASIC "));
        add("http.scheme.spaces", "two spaces behind the scheme", "RFC 9110 §11.4",
            with_replaced(good, scheme, ": Basic  "));
    }
    return result;
}

/// Returns SOCKS5 requests in other spellings.
inline std::vector<OddRequest> spelled_socks5(const Endpoint& target,
                                              const Socks5Options& options) {
    using namespace std::string_literals;
    const Script good = script_of(options, target);
    const auto host = Address::from_packed(target.address.packed()).text(); // without its scope
    return {{"socks5.methods.unknown_first",
             "a method of nobody's (0x80) before the right one",
             "RFC 1928 §3",
             {"\x05\x02\x80"s + (options.user ? '\x02' : '\x00'), good.credentials, good.request},
             Demand::service},
            {"socks5.methods.twice",
             "the right method, twice",
             "RFC 1928 §3",
             {"\x05\x02"s + std::string(2, options.user ? '\x02' : '\x00'), good.credentials,
              good.request},
             Demand::service},
            {"socks5.name.literal",
             "an IP address in text as a domain name",
             "RFC 1928 §5",
             {good.greeting, good.credentials,
              "\x05\x01\x00\x03"s + counted(host) + detail::two_bytes(target.port)},
             Demand::best_service}};
}

/// Returns SOCKS4 requests in other spellings.
inline std::vector<OddRequest> spelled_socks4(const Endpoint& target,
                                              const Socks4Options& options) {
    auto literal = options;
    literal.name = Address::from_packed(target.address.packed()).text();
    return {{"socks4.name.literal", "an IP address in text as a domain name", "SOCKS4A",
             script_of(literal, target), Demand::best_service}};
}

} // namespace test_tunnel::check
