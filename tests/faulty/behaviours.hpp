// Every way in which faulty_tunnel can behave, declared in a table a subject and nowhere else.

#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <string_view>

#include "behaviour.hpp"
#include "behaviours_associate.hpp"
#include "behaviours_connection.hpp"
#include "behaviours_datagram.hpp"
#include "behaviours_proxy.hpp"
#include "behaviours_requests.hpp"
#include "behaviours_tls.hpp"
#include "behaviours_upstream.hpp"

inline constexpr auto behaviours =
    joined(connection_behaviours, request_behaviours, upstream_behaviours, proxy_behaviours,
           associate_behaviours, datagram_behaviours, tls_behaviours);

/// A behaviour by its name: one that is not declared above does not compile.
class Name {
public:
    // NOLINTNEXTLINE(google-explicit-constructor): so that a plain string will do
    consteval Name(const char* name) {
        const std::string_view wanted{name};
        while (behaviours.at(index_).name != wanted) {
            ++index_; // a name that is not there ends in an exception, which can't be compiled
        }
    }

    [[nodiscard]] constexpr std::size_t index() const { return index_; }

private:
    std::size_t index_ = 0;
};

/// Set once, before there is a second thread.
inline std::size_t chosen_behaviour = 0;

inline bool is(Name name) {
    return name.index() == chosen_behaviour;
}

inline bool has_mode(const Behaviour& behaviour, std::string_view mode) {
    for (auto modes = behaviour.modes; !modes.empty();) {
        const auto end = std::min(modes.find(','), modes.size());
        if (modes.substr(0, end) == mode) {
            return true;
        }
        modes.remove_prefix(std::min(end + 1, modes.size()));
    }
    return false;
}

/// Whether a behaviour of this name can be had in this mode; it is chosen by that.
inline bool choose(std::string_view name, std::string_view mode) {
    for (std::size_t index = 0; index < behaviours.size(); ++index) {
        const auto& behaviour = behaviours.at(index);
        if (behaviour.name == name) {
            chosen_behaviour = index;
            return has_mode(behaviour, mode) || name == "none"; // that can be had in any
        }
    }
    return false;
}

inline void list_behaviours() {
    const auto print = [](std::string_view text, char separator) {
        std::fwrite(text.data(), 1, text.size(), stdout);
        std::putchar(separator);
    };
    for (const auto& behaviour : behaviours) {
        print(behaviour.name, '\t');
        print(behaviour.kind, '\t');
        print(behaviour.modes, '\t');
        print(behaviour.check, '\t');
        print(behaviour.description, '\n');
    }
}
