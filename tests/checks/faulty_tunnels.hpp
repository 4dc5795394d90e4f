#pragma once

// Which of the faulty tunnels has a mode, for `detection`.

#include <test_tunnel/run/tunnel.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "declarations.hpp"
#include "support/faulty_tunnel.hpp"

#if DETECTION_HAS_TLS
#include "support/faulty_tls_tunnel.hpp"
#endif

constexpr bool can_have_tls = DETECTION_HAS_TLS;

/// Whether it is a mode of the one that speaks TLS.
inline bool is_tls(std::string_view mode) {
    return mode.starts_with("tls");
}

/// What is declared of it.
inline test_tunnel::Traits declared_for(std::string_view behaviour, std::string_view declaration) {
    auto traits = traits_of(declaration);
    if (behaviour == "wrong-source") {
        traits.binds_source = false; // demanded unless it is declared
    }
    if (behaviour == "association-one-at-a-time") {
        traits.concurrent = false; // of two associations, the second would wait for ever
    }
    if (behaviour == "association-ends-silent") {
        traits.flow_timeout = traits.idle_timeout = std::chrono::milliseconds{2500};
    }
    return traits;
}

/// The test of it.
inline std::unique_ptr<test_tunnel::TestTunnel> make_tunnel(test_tunnel::ConfigProg config,
                                                            const std::string& behaviour,
                                                            const std::string& mode,
                                                            test_tunnel::Traits traits) {
#if DETECTION_HAS_TLS
    if (is_tls(mode)) {
        return std::make_unique<support::FaultyTlsTunnel>(std::move(config), behaviour, mode,
                                                          std::move(traits));
    }
#endif
    return std::make_unique<support::FaultyTunnel>(std::move(config), behaviour, mode,
                                                   std::move(traits));
}
