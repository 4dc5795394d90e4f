#pragma once

// Runs of a faulty tunnel, and what comes of them.

#include <test_tunnel/run/tunnel.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "faulty_tunnel.hpp"
#include "quiet_config.hpp"

namespace support {

/// For a tool that fails by not doing something.
inline test_tunnel::ConfigProg impatient_config() {
    auto config = quiet_config(test_tunnel::Level::hello);
    config.timeouts.connect = std::chrono::milliseconds{300};
    config.timeouts.io = std::chrono::milliseconds{300};
    config.timeouts.stop = std::chrono::milliseconds{300};
    config.timeouts.linger = std::chrono::milliseconds{300};
    return config;
}

/// Runs the tool on one pair and returns the check that has failed.
inline test_tunnel::CheckResult result_of(FaultyTunnel& tunnel) {
    const auto result = tunnel.run_pair(any_pair(tunnel.config()));
    const auto failed = std::find_if(result.checks.begin(), result.checks.end(),
                                     [](const test_tunnel::CheckResult& check) {
                                         return check.outcome == test_tunnel::Outcome::failed;
                                     });
    REQUIRE(failed != result.checks.end());
    return *failed;
}

inline std::vector<std::string> notes_of(const test_tunnel::PairResult& result) {
    std::vector<std::string> texts;
    for (const auto& check : result.checks) {
        for (const auto& note : check.notes) {
            texts.push_back(note.text);
        }
    }
    return texts;
}

/// The texts of its notes, a line each.
inline std::string notes_of(const test_tunnel::CheckResult& result) {
    std::string text;
    for (const auto& note : result.notes) {
        text += (text.empty() ? "" : "\n") + note.text;
    }
    return text;
}

/// One check of one tool on the first pair, at this level.
inline test_tunnel::CheckResult run_check(const std::string& check, test_tunnel::Level level,
                                          const std::string& behaviour, const std::string& mode,
                                          const test_tunnel::Traits& traits) {
    auto config = quiet_config(level);
    config.only = {check};
    config.timeouts.io = std::chrono::seconds{2}; // what is waited for in vain, by some of them
    FaultyTunnel tunnel{config, behaviour, mode, traits};
    return tunnel.run_pair(any_pair(config)).checks.at(0);
}

/// A correct tunnel whose handshake is replaced.
class HookedTunnel : public FaultyTunnel {
public:
    explicit HookedTunnel(std::function<void(test_tunnel::Socket&)> hook)
        : FaultyTunnel{impatient_config(), "none"}, hook_{std::move(hook)} {}

    std::optional<test_tunnel::Endpoint> handshake(
        test_tunnel::Socket& client, const test_tunnel::AddrPort& /*svc_listen*/) override {
        hook_(client);
        return std::nullopt;
    }

private:
    std::function<void(test_tunnel::Socket&)> hook_;
};

} // namespace support
