#pragma once

#include <test_tunnel/run/tunnel.hpp>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace support {

/// A tool that is any program, with no arguments that would make it a tunnel.
class AnyProgram : public test_tunnel::TestTunnel {
public:
    AnyProgram(test_tunnel::ConfigProg config, std::vector<std::string> argv)
        : TestTunnel{std::move(config)}, argv_{std::move(argv)} {}

    std::string slug() const override { return "any"; }
    test_tunnel::Server spawn_server(const test_tunnel::AddrPort& /*proxy*/,
                                     const test_tunnel::AddrPort& /*svc*/) override {
        return spawn(argv_);
    }
    std::optional<test_tunnel::Endpoint> handshake(test_tunnel::Socket& /*client*/,
                                                   const test_tunnel::AddrPort& /*svc*/) override {
        return std::nullopt;
    }

private:
    std::vector<std::string> argv_;
};

} // namespace support
