#pragma once

#include <string>
#include <string_view>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/error.hpp"

namespace test_tunnel {

/// Moves this process into a network namespace of its own, where no port is taken, no other process
/// is met, no packet leaves, and IPv6 is there: `lo` is up and has, besides 127.0.0.1 and ::1,
/// 192.0.2.1, 192.0.2.2, 2001:db8::1 and 2001:db8::2. Processes started from now on share it.
///
/// Where the system allows that too, the addresses have names (`names_of`), in a /etc/hosts that
/// only this process and those it starts see: in a mount namespace of their own, in which all else
/// is as before.
///
/// Takes the right to do so (root has it) or, without that, an unprivileged user namespace, in
/// which the caller's user and group are mapped to themselves and to nobody else: a tool that is
/// started as root and drops its privileges needs the real root.
///
/// Throws PrivateNetworkUnavailable, having changed nothing, where the system does not allow it,
/// where it is not Linux, or where this process has more than one thread.
void enter_private_network();

/// The network in which a test runs.
enum class NetworkMode {
    /// A private network where the system allows it, else the host's.
    automatic,
    /// A private network, or an error.
    isolated,
    /// The network in which the process is.
    host
};

/// Reads "auto", "private" or "host". Throws InvalidConfig for anything else.
NetworkMode parse_network_mode(std::string_view text);

/// Reads the environment variable `TEST_TUNNEL_NETWORK`; `automatic` where it is not set. Throws
/// InvalidConfig.
NetworkMode network_mode_from_environment();

/// Enters the network that `mode` asks for and says which one it is, in words for a log. Throws
/// PrivateNetworkUnavailable where `mode` insists on a private one.
std::string enter_network(NetworkMode mode);

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/private_network/detail/private_network.ipp" // IWYU pragma: export
#endif
