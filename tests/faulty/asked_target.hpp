// Where a client has asked to be connected, and where it is connected instead.

#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "behaviours.hpp"
#include "sockets.hpp"

/// What the client of this thread has asked for; nothing where it has not asked.
inline thread_local std::optional<Endpoint> asked_target;

/// How many connections to targets are open.
inline std::atomic<int> open_targets = 0;

/// Remembers where a client wants to be connected, by `host` as it has written that, or where
/// another one wanted to be; false: it is refused.
inline bool choose_target(const std::string& host, const Endpoint& wanted) {
    static std::mutex mutex;
    static std::optional<Endpoint> first;
    static std::optional<Endpoint> last;
    static std::map<std::string, Endpoint> by_host;
    const std::lock_guard lock{mutex};
    asked_target = wanted;
    const auto before = last.value_or(wanted);
    last = wanted;
    if (!first || (is("shares-target-while-open") && open_targets == 0)) {
        first = wanted;
    }
    const bool is_first = first->packed() == wanted.packed() && first->port() == wanted.port();
    const bool is_name = host.find_first_not_of("0123456789.:abcdefABCDEF") != std::string::npos;
    if (is("keeps-first-target") || is("shares-target-while-open")) {
        asked_target = first;
    } else if (is("connects-to-last-target")) {
        asked_target = before;
    } else if (is("keeps-target-by-address") || (is("keeps-target-by-name") && is_name)) {
        asked_target = by_host.emplace(host, wanted).first->second;
    } else if (is("keeps-address-by-port")) {
        asked_target = by_host.emplace(std::to_string(wanted.port()), wanted).first->second;
    } else if (is("refuses-second-target")) {
        return is_first;
    }
    return true;
}
