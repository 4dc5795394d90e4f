#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "../report.hpp"
#include "../server.hpp"
#include "fmt.hpp"

namespace test_tunnel::detail {

/// What a failure looks like to somebody who has seen many; empty where it tells nothing.
inline std::string guess_of(const Pair& pair, const CheckResult& failed, const Server* server) {
    const auto contains = [](const std::string& text, std::string_view part) {
        return text.find(part) != std::string::npos;
    };
    std::string output;
    if (server != nullptr) {
        for (const auto& process : server->processes()) {
            if (!process.left_behind().empty() && !process.was_told_to_end()) {
                return fmt::format(
                    "{} went into the background; most tools have an option against that",
                    process.name());
            }
            output += process.err() + process.out();
        }
    }
    constexpr std::array<std::pair<std::string_view, std::string_view>, 5> complaints{{
        {"Address already in use", "the port is already in use by another process"},
        {"Cannot assign requested address", "the tool was told an address that it can't bind"},
        {"Permission denied", "the tool may not open something: a file, or a port below 1024"},
        {"No such file or directory", "the tool misses a file"},
        {"error while loading shared libraries", "the tool misses a library"},
    }};
    const bool started = failed.step != "connect";
    for (const auto& [complaint, meaning] : complaints) {
        if (!started && contains(output, complaint)) {
            return std::string{meaning};
        }
    }
    const auto& [proxy_listen, svc_listen] = pair;
    if (failed.step == "source") {
        const auto from = [&](const Address& address) {
            return contains(failed.actual + ":", address.bracketed() + ":");
        };
        if (from(svc_listen.address)) {
            return "it did not bind its outgoing side at all: this is what the system chooses";
        }
        if (from(proxy_listen.address)) {
            return "it bound its outgoing side to the address on which it listens";
        }
    }
    if (failed.step == "accept" && contains(failed.actual, "nothing for ")) {
        return "the tool took the connection, but never connected onwards";
    }
    if (failed.step == "handshake" && contains(failed.actual, "nothing for ")) {
        return "each of the two may be waiting for the other to speak";
    }
    if (failed.step == "end of stream" && contains(failed.actual, "nothing for ")) {
        return "the tool does not pass the end of a stream on";
    }
    return {};
}

} // namespace test_tunnel::detail
