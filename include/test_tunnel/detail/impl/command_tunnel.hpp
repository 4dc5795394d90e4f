#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "../../command_tunnel.hpp"
#include "../../error.hpp"
#include "../../handshakes/proxy_protocol.hpp"
#include "../../names.hpp"
#include "../../placeholders.hpp"
#include "../../process.hpp"
#include "../../server.hpp"
#include "../../temp_dir.hpp"
#include "../inline.hpp"

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
    if (!speaks_of("{source.") && options_.traits.binds_source == true) {
        options_.traits.binds_source = false; // it was not told from where to connect
    }
    if (options_.name.empty()) {
        const auto& program = options_.command.front();
        options_.name = program.substr(program.rfind('/') + 1);
    }
    validate();
    if (options_.by_name) { // which one, a started tool is told
        protocol_ = detail::with_name(options_.protocol, "");
    }
}

/// Every placeholder is looked at before anything is started.
TEST_TUNNEL_INLINE void CommandTunnel::validate() const {
    if (options_.by_name && std::holds_alternative<std::monostate>(options_.protocol)) {
        throw InvalidConfig{
            "a tool can be asked by name only in a handshake: SOCKS5, SOCKS4 or HTTP CONNECT"};
    }
    AddrPort any;
    any.clients.emplace_back();
    auto values = placeholders_of(any, any);
    values.set("config", "");
    values.set("dir", "");
    auto commands = options_.companions;
    commands.push_back(options_.command);
    for (const auto& command : commands) {
        // Never taken for a tool that is not installed: a variable of a script was not set.
        if (command.empty() || command.front().empty()) {
            throw InvalidConfig{"a command without a program starts nothing"};
        }
        for (const auto& word : command) {
            static_cast<void>(values.render(word));
            if (options_.files.empty() && word.find("{config}") != std::string::npos) {
                throw InvalidConfig{fmt::format("'{}': there is no configuration file", word)};
            }
        }
    }
    std::vector<std::string> names;
    names.reserve(options_.files.size());
    for (const auto& [name, text] : options_.files) {
        if (std::find(names.begin(), names.end(), name) != names.end()) {
            throw InvalidConfig{fmt::format("two files can't both be {{dir}}/{}", name)};
        }
        names.push_back(name);
        try {
            static_cast<void>(values.render(text));
        } catch (const InvalidConfig& error) {
            throw InvalidConfig{fmt::format("{}: {}", name, error.what())};
        }
    }
}

TEST_TUNNEL_INLINE bool CommandTunnel::speaks_of(std::string_view text) const {
    const auto in_word = [&](const std::string& word) {
        return word.find(text) != std::string::npos;
    };
    const auto in_command = [&](const Command& command) {
        return std::any_of(command.begin(), command.end(), in_word);
    };
    return in_command(options_.command) ||
           std::any_of(options_.companions.begin(), options_.companions.end(), in_command) ||
           std::any_of(options_.files.begin(), options_.files.end(),
                       [&](const FileTemplate& file) { return in_word(file.text); });
}

TEST_TUNNEL_INLINE Server CommandTunnel::spawn_server(const AddrPort& proxy_listen,
                                                      const AddrPort& svc_listen) {
    if (options_.by_name) {
        const auto& target = svc_listen.address;
        const auto name = name_of(target);
        if (!name) {
            throw NoAddresses{
                fmt::format("{} has no name by which a tool could be asked for it; "
                            "in a private network it would have one",
                            target)};
        }
        protocol_ = detail::with_name(options_.protocol, *name);
    }
    auto values = placeholders_of(proxy_listen, svc_listen);
    std::optional<TempDir> files;
    if (!options_.files.empty() || speaks_of("{dir}")) {
        files.emplace(TempDirOptions{.readable_by = options_.readable_by});
        values.set("dir", files->path());
    }
    if (!options_.files.empty()) {
        values.set("config", fmt::format("{}/{}", files->path(), options_.files.front().name));
    }
    for (const auto& [name, text] : options_.files) {
        files->write(name, values.render(text));
    }
    const auto start = [&](const Command& command) {
        std::vector<std::string> argv;
        argv.reserve(command.size());
        for (const auto& word : command) {
            argv.push_back(values.render(word));
        }
        return spawn(std::move(argv));
    };
    std::optional<Server> server;
    const auto add = [&](Process process) {
        if (server) {
            server->add(std::move(process));
        } else {
            server.emplace(std::move(process));
        }
    };
    for (const auto& command : options_.companions) {
        add(start(command));
    }
    if (server && speaks_of("{inner.")) {
        server->await_listening(svc_listen.client(), config().timeouts.start);
    }
    add(start(options_.command));
    if (files) {
        server->add(std::move(*files));
    }
    return std::move(*server);
}

TEST_TUNNEL_INLINE void CommandTunnel::open_client(Socket& client) {
    if (options_.client_header) {
        write_proxy_header(client, {.version = *options_.client_header,
                                    .source = client.local(),
                                    .destination = client.peer()});
    }
}

TEST_TUNNEL_INLINE std::optional<Endpoint> CommandTunnel::open_server(Socket& server) {
    if (!options_.server_header) {
        return std::nullopt;
    }
    return read_proxied_client(server, *options_.server_header);
}

} // namespace test_tunnel
