#pragma once

// The tunnel of both recipes: README.md's.

#include <test_tunnel/test_tunnel.hpp>

#include <optional>
#include <string>

struct Socat : test_tunnel::TestTunnel {
    using TestTunnel::TestTunnel;

    std::string slug() const override { return "socat"; }

    test_tunnel::Server spawn_server(const test_tunnel::AddrPort& here,
                                     const test_tunnel::AddrPort& there) override {
        return spawn({config().prog,
                      fmt::format("TCP{}-LISTEN:{},bind={},fork,reuseaddr", here.family_id(),
                                  here.svc_port, here.address.bracketed()),
                      fmt::format("TCP{}:{},bind={}", there.family_id(), there.listen(),
                                  there.client().address.bracketed())});
    }
};
