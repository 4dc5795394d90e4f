#pragma once

// What --help prints.

#include <string>
#include <string_view>
#include <vector>

#include "options.hpp"

namespace check_command {

/// One line for an option, or more where its help is longer.
inline std::string usage_of(const Option& option) {
    constexpr std::size_t width = 100;
    constexpr std::size_t indent = 28;
    auto line = fmt::format("  {}{}{}", option.name, option.value.empty() ? "" : " ", option.value);
    std::string result;
    if (line.size() + 2 > indent) {
        result = line + '\n';
        line.clear();
    }
    line.resize(indent, ' ');
    bool is_first = true;
    for (std::string_view rest = option.help; !rest.empty();) {
        const auto word = rest.substr(0, rest.find(' '));
        rest.remove_prefix(std::min(word.size() + 1, rest.size()));
        if (!is_first && line.size() + 1 + word.size() > width) {
            result += line + '\n';
            line.assign(indent, ' ');
            is_first = true;
        }
        line += fmt::format("{}{}", is_first ? "" : " ", word);
        is_first = false;
    }
    return result + line + '\n';
}

inline std::string usage() {
    std::string text{R"(usage: check_command [OPTION…] -- COMMAND [ARGUMENT…]

Starts the tool, connects through it on every combination of address families that this machine
has, checks that it does what a tunnel must do, and stops it.
)"};
    const auto add = [&](std::string_view title, const std::vector<Option>& options) {
        text += fmt::format("\n{}\n", title);
        for (const auto& option : options) {
            text += usage_of(option);
        }
    };
    add("What the tool is", tool_options());
    add("How it is tested, and what is written", test_options());
    add("What is listed, with nothing tested", list_options());
    return text + R"(
Placeholders in COMMAND, in companions, in what is awaited of them, in templates and in --env
  {listen.address} {listen.bracketed} {listen.port} {listen.endpoint} {listen.family}
                            where the tool shall listen: ::1, [::1], 6374, [::1]:6374, 6
  {target.…}                where it shall connect
  {target.name}             a name for {target.address}; at --level strict, its addresses change
  {source.…}                the address that it shall connect from, and a free port, of the target's
                            family. Where {source.address}, {source.bracketed} or {source.endpoint}
                            is used, the tool has to connect from there, unless --trait
                            binds_source=false is given; where none is, it may connect from anywhere
  {client.address} {client.bracketed} {client.family}
                            where its clients connect from, each time from another port
  {inner.…} {inner2.…}      two more endpoints, where halves of the tool can meet, or where it can
                            listen for other purposes: the address of {source.…}, whatever the family
                            of {listen.…}, each with a port that is free; see --await
  {listen.4=TEXT} {listen.6=TEXT}
                            TEXT where {listen.family} is 4, or 6, and nothing else; so for target,
                            source, client and inner. TEXT may have placeholders. A word of which
                            nothing remains is left out: {listen.6=-6}
  {upstream.…} {upstream.user} {upstream.password}
                            with --upstream: where the proxy is that the tool is the client of, and
                            whom it demands
  {pid}                     in --reload-command and --reload-successor: the tool's process
  {config} {dir}            the first --config file; the directory of these files, made anew each time
                            the tool is started
  {tls.pem} {tls.certificate} {tls.key} {tls.authority}
                            files in PEM, made for each run: a key with its certificate for the name
                            proxy.test, either of them, and the certificate of the authority
  {tls.clients} {tls.client.pem} {tls.client.certificate} {tls.client.key}
                            the certificate of the authority that signs those of clients, and such a
                            certificate, for a tool that shows one
  All other braces stay as they are; {{word} is {word}.

Exit status: 0 passed, 1 failed, 2 wrong usage or set-up, 77 skipped: the tool is not installed, this
machine has no addresses, or no private network where one is asked for.
)";
}

} // namespace check_command
