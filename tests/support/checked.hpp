#pragma once

// Tools with checks of the test's own.

#include <test_tunnel/run/check.hpp>
#include <test_tunnel/run/tunnel.hpp>

#include <string>
#include <utility>
#include <vector>

#include "faulty_tunnel.hpp"
#include "quiet_config.hpp"

namespace support {

using Ids = std::vector<std::string>;

inline Ids selected(const test_tunnel::Config& config) {
    Ids result;
    for (const auto& check : select(config, test_tunnel::checks())) {
        result.emplace_back(check.id);
    }
    return result;
}

inline Ids selected(test_tunnel::Level level) {
    auto config = quiet_config();
    config.level = level;
    return selected(config);
}

/// What the checks of these tests have to tell: they are plain functions.
inline std::vector<std::string> story;

/// A correct tool, or another one, with checks of one's own.
class Checked : public FaultyTunnel {
public:
    explicit Checked(std::vector<test_tunnel::Check> own, std::string behaviour = "none",
                     test_tunnel::ConfigProg config = quiet_config())
        : FaultyTunnel{std::move(config), std::move(behaviour)}, own_{std::move(own)} {
        story.clear();
    }

    std::vector<test_tunnel::Check> checks() const override { return own_; }

    test_tunnel::Server spawn_server(const test_tunnel::AddrPort& proxy_listen,
                                     const test_tunnel::AddrPort& svc_listen) override {
        started.push_back(proxy_listen.listen());
        return FaultyTunnel::spawn_server(proxy_listen, svc_listen);
    }

    /// Where its tools have listened.
    std::vector<test_tunnel::Endpoint> started;

private:
    std::vector<test_tunnel::Check> own_;
};

inline void fail(test_tunnel::PairRun& run) {
    auto connection = run.connect();
    story.emplace_back("fail");
    throw test_tunnel::Unexpected{"a success", "a failure"};
}

inline void pass(test_tunnel::PairRun& run) {
    auto connection = run.connect();
    run.round_trip(connection);
    story.emplace_back("pass");
}

inline test_tunnel::Check first() {
    return {
        .id = "first", .title = "the first one", .level = test_tunnel::Level::hello, .run = pass};
}

} // namespace support
