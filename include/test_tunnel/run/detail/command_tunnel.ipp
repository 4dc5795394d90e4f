#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <ios>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/discovery/detail/probing.hpp"
#include "test_tunnel/handshakes/proxy_protocol.hpp"
#include "test_tunnel/private_network/host_names.hpp"
#include "test_tunnel/process/find_program.hpp"
#include "test_tunnel/process/process.hpp"
#include "test_tunnel/process/server.hpp"
#include "test_tunnel/process/temp_dir.hpp"
#include "test_tunnel/run/command_tunnel.hpp"
#include "test_tunnel/run/detail/parse_endpoint.hpp"
#include "test_tunnel/run/detail/proxy_layer.hpp"
#include "test_tunnel/run/placeholders.hpp"

namespace test_tunnel {

TEST_TUNNEL_INLINE Command split_command(std::string_view line) {
    constexpr std::string_view blank = " \t\n";
    constexpr std::string_view escaped_in_double_quotes = "$`\"\\\n"; // POSIX, XCU §2.2.3
    Command words;
    bool in_word = false;
    char quote = '\0';
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char character = line[i];
        if (quote == '\0' && blank.find(character) != std::string_view::npos) {
            in_word = false;
            continue;
        }
        const auto next = line.substr(i + 1, 1);
        const bool escapes =
            character == '\\' &&
            (quote == '\0' ||
             (quote == '"' && escaped_in_double_quotes.find(next) != std::string_view::npos &&
              !next.empty()));
        if (escapes && next == "\n") {
            ++i; // the line goes on: both are as if they were not there
            continue;
        }
        if (!in_word) {
            words.emplace_back();
            in_word = true;
        }
        if (escapes) {
            if (next.empty()) {
                throw InvalidConfig{fmt::format("'{}' ends in a backslash", line)};
            }
            words.back() += line[++i];
        } else if (quote == '\0' && (character == '\'' || character == '"')) {
            quote = character;
        } else if (character == quote) {
            quote = '\0';
        } else {
            words.back() += character;
        }
    }
    if (quote != '\0') {
        throw InvalidConfig{fmt::format("'{}': the quote {} is not closed", line, quote)};
    }
    if (words.empty()) {
        throw InvalidConfig{"an empty command line starts nothing"};
    }
    return words;
}

TEST_TUNNEL_INLINE ConfigProg CommandTunnel::with_program(ConfigProg config,
                                                          const CommandOptions& options) {
    if (options.command.empty()) {
        throw InvalidConfig{"there is no command: nothing can be tested"};
    }
    config.prog = options.command.front();
    return config;
}

TEST_TUNNEL_INLINE CommandTunnel::CommandTunnel(ConfigProg config, CommandOptions options)
    : TestTunnel{with_program(std::move(config), options)},
      options_{std::move(options)},
      protocol_{options_.protocol} {
    if (options_.name.empty()) {
        const auto& program = options_.command.front();
        options_.name = program.substr(program.rfind('/') + 1);
    }
    validate();
    if (options_.by_name) { // which one, a started tool is told
        protocol_ = detail::with_name(options_.protocol, "");
    }
}

TEST_TUNNEL_INLINE void CommandTunnel::require_programs() const {
    auto environment = options_.environment;
    environment.insert(config().utf8_env.begin(), config().utf8_env.end());
    const auto path = environment.find("PATH");
    if (path != environment.end() && path->second.find('{') != std::string::npos) {
        return; // the tool's own files may be there, which are not yet
    }
    for (const auto& command : all_commands()) {
        if (command.front().find('{') == std::string::npos) {
            detail::find_program(command.front(), environment);
        }
    }
}

TEST_TUNNEL_INLINE std::vector<Command> CommandTunnel::all_commands() const {
    auto result = options_.companions;
    result.push_back(options_.command);
    for (const auto& command : {options_.reload_command, options_.reload_successor}) {
        if (!command.empty()) {
            result.push_back(command);
        }
    }
    return result;
}

TEST_TUNNEL_INLINE bool CommandTunnel::uses(std::string_view placeholder) const {
    const auto has = [&](std::string_view text) {
        return detail::has_placeholder(text, placeholder);
    };
    const auto commands = all_commands();
    return std::any_of(commands.begin(), commands.end(),
                       [&](const Command& command) {
                           return std::any_of(command.begin(), command.end(), has);
                       }) ||
           std::any_of(options_.files.begin(), options_.files.end(),
                       [&](const FileTemplate& file) { return has(file.text); }) ||
           std::any_of(options_.environment.begin(), options_.environment.end(),
                       [&](const auto& variable) { return has(variable.second); });
}

TEST_TUNNEL_INLINE bool CommandTunnel::is_told_source() const {
    return uses("source.address") || uses("source.bracketed") || uses("source.endpoint");
}

TEST_TUNNEL_INLINE bool CommandTunnel::is_told_port() const {
    return uses("listen.port") || uses("listen.endpoint");
}

TEST_TUNNEL_INLINE std::vector<std::uint16_t> CommandTunnel::other_ports() const {
    return {inner_.svc_port, inner_.proxy_port};
}

TEST_TUNNEL_INLINE Server CommandTunnel::spawn_server(const AddrPort& proxy_listen,
                                                      const AddrPort& svc_listen) {
    if (options_.by_name) {
        const auto& target = svc_listen.address;
        const auto name = host_name_of(target);
        if (!name) {
            throw NoAddresses{
                fmt::format("{} has no name by which a tool could be asked for it; "
                            "in a private network it would have one",
                            target)};
        }
        protocol_ = detail::with_name(options_.protocol, *name);
    }
    auto values = placeholders_of(proxy_listen, svc_listen);
    set_upstream_user(values);
    // Not the port of {source.…}, which the tool may bind, too.
    inner_ = detail::fresh_ports_at(config(), svc_listen, svc_listen.client().address);
    values.set("inner", inner_.listen());
    values.set("inner2", inner_.spare());
    if (uses(name_placeholder)) {
        values.set(std::string{name_placeholder}, target_name(svc_listen));
    }
    auto files = make_files(values);
    environment_ = options_.environment;
    for (auto& [name, value] : environment_) {
        value = values.render(std::string_view{value});
    }
    values_ = values;
    is_config_broken_ = false;
    const auto start = [&](const Command& command) {
        return spawn(values.render(command), environment_);
    };
    std::optional<Server> server;
    for (std::size_t i = 0; i < options_.companions.size(); ++i) {
        auto process = start(options_.companions[i]);
        if (server) {
            server->add(std::move(process));
        } else {
            server.emplace(std::move(process));
        }
        await_companion(*server, i, values);
    }
    if (server) {
        await_inner(*server);
        server->add(start(options_.command));
    } else {
        server.emplace(start(options_.command));
    }
    if (files) {
        server->add(std::move(*files));
    }
    return std::move(*server);
}

/// Sets what stands for the user and the password that the upstream proxy demands.
TEST_TUNNEL_INLINE void CommandTunnel::set_upstream_user(Placeholders& values) const {
    if (std::holds_alternative<std::monostate>(options_.upstream)) {
        return;
    }
    const auto wanted = detail::accept_options(options_.upstream, {});
    const auto set = [&](const char* name, const std::optional<std::string>& value) {
        if (value) {
            values.set(name, *value);
        } else {
            values.refuse(name, "the tool's upstream proxy demands none");
        }
    };
    set("upstream.user", wanted.user);
    set("upstream.password", wanted.password);
}

/// Writes the first configuration file anew, as it stands where the tool reads it: its owner and
/// its mode stay.
TEST_TUNNEL_INLINE void CommandTunnel::write_config(const std::string& text) const {
    const auto path = values_.render(std::string_view{"{config}"});
    std::ofstream file{path, std::ios::binary | std::ios::trunc};
    file << values_.render(std::string_view{text});
    if (!file.flush()) {
        throw SetupError{fmt::format("{} can't be written anew", path)};
    }
}

TEST_TUNNEL_INLINE bool CommandTunnel::reload_broken(Server& tool) {
    if (!options_.broken_config) {
        return false;
    }
    write_config(*options_.broken_config);
    is_config_broken_ = true;
    if (options_.reload_signal) {
        tool.signal(*options_.reload_signal);
        return true;
    }
    values_.set("pid", std::to_string(tool.processes().back().pid()));
    const auto& command =
        options_.reload_command.empty() ? options_.reload_successor : options_.reload_command;
    auto process = spawn(values_.render(command), environment_);
    if (!process.wait(Deadline::after(config().timeouts.start))) {
        throw Unexpected{
            "what has it reload ends, since the configuration is broken",
            fmt::format("it has not, for {}", text_of(scaled(config().timeouts.start))),
            Cause::timed_out};
    }
    return true;
}

TEST_TUNNEL_INLINE void CommandTunnel::reload(Server& tool) {
    if (std::exchange(is_config_broken_, false)) {
        const auto own =
            std::find_if(options_.files.begin(), options_.files.end(),
                         [](const FileTemplate& file) { return file.placeholder.empty(); });
        write_config(own->text);
    }
    values_.set("pid", std::to_string(tool.processes().back().pid()));
    if (options_.reload_signal) {
        tool.signal(*options_.reload_signal);
    } else if (!options_.reload_command.empty()) {
        tool.add_command(spawn(values_.render(options_.reload_command), environment_));
    } else if (!options_.reload_successor.empty()) {
        tool.hand_over_to(spawn(values_.render(options_.reload_successor), environment_));
    } else {
        TestTunnel::reload(tool);
    }
}

TEST_TUNNEL_INLINE std::optional<TempDir> CommandTunnel::make_files(Placeholders& values) const {
    if (options_.files.empty() && options_.copies.empty() && !uses("dir")) {
        return std::nullopt;
    }
    TempDir files{{.readable_by = options_.readable_by}};
    set_paths(values, files.path());
    for (const auto& path : options_.copies) {
        files.copy(path);
    }
    for (const auto& file : options_.files) {
        files.write(file.name, values.render(std::string_view{file.text}));
    }
    return files;
}

/// Sets what stands for the directory of the files, and for the files.
TEST_TUNNEL_INLINE void CommandTunnel::set_paths(Placeholders& values,
                                                 const std::string& directory) const {
    values.set("dir", directory);
    for (const auto& file : options_.files) {
        if (!file.placeholder.empty()) {
            values.set(file.placeholder, fmt::format("{}/{}", directory, file.name));
        }
    }
    if (const auto names = config_files(); !names.empty()) {
        values.set("config", fmt::format("{}/{}", directory, names.front()));
    }
}

/// Returns the names of the files that have no placeholder of their own.
TEST_TUNNEL_INLINE std::vector<std::string> CommandTunnel::config_files() const {
    std::vector<std::string> result;
    for (const auto& file : options_.files) {
        if (file.placeholder.empty()) {
            result.push_back(file.name);
        }
    }
    return result;
}

TEST_TUNNEL_INLINE void CommandTunnel::await_companion(Server& server, std::size_t companion,
                                                       const Placeholders& values) const {
    const auto timeout = config().timeouts.start;
    for (const auto& [awaited, sign, text] : options_.readiness) {
        if (awaited != companion) {
            continue;
        }
        const auto rendered = values.render(std::string_view{text});
        switch (sign) {
            case Readiness::Sign::output:
                server.await_output(rendered, timeout);
                break;
            case Readiness::Sign::tcp:
                server.await_listening(detail::parse_endpoint(rendered), timeout);
                break;
            case Readiness::Sign::udp:
                server.await_udp(detail::parse_endpoint(rendered), timeout);
                break;
            case Readiness::Sign::none:
                break;
        }
    }
}

/// Where nothing is said of what makes companions ready, they are when they listen where halves can
/// meet.
TEST_TUNNEL_INLINE void CommandTunnel::await_inner(Server& server) const {
    if (!options_.readiness.empty()) {
        return;
    }
    const auto await = [&](const std::string& name, const Endpoint& endpoint) {
        if (!uses(name + ".port") && !uses(name + ".endpoint")) {
            return;
        }
        try {
            server.await_listening(endpoint, config().timeouts.start);
        } catch (const TimedOut& error) {
            throw TimedOut{
                fmt::format("since {{{}.port}} or {{{}.endpoint}} is used, a companion "
                            "has to listen there for TCP, unless something else is "
                            "awaited of it: {}",
                            name, name, error.what())};
        }
    };
    await("inner", inner_.listen());
    await("inner2", inner_.spare());
}

TEST_TUNNEL_INLINE Flow CommandTunnel::open_flow(PairRun& run) {
    auto flow = TestTunnel::open_flow(run);
    if (options_.client_header && !flow.control) { // where there is one, that has the header
        if (*options_.client_header != ProxyVersion::v2) {
            throw InvalidConfig{"datagrams have a PROXY header of version 2, or none"};
        }
        flow.layer = std::make_shared<detail::ProxyFlowLayer>(flow.client.local(), flow.relay);
    }
    return flow;
}

TEST_TUNNEL_INLINE std::optional<Endpoint> CommandTunnel::open_datagram(std::string& payload) {
    if (!options_.server_header) {
        return std::nullopt;
    }
    auto read = read_proxy_datagram(payload);
    if (!read.source) {
        throw Unexpected{"a PROXY header that tells who has sent the datagram (§2.2)",
                         bytes_around(payload, detail::proxy_family)};
    }
    payload = std::move(read.data);
    return read.source;
}

} // namespace test_tunnel
