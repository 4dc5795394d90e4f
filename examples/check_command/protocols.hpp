#pragma once

// How the tool is asked where to connect, and how it asks its upstream proxy.

#include <test_tunnel/run/command_line.hpp>
#include <test_tunnel/run/command_tunnel.hpp>

#include <string>
#include <string_view>

#include "request.hpp"

namespace check_command {

using namespace test_tunnel;

/// "proxy-v1", "socks5" …: what is given twice, or in the wrong order, is refused.
inline void add_handshake(Request& request, const std::string& text) {
    const auto version = choose<int>("handshake", text,
                                     {{"none", 0},
                                      {"socks5", 0},
                                      {"socks4", 0},
                                      {"http-connect", 0},
                                      {"proxy-v1", 1},
                                      {"proxy-v2", 2}});
    if (version != 0) {
        if (request.tool.client_header || !request.handshake.empty()) {
            throw InvalidConfig{
                fmt::format("--handshake {}: a PROXY header comes once, and first", text)};
        }
        request.tool.client_header = ProxyVersion{version};
        return;
    }
    if (!request.handshake.empty()) {
        throw InvalidConfig{
            fmt::format("--handshake {}: there is {} already", text, request.handshake)};
    }
    request.handshake = text;
}

/// How the tool asks its upstream proxy.
inline void set_upstream(Request& request) {
    const auto& how = request.upstream;
    const auto& user = request.upstream_user;
    const auto& password = request.upstream_password;
    if (how.empty()) {
        if (user || password || request.tool.upstream_family) {
            throw InvalidConfig{fmt::format("{} needs --upstream", user ? "--upstream-user"
                                                                   : password
                                                                       ? "--upstream-password"
                                                                       : "--upstream-family")};
        }
        return;
    }
    const bool is_socks4 = how.starts_with("socks4");
    if (is_socks4 ? password.has_value() : user.has_value() != password.has_value()) {
        throw InvalidConfig{is_socks4 ? "--upstream-password: SOCKS4 has no password"
                                      : "--upstream-user and --upstream-password are given both or "
                                        "neither"};
    }
    if (how == "socks5") {
        request.tool.upstream = Socks5Options{.user = user, .password = password};
    } else if (how == "http-connect") {
        request.tool.upstream = HttpConnectOptions{.user = user, .password = password};
    } else {
        Socks4Options socks4{.user = user.value_or("")};
        if (how == "socks4a") { // by name, it knows targets of either family
            socks4.name = "";
        }
        request.tool.upstream = socks4;
    }
}

/// What belongs to one handshake only is refused with another one.
inline void set_protocol(Request& request) {
    auto& tool = request.tool;
    auto& socks5 = request.socks5;
    auto& http = request.http;
    const auto& handshake = request.handshake;
    const auto& user_option = request.user_option;
    const bool is_socks5 = handshake == "socks5";
    const bool is_http = handshake == "http-connect";
    const auto require = [&](bool is_met, std::string_view option, std::string_view wanted) {
        if (!is_met) {
            throw InvalidConfig{fmt::format("{} needs --handshake {}", option, wanted)};
        }
    };
    const HttpConnectOptions no_http;
    require(!socks5.offer_no_authentication || is_socks5, "--offer-no-auth", "socks5");
    require(http.version == no_http.version || is_http, "--http-version", "http-connect");
    require(http.headers.empty() || is_http, "--header", "http-connect");
    require(!socks5.password || is_socks5 || is_http, "--password", "socks5 or http-connect");
    require(user_option.empty() || is_socks5 || is_http || handshake == "socks4", user_option,
            "socks5, socks4 or http-connect");
    if ((is_socks5 || is_http) && socks5.user.has_value() != socks5.password.has_value()) {
        throw InvalidConfig{"--user and --password are given both or neither"};
    }
    if (is_socks5) {
        tool.protocol = socks5;
    } else if (is_http) {
        http.user = socks5.user;
        http.password = socks5.password;
        tool.protocol = http;
    } else if (handshake == "socks4") {
        tool.protocol = Socks4Options{.user = socks5.user.value_or("")};
    }
}

} // namespace check_command
