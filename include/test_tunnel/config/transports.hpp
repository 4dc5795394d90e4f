#pragma once

namespace test_tunnel {

/// What a tool carries: `{.tcp = true, .udp = true}`.
struct Transports {
    /// Connections of TCP.
    bool tcp = false;
    /// Datagrams of UDP.
    bool udp = false;

    /// Whether all that `other` names is named here, too.
    [[nodiscard]] constexpr bool include(const Transports& other) const noexcept {
        return (tcp || !other.tcp) && (udp || !other.udp);
    }

    /// "tcp", "udp", "tcp,udp"; "none".
    [[nodiscard]] constexpr const char* text() const noexcept {
        return tcp && udp ? "tcp,udp" : tcp ? "tcp" : udp ? "udp" : "none";
    }

    friend bool operator==(const Transports&, const Transports&) = default;
};

} // namespace test_tunnel
