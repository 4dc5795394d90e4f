// Targets that are known by a name: when it is looked up, and which of its addresses are tried.

#pragma once

#include <netdb.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "behaviours.hpp"
#include "sockets.hpp"

/// The name by which the client of this thread has asked for its target; empty where it has not.
inline thread_local std::string asked_name;

/// The addresses of a name, in the resolver's order.
inline std::vector<Endpoint> look_up(const std::string& name, int family, std::uint16_t port) {
    addrinfo hints{};
    hints.ai_family = family;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = is("knows-no-names") ? AI_NUMERICHOST : 0;
    addrinfo* found = nullptr;
    std::vector<Endpoint> result;
    if (name.find('\0') != std::string::npos ||
        ::getaddrinfo(name.c_str(), nullptr, &hints, &found) != 0) {
        return result;
    }
    for (const auto* entry = found; entry != nullptr; entry = entry->ai_next) {
        Endpoint each;
        std::memcpy(&each.storage, entry->ai_addr, entry->ai_addrlen);
        each.length = entry->ai_addrlen;
        each.set_port(port);
        result.push_back(each);
    }
    ::freeaddrinfo(found);
    return result;
}

/// What was looked up, as long as that is believed.
class NameMemory {
public:
    std::vector<Endpoint> addresses_of(const std::string& name, const Endpoint& like,
                                       std::chrono::milliseconds believed_for) {
        const std::lock_guard lock{mutex_};
        if (addresses_.empty() || name != name_ || Clock::now() - since_ >= believed_for) {
            addresses_ = look_up(name, like.family(), like.port());
            name_ = name;
            since_ = Clock::now();
        }
        return addresses_;
    }

    void forget() {
        const std::lock_guard lock{mutex_};
        addresses_.clear();
    }

private:
    std::mutex mutex_;
    std::string name_;
    std::vector<Endpoint> addresses_;
    Clock::time_point since_;
};

inline std::array<NameMemory, 2> name_memories;

/// Where it connects that knows its target by `name`: `like` has the family and the port.
inline std::vector<Endpoint> addresses_to_try(const std::string& name, const Endpoint& like) {
    static std::atomic<unsigned> clients = 0;
    const auto number = clients++;
    auto believed_for = 0ms;
    if (is("looks-up-once") || is("looks-up-when-refused") ||
        (is("keeps-old-in-one-memory") && number % 2 == 1)) {
        believed_for = 1h;
    }
    if (is("caches-name")) {
        believed_for = 1s;
    }
    const bool is_second = is("keeps-old-in-one-memory") && number % 2 == 1;
    auto result = name_memories.at(is_second ? 1 : 0).addresses_of(name, like, believed_for);
    static const auto first_seen = result;
    if (is("refuses-renamed") && !result.empty() && !first_seen.empty() &&
        result[0].packed() != first_seen[0].packed()) {
        return {};
    }
    if (is("tries-in-any-order") || is("tries-one-by-lot")) {
        // Of seeds that follow each other, this generator makes numbers that don't.
        std::mt19937 random{number + static_cast<unsigned>(::getpid())};
        std::shuffle(result.begin(), result.end(), random);
    }
    if ((is("tries-first-only") || is("tries-one-by-lot")) && result.size() > 1) {
        result.resize(1);
    }
    return result;
}
