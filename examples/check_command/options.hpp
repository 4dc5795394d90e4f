#pragma once

// The command line: each option is a name and what it does.

#include <test_tunnel/command_tunnel.hpp>
#include <test_tunnel/detail/command_line.hpp>
#include <test_tunnel/detail/hosts_file.hpp>
#include <test_tunnel/detail/nearest.hpp>
#include <test_tunnel/private_network.hpp>
#include <test_tunnel/report/files.hpp>
#include <test_tunnel/trait_names.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace check_command {

using namespace test_tunnel;

struct Request {
    ConfigProg config;
    CommandOptions tool;
    Socks5Options socks5;
    HttpConnectOptions http;
    std::string handshake;
    std::string user_option; // the option that needs a handshake with users
    std::optional<NetworkMode> network;
    ReportFiles::Options reports;
    std::string junit;
    std::string list; // the option that lists something
};

/// `text` among the names of `all`; throws InvalidConfig with the right ones.
template <typename Value>
Value choose(std::string_view what, const std::string& text,
             const std::vector<std::pair<std::string, Value>>& all) {
    std::vector<std::string> names;
    names.reserve(all.size());
    for (const auto& [name, value] : all) {
        if (name == text) {
            return value;
        }
        names.push_back(name);
    }
    throw InvalidConfig{
        fmt::format("'{}' is no {}{}", text, what, detail::suggestion(text, names))};
}

inline std::string read_file(const std::string& path) {
    if (auto text = detail::text_of_file(path.c_str())) {
        return std::move(*text);
    }
    throw InvalidConfig{fmt::format("--config {}: it can't be read", path)};
}

/// "proxy-v1", "socks5" …: what is given twice, or in the wrong order, is refused.
inline void add_handshake(Request& request, const std::string& text) {
    const std::vector<std::pair<std::string, int>> all{{"none", 0},     {"socks5", 0},
                                                       {"socks4", 0},   {"http-connect", 0},
                                                       {"proxy-v1", 1}, {"proxy-v2", 2}};
    const auto version = choose<int>("handshake", text, all);
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

inline void add_trait(Traits& traits, const std::string& text) {
    const auto name = text.substr(0, text.find('='));
    std::vector<std::string> names;
    for (auto& trait : trait_names()) {
        names.push_back(std::move(trait.name));
    }
    if (std::find(names.begin(), names.end(), name) == names.end()) {
        throw InvalidConfig{
            fmt::format("'{}' is no trait{}", name, detail::suggestion(name, names))};
    }
    declare(traits, text);
}

inline void add_header(Request& request, const std::string& text) {
    const auto colon = text.find(':');
    if (colon == std::string::npos) {
        throw InvalidConfig{fmt::format("--header takes 'Name: value', not '{}'", text)};
    }
    const auto value = std::min(text.find_first_not_of(' ', colon + 1), text.size());
    request.http.headers.emplace_back(text.substr(0, colon), text.substr(value));
}

using Act = std::function<void(const std::string&)>;

struct Options {
    std::map<std::string, Act> with_value;
    std::map<std::string, std::function<void()>> without;
};

inline Options options_for(Request& request) {
    auto& [config, tool, socks5, http, handshake, user_option, network, reports, junit, list] =
        request;
    const std::vector<std::pair<std::string, std::optional<ProxyVersion>>> headers{
        {"none", std::nullopt}, {"proxy-v1", ProxyVersion::v1}, {"proxy-v2", ProxyVersion::v2}};
    Options all;
    auto& with = all.with_value;
    with["--companion"] = [&](const auto& text) { tool.companions.push_back(split_command(text)); };
    with["--config"] = [&](const auto& path) {
        tool.files.push_back({path.substr(path.rfind('/') + 1), read_file(path)});
    };
    with["--readable-by"] = [&](const auto& text) { tool.readable_by = text; };
    with["--name"] = [&](const auto& text) { tool.name = text; };
    with["--handshake"] = [&](const auto& text) { add_handshake(request, text); };
    with["--user"] = [&](const auto& text) { socks5.user = text, user_option = "--user"; };
    with["--password"] = [&](const auto& text) {
        socks5.password = text, user_option = "--password";
    };
    with["--http-version"] = [&](const auto& text) {
        http.version =
            choose<HttpVersion>("version of HTTP", text,
                                {{"1.1", HttpVersion::http_1_1}, {"1.0", HttpVersion::http_1_0}});
    };
    with["--header"] = [&](const auto& text) { add_header(request, text); };
    with["--server-header"] = [&, headers](const auto& text) {
        tool.server_header =
            choose<std::optional<ProxyVersion>>("header that a tool sends", text, headers);
    };
    with["--trait"] = [&](const auto& text) { add_trait(tool.traits, text); };
    with["--level"] = [&](const auto& text) {
        config.level = choose<Level>(
            "level", text,
            {{"hello", Level::hello}, {"standard", Level::standard}, {"strict", Level::strict}});
    };
    with["--check"] = [&](const auto& text) { config.only.push_back(text); };
    with["--not-check"] = [&](const auto& text) { config.except.push_back(text); };
    with["--pair"] = [&](const auto& text) { config.pairs.push_back(parse_pair_name(text)); };
    with["--seed"] = [&](const auto& text) {
        config.seed = detail::parse_number<std::uint64_t>("--seed", text);
    };
    with["--idle"] = [&](const auto& text) { config.idle = detail::parse_idle(text); };
    with["--network"] = [&](const auto& text) {
        network = choose<NetworkMode>("network", text,
                                      {{"auto", NetworkMode::automatic},
                                       {"private", NetworkMode::isolated},
                                       {"host", NetworkMode::host}});
    };
    with["--offset"] = [&](const auto& text) {
        config.offset = detail::parse_number<int>("--offset", text);
    };
    with["--timeout-scale"] = detail::set_timeout_scale;
    with["--json"] = [&](const auto& text) { reports.json = text; };
    with["--html"] = [&](const auto& text) { reports.html = text; };
    with["--junit"] = [&](const auto& text) { junit = text; };
    auto& without = all.without;
    without["--offer-no-auth"] = [&] { socks5.offer_no_authentication = true; };
    without["--by-name"] = [&] { tool.by_name = true; };
    without["--keep"] = [&] { config.keep = true; };
    without["--verbose"] = [&] { config.verbose = true; };
    for (const auto* const option :
         {"--list", "--list-pairs", "--list-traits", "--help", "--version"}) {
        without[option] = [&, option] { list = option; };
    }
    return all;
}

/// What belongs to one handshake only is refused with another one.
inline void set_protocol(Request& request) {
    auto& [config, tool, socks5, http, handshake, user_option, network, reports, junit, list] =
        request;
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

/// Of the command line without the program's name. Throws InvalidConfig.
inline Request read_arguments(const std::vector<std::string>& arguments) {
    Request request;
    const auto options = options_for(request);
    auto next = arguments.begin();
    while (next != arguments.end() && next->starts_with("-") && *next != "--") {
        auto option = *next++;
        std::optional<std::string> value;
        if (const auto equals = option.find('='); equals != std::string::npos) {
            value = option.substr(equals + 1);
            option.resize(equals);
        }
        const auto plain = options.without.find(option);
        const auto with = options.with_value.find(option);
        if (plain != options.without.end()) {
            if (value) {
                throw InvalidConfig{fmt::format("{} takes no value", option)};
            }
            plain->second();
        } else if (with == options.with_value.end()) {
            std::vector<std::string> names;
            names.reserve(options.with_value.size() + options.without.size());
            for (const auto& [name, act] : options.with_value) {
                names.push_back(name);
            }
            for (const auto& [name, act] : options.without) {
                names.push_back(name);
            }
            throw InvalidConfig{
                fmt::format("'{}' is no option{}", option, detail::suggestion(option, names))};
        } else if (!value && (next == arguments.end() || *next == "--")) {
            throw InvalidConfig{fmt::format("{} takes a value", option)};
        } else {
            with->second(value ? *value : *next++);
        }
    }
    if (next != arguments.end() && *next == "--") {
        ++next;
    }
    request.tool.command.assign(next, arguments.end());
    set_protocol(request);
    return request;
}

} // namespace check_command
