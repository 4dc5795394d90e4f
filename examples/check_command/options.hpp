#pragma once

// The command line: each option stands in one place, with its name, its help and what it does.

#include <test_tunnel/base/environment.hpp>
#include <test_tunnel/config/trait_names.hpp>
#include <test_tunnel/config/trait_table.hpp>
#include <test_tunnel/process/signal_number.hpp>
#include <test_tunnel/run/command_line.hpp>
#include <test_tunnel/run/command_tunnel.hpp>

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <functional>
#include <ios>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocols.hpp"
#include "request.hpp"

namespace check_command {

using namespace test_tunnel;

/// The text of the file that an option names.
inline std::string read_file(std::string_view option, const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    std::string text;
    try {
        text.assign(std::istreambuf_iterator<char>{file}, {});
    } catch (const std::ios_base::failure&) { // a directory
        file.setstate(std::ios::failbit);
    }
    if (!file) {
        throw InvalidConfig{fmt::format("{} {}: it can't be read", option, path)};
    }
    return text;
}

inline void add_trait(Request& request, const std::string& text) {
    std::vector<std::pair<std::string, bool>> names;
    for (auto& trait : trait_names()) {
        names.emplace_back(std::move(trait.name), true);
    }
    const auto name = text.substr(0, text.find('='));
    choose("trait", name, names);
    declare(request.tool.traits, text);
    request.declares_source = request.declares_source || name == trait::binds_source.name;
}

/// "output:TEXT", "tcp:ENDPOINT", "udp:ENDPOINT" or "none", of the last companion.
inline void add_readiness(Request& request, const std::string& text) {
    using Sign = Readiness::Sign;
    auto& tool = request.tool;
    if (tool.companions.empty()) {
        throw InvalidConfig{fmt::format(
            "--await {}: it stands behind the --companion of which it is awaited", text)};
    }
    const auto colon = text.find(':');
    const auto sign = choose<Sign>(
        "sign of a companion", text.substr(0, colon),
        {{"output", Sign::output}, {"tcp", Sign::tcp}, {"udp", Sign::udp}, {"none", Sign::none}});
    const auto rest = colon == std::string::npos ? "" : text.substr(colon + 1);
    if (rest.empty() != (sign == Sign::none)) {
        throw InvalidConfig{fmt::format(
            "--await takes output:TEXT, tcp:ENDPOINT, udp:ENDPOINT or none, not '{}'", text)};
    }
    tool.readiness.push_back({tool.companions.size() - 1, sign, rest});
}

inline void add_reload_signal(Request& request, const std::string& text) {
    try {
        request.tool.reload_signal = signal_number(text);
    } catch (const InvalidConfig& error) {
        throw InvalidConfig{fmt::format("--reload {}: {}", text, error.what())};
    }
}

inline void add_variable(Environment& environment, const std::string& text) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
        throw InvalidConfig{fmt::format("--env takes NAME=VALUE, not '{}'", text)};
    }
    const auto name = text.substr(0, equals);
    if (!environment.emplace(name, text.substr(equals + 1)).second) {
        throw InvalidConfig{fmt::format("--env {}: {} has a value already", text, name)};
    }
}

inline void add_header(Request& request, const std::string& text) {
    const auto colon = text.find(':');
    if (colon == std::string::npos) {
        throw InvalidConfig{fmt::format("--header takes 'Name: value', not '{}'", text)};
    }
    const auto value = std::min(text.find_first_not_of(' ', colon + 1), text.size());
    request.http.headers.emplace_back(text.substr(0, colon), text.substr(value));
}

struct Option {
    std::string name;
    std::string value; // empty: it takes none
    std::string help;
    std::function<void(Request&, const std::string&)> set;
};

/// What the tool is.
inline std::vector<Option> tool_options() {
    return {
        {"--companion", "COMMAND",
         "one word, with quotes as for a shell: the half of the tool that is started first; may be "
         "given more than once, each is started in turn",
         [](auto& request, const auto& text) {
             request.tool.companions.push_back(split_command(text));
         }},
        {"--await", "SIGN",
         "when the companion before it is ready, and what comes next is started: output:TEXT, it "
         "has written that; tcp:ENDPOINT, it listens there; udp:ENDPOINT; or none. May be given "
         "more than once. Without any: where {inner.port} or {inner.endpoint} is used, the tool is "
         "started when a companion listens there for TCP connections; so for {inner2.…}",
         add_readiness},
        {"--config", "FILE",
         "a template, which is written to {dir}/FILE with its placeholders replaced, anew each "
         "time "
         "the tool is started; may be given more than once. {config} is the path of the first one, "
         "in the words of companions, too",
         [](auto& request, const auto& path) {
             request.tool.files.push_back(
                 {path.substr(path.rfind('/') + 1), read_file("--config", path)});
         }},
        {"--copy", "PATH",
         "a file or a directory, which is copied as it is to {dir}/NAME, with the name that it "
         "has, "
         "anew each time the tool is started; may be given more than once",
         [](auto& request, const auto& text) { request.tool.copies.push_back(text); }},
        {"--reload", "SIGNAL",
         "the signal on which the tool reloads its configuration, such as HUP; then life.reload, "
         "at "
         "the level strict, demands that it does so without losing anybody",
         add_reload_signal},
        {"--reload-command", "COMMAND",
         "one word, as for --companion: what has the tool reload, and ends with status 0. {pid} is "
         "the tool's process",
         [](auto& request, const auto& text) {
             request.tool.reload_command = split_command(text);
         }},
        {"--reload-successor", "COMMAND",
         "one word, as for --companion: what takes the tool's place, stays in the foreground, and "
         "has the process {pid} end with its last connection: 'haproxy -db -f {config} -sf {pid}'",
         [](auto& request, const auto& text) {
             request.tool.reload_successor = split_command(text);
         }},
        {"--broken-config", "FILE",
         "a template that takes the place of the first --config while the tool is told to reload "
         "once more: for a tool that looks at its configuration before it takes it, and must go on "
         "with the one that it has (life.broken_reload, at the level strict)",
         [](auto& request, const auto& path) {
             request.tool.broken_config = read_file("--broken-config", path);
         }},
        {"--env", "NAME=VALUE",
         "a variable in the environment of the tool and its companions; placeholders in the value "
         "are replaced. May be given more than once",
         [](auto& request, const auto& text) { add_variable(request.tool.environment, text); }},
        {"--readable-by", "USER",
         "who has to read these files: the user that a tool becomes which is started as root",
         [](auto& request, const auto& text) { request.tool.readable_by = text; }},
        {"--name", "NAME", "the tool's name in reports (default: the program's)",
         [](auto& request, const auto& text) { request.tool.name = text; }},
        {"--tool-version", "VERSION", "the tool's version in reports",
         [](auto& request, const auto& text) { request.tool.version = text; }},
        {"--handshake", "HANDSHAKE",
         "none (the default), socks5, socks4 or http-connect. For a tool that expects a PROXY "
         "header: "
         "proxy-v1 or proxy-v2, by itself or before one of these (--handshake proxy-v2 "
         "--handshake socks5)",
         add_handshake},
        {"--transport", "TRANSPORT", "what the tool carries: tcp (the default), udp, or tcp,udp",
         [](auto& request, const auto& text) {
             request.tool.transports =
                 choose<Transports>("transport", text,
                                    {{"tcp", {.tcp = true}},
                                     {"udp", {.udp = true}},
                                     {"tcp,udp", {.tcp = true, .udp = true}}});
         }},
        {"--user", "USER", "for the handshake, with --password; for socks4, which has none, alone",
         [](auto& request, const auto& text) {
             request.socks5.user = text;
             request.user_option = "--user";
         }},
        {"--password", "PASSWORD", "for the handshake, with --user",
         [](auto& request, const auto& text) {
             request.socks5.password = text;
             request.user_option = "--password";
         }},
        {"--offer-no-auth", "", "SOCKS5: offers no authentication beside user and password",
         [](auto& request, const auto& /*text*/) {
             request.socks5.offer_no_authentication = true;
         }},
        {"--http-version", "VERSION", "1.1 (the default) or 1.0",
         [](auto& request, const auto& text) {
             request.http.version = choose<HttpVersion>(
                 "version of HTTP", text,
                 {{"1.1", HttpVersion::http_1_1}, {"1.0", HttpVersion::http_1_0}});
         }},
        {"--header", "'NAME: VALUE'", "HTTP: a further field; may be given more than once",
         add_header},
        {"--by-name", "", "asks for the server by name and not by address",
         [](auto& request, const auto& /*text*/) { request.tool.by_name = true; }},
        {"--upstream", "HANDSHAKE",
         "the tool is itself the client of a proxy: socks5, socks4, socks4a or http-connect. It is "
         "told "
         "by {upstream.endpoint}, or {upstream.address} and {upstream.port}, where that is, and "
         "must ask it for {target.endpoint}; nothing may go past it",
         [](auto& request, const auto& text) {
             choose<int>("handshake with an upstream proxy", text,
                         {{"socks5", 0}, {"socks4", 0}, {"socks4a", 0}, {"http-connect", 0}});
             request.upstream = text;
         }},
        {"--upstream-user", "USER", "whom the upstream proxy demands: {upstream.user}",
         [](auto& request, const auto& text) { request.upstream_user = text; }},
        {"--upstream-password", "PASSWORD", "the password of that user: {upstream.password}",
         [](auto& request, const auto& text) { request.upstream_password = text; }},
        {"--upstream-family", "FAMILY",
         "4 or 6: the family of the upstream proxy's address (default: that of {target.address})",
         [](auto& request, const auto& text) {
             request.tool.upstream_family =
                 choose<Family>("family", text, {{"4", Family::ipv4}, {"6", Family::ipv6}});
         }},
        {"--server-header", "HEADER",
         "what the tool sends to the server first: none (the default), proxy-v1 or proxy-v2",
         [](auto& request, const auto& text) {
             request.tool.server_header =
                 choose<std::optional<ProxyVersion>>("header that a tool sends", text,
                                                     {{"none", std::nullopt},
                                                      {"proxy-v1", ProxyVersion::v1},
                                                      {"proxy-v2", ProxyVersion::v2}});
         }},
        {"--client-tls", "",
         "the client speaks TLS with the tool, behind a PROXY header and before the handshake; the "
         "tool shows {tls.certificate}, for the name proxy.test, which the client asks for",
         [](auto& request, const auto& /*text*/) { request.tls.client = true; }},
        {"--server-tls", "",
         "the tool speaks TLS with the server, behind a PROXY header; the server shows "
         "{tls.certificate}, which {tls.authority} has signed",
         [](auto& request, const auto& /*text*/) { request.tls.server = true; }},
        {"--passed-tls", "",
         "the tool passes TLS on, and only looks at the client's hello, for the name proxy.test, "
         "by which it chooses where to connect: each client begins with such a hello, which must "
         "come to the server as it is, like all that follows",
         [](auto& request, const auto& /*text*/) { request.tls.passed = true; }},
        {"--client-certificate", "",
         "the client, too, shows a certificate, which {tls.clients} has signed, and the tool must "
         "refuse clients that have no such one",
         [](auto& request, const auto& /*text*/) { request.tls.client_certificate = true; }},
        {"--client-name", "",
         "the tool must also refuse clients whose certificate is not for the name client.test",
         [](auto& request, const auto& /*text*/) { request.tls.client_name = true; }},
        {"--tool-certificate", "",
         "the tool shows the server {tls.client.pem}, and the server demands that",
         [](auto& request, const auto& /*text*/) { request.tls.tool_certificate = true; }},
        {"--tls-version", "VERSION", "1.2 or 1.3 only (default: both)",
         [](auto& request, const auto& text) {
             request.tls.version =
                 choose<std::string>("version of TLS", text, {{"1.2", "1.2"}, {"1.3", "1.3"}});
         }},
        {"--omits-close-notify", "",
         "the tool ends connections without the close_notify of TLS, as many do",
         [](auto& request, const auto& /*text*/) { request.tls.omits_close_notify = true; }},
        {"--trait", "NAME=VALUE",
         "what the tool does its own way (see --list-traits); may be given more than once",
         add_trait}};
}

/// How it is tested, and which reports are written.
inline std::vector<Option> test_options() {
    std::vector<Option> result;
    for (const auto& option : run_options()) {
        std::string value{option.value};
        std::transform(value.begin(), value.end(), value.begin(), [](char letter) {
            const bool is_small = letter >= 'a' && letter <= 'z';
            return is_small ? static_cast<char>(letter - 'a' + 'A') : letter;
        });
        result.push_back(
            {option.name, value,
             fmt::format("{}{}", option.help,
                         option.may_repeat ? "; may be given more than once" : ""),
             [set = option.set](auto& request, const auto& text) { set(request.run, text); }});
    }
    return result;
}

/// What is listed, with nothing tested.
inline std::vector<Option> list_options() {
    std::vector<Option> result{{"--list", "", "lists the checks", {}},
                               {"--list-pairs", "", "lists the pairs that this machine has", {}},
                               {"--list-traits", "", "lists what can be declared", {}},
                               {"--help", "", "prints this", {}},
                               {"--version", "", "prints the version of the library", {}}};
    for (auto& option : result) {
        option.set = [name = option.name](auto& request, const auto& /*text*/) {
            request.list = name;
        };
    }
    return result;
}

/// Reads the command line, which is without the program's name. Throws InvalidConfig.
inline Request read_arguments(const std::vector<std::string>& arguments) {
    std::vector<std::pair<std::string, Option>> options;
    for (const auto& some : {list_options(), tool_options(), test_options()}) {
        for (const auto& option : some) {
            options.emplace_back(option.name, option);
        }
    }
    Request request;
    auto next = arguments.begin();
    while (next != arguments.end() && next->starts_with("-") && *next != "--") {
        auto name = *next++;
        std::optional<std::string> value;
        if (const auto equals = name.find('='); equals != std::string::npos) {
            value = name.substr(equals + 1);
            name.resize(equals);
        }
        const auto option = choose("option", name, options);
        const bool takes_value = !option.value.empty();
        if (value && !takes_value) {
            throw InvalidConfig{fmt::format("{} takes no value", name)};
        }
        if (!value && takes_value) {
            if (next == arguments.end() || *next == "--") {
                throw InvalidConfig{fmt::format("{} takes a value", name)};
            }
            value = *next++;
        }
        option.set(request, value.value_or(""));
    }
    if (next != arguments.end() && *next == "--") {
        ++next;
    }
    request.tool.command.assign(next, arguments.end());
    set_protocol(request);
    set_upstream(request);
    return request;
}

} // namespace check_command
