#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/detail/unique_fd.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel {

/// A name in a private network (`enter_private_network`) whose addresses can be changed, for a tool
/// that is told a name, or asked by one. No other process has it as long as this object lives.
class HostName {
public:
    /// Takes one that stands for no address yet. Nothing where there is none: on the host's
    /// network, where a private one could mount no hosts file, where the system's resolver does not
    /// read it, and where all are taken, which are a few dozen.
    [[nodiscard]] static std::optional<HostName> take();

    /// The name, such as "host-01.moving.test-tunnel.test".
    [[nodiscard]] const std::string& text() const noexcept { return text_; }

    /// Whether it can stand for this address: whether the private network had it from the start.
    [[nodiscard]] bool can_be(const Address& address) const;

    /// Has it stand for these addresses, for whoever asks from now on, and at no time for none. A
    /// tool may remember what it was told before. In which order the system's resolver tells them,
    /// it decides itself. Throws NoAddresses, having changed nothing, for one that it can't be,
    /// SystemError.
    void resolve_to(const std::vector<Address>& addresses);

    /// For which addresses it stands.
    [[nodiscard]] const std::vector<Address>& addresses() const noexcept { return addresses_; }

private:
    HostName(detail::UniqueFd file, std::string text)
        : file_{std::move(file)}, text_{std::move(text)} {}

    /// Has the lock by which the name is taken.
    detail::UniqueFd file_;
    std::string text_;
    std::vector<Address> addresses_;
};

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/private_network/detail/host_name.ipp" // IWYU pragma: export
#endif
