#pragma once

// What can be known to be wrong with a command before anything is started.

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/discovery/ports.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/process/detail/copy_tree.hpp"
#include "test_tunnel/run/command_tunnel.hpp"
#include "test_tunnel/run/detail/parse_endpoint.hpp"
#include "test_tunnel/run/placeholders.hpp"

namespace test_tunnel {

namespace detail {

/// Some addresses and ports, to see whether a text can be rendered.
inline AddrPort any_entry(const char* address) {
    AddrPort result;
    result.address = Address::parse(address);
    result.svc_port = 1;
    result.proxy_port = 1;
    result.clients.push_back(result.address);
    return result;
}

} // namespace detail

TEST_TUNNEL_INLINE void CommandTunnel::validate() const {
    if (options_.by_name && std::holds_alternative<std::monostate>(options_.protocol)) {
        throw InvalidConfig{
            "a tool can be asked by name only in a handshake: SOCKS5, SOCKS4 or HTTP CONNECT"};
    }
    for (const auto& command : all_commands()) {
        // Never taken for a tool that is not installed: a variable of a script was not set.
        if (command.empty() || command.front().empty()) {
            throw InvalidConfig{"a command without a program starts nothing"};
        }
    }
    for (const auto& [name, value] : options_.environment) {
        if (name.empty() || name.find_first_of(std::string_view{"=\0", 2}) != std::string::npos) {
            throw InvalidConfig{fmt::format("'{}' is no name of a variable", name)};
        }
    }
    validate_files();
    validate_reload();
    for (const auto* const address : {"127.0.0.1", "::1"}) { // a text may be for one family only
        auto any = detail::any_entry(address);
        if (!std::holds_alternative<std::monostate>(options_.upstream)) {
            any.upstream = any.listen();
        }
        auto values = placeholders_of(any, any);
        set_upstream_user(values);
        values.set(std::string{name_placeholder}, "name");
        set_paths(values, "/dir");
        values.set("inner", any.listen());
        values.set("inner2", any.listen());
        validate_placeholders(values);
        validate_readiness(values);
    }
}

TEST_TUNNEL_INLINE void CommandTunnel::validate_reload() const {
    const int ways = (options_.reload_signal ? 1 : 0) + (options_.reload_command.empty() ? 0 : 1) +
                     (options_.reload_successor.empty() ? 0 : 1);
    if (ways > 1) {
        throw InvalidConfig{
            "a tool reloads in one way: by a signal, by a command, or by a successor"};
    }
    if (options_.broken_config && (ways == 0 || config_files().empty())) {
        throw InvalidConfig{
            "a broken configuration is for a tool that reads a configuration file, and reloads"};
    }
}

TEST_TUNNEL_INLINE void CommandTunnel::validate_files() const {
    std::vector<std::string> names;
    const auto add = [&](std::string name) {
        if (std::find(names.begin(), names.end(), name) != names.end()) {
            throw InvalidConfig{fmt::format("two files can't both be {{dir}}/{}", name)};
        }
        names.push_back(std::move(name));
    };
    for (const auto& file : options_.files) {
        add(file.name);
    }
    for (const auto& path : options_.copies) {
        struct stat info {};
        if (::stat(path.c_str(), &info) == -1) {
            throw InvalidConfig{SystemError{fmt::format("copy '{}'", path), errno}.what()};
        }
        const std::string name{detail::last_name(path)};
        if ((!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) || name.empty() || name == "." ||
            name == "..") {
            throw InvalidConfig{
                fmt::format("copy '{}': it is no file or directory with a name", path)};
        }
        add(name);
    }
    const auto uses_config = [](const Command& command) {
        return std::any_of(command.begin(), command.end(), [](const std::string& word) {
            return detail::has_placeholder(word, "config");
        });
    };
    const auto configs = config_files();
    if (configs.empty() && uses("config")) {
        throw InvalidConfig{"{config} is used, but there is no configuration file"};
    }
    if (configs.size() > 1 && uses_config(options_.command) &&
        std::any_of(options_.companions.begin(), options_.companions.end(), uses_config)) {
        throw InvalidConfig{
            fmt::format("{{config}} is {{dir}}/{} in all command lines; a companion that is to "
                        "read another file is given {{dir}}/{}",
                        configs[0], configs[1])};
    }
}

TEST_TUNNEL_INLINE void CommandTunnel::validate_placeholders(const Placeholders& values) const {
    const auto render = [&](std::string_view where, std::string_view text) {
        try {
            static_cast<void>(values.render(text));
        } catch (const InvalidConfig& error) {
            throw InvalidConfig{fmt::format("{}: {}", where, error.what())};
        }
    };
    auto reload_values = values;
    reload_values.set("pid", "1");
    if (options_.broken_config) {
        render("the broken configuration", *options_.broken_config);
    }
    for (const auto& command : {options_.reload_command, options_.reload_successor}) {
        for (const auto& word : command) {
            static_cast<void>(reload_values.render(std::string_view{word}));
        }
    }
    auto commands = options_.companions;
    commands.push_back(options_.command);
    for (const auto& command : commands) {
        const auto words = values.render(command);
        if (words.empty() || words.front() != values.render(std::string_view{command.front()})) {
            throw InvalidConfig{fmt::format("'{}' starts nothing where the family is another one",
                                            command.front())};
        }
    }
    for (const auto& file : options_.files) {
        render(file.name, file.text);
    }
    for (const auto& [name, value] : options_.environment) {
        render(name, value);
    }
}

TEST_TUNNEL_INLINE void CommandTunnel::validate_readiness(const Placeholders& values) const {
    for (const auto& [companion, sign, text] : options_.readiness) {
        if (companion >= options_.companions.size()) {
            throw InvalidConfig{
                fmt::format("'{}' is awaited of a companion that there is not: "
                            "number {} of {}",
                            text, companion + 1, options_.companions.size())};
        }
        const auto rendered = values.render(std::string_view{text});
        if (sign == Readiness::Sign::output && rendered.empty()) {
            throw InvalidConfig{"an empty text can't be awaited of a companion"};
        }
        if (sign == Readiness::Sign::tcp || sign == Readiness::Sign::udp) {
            static_cast<void>(detail::parse_endpoint(rendered));
        }
    }
}

} // namespace test_tunnel
