#pragma once

#include <algorithm>
#include <array>
#include <csignal>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/number.hpp"
#include "test_tunnel/base/detail/suggestion.hpp"
#include "test_tunnel/base/error.hpp"

namespace test_tunnel {

/// Returns the number of the signal that `text` names: "HUP", "SIGHUP" or a number, for one that
/// tells a process to do something. Throws InvalidConfig for what names none, and for a signal that
/// ends or stops a process.
inline int signal_number(std::string_view text) {
    constexpr std::array<std::pair<std::string_view, int>, 9> known{{{"HUP", SIGHUP},
                                                                     {"INT", SIGINT},
                                                                     {"QUIT", SIGQUIT},
                                                                     {"USR1", SIGUSR1},
                                                                     {"USR2", SIGUSR2},
                                                                     {"ALRM", SIGALRM},
                                                                     {"PIPE", SIGPIPE},
                                                                     {"CHLD", SIGCHLD},
                                                                     {"WINCH", SIGWINCH}}};
    constexpr std::array<std::pair<std::string_view, int>, 3> ending{
        {{"TERM", SIGTERM}, {"KILL", SIGKILL}, {"STOP", SIGSTOP}}};
    const auto name = text.starts_with("SIG") ? text.substr(3) : text;
    const auto number = detail::read_number<int>(text);
    const auto is_meant = [&](const auto& entry) {
        return entry.first == name || entry.second == number;
    };
    if (std::any_of(ending.begin(), ending.end(), is_meant)) {
        throw InvalidConfig{
            fmt::format("the signal {} ends or stops a process: no tool reloads by it", text)};
    }
    constexpr int most = NSIG - 1;
    if (number && *number >= 1 && *number <= most) {
        return *number;
    }
    const auto* const found = std::find_if(known.begin(), known.end(), is_meant);
    if (found != known.end()) {
        return found->second;
    }
    std::vector<std::string> names;
    names.reserve(known.size());
    for (const auto& [each, value] : known) {
        names.emplace_back(each);
    }
    throw InvalidConfig{fmt::format("'{}' is no signal, by name or number{}", text,
                                    detail::suggestion(name, names))};
}

} // namespace test_tunnel
