#pragma once

#include <optional>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/process/server.hpp"

namespace test_tunnel {

/// Returns whether one of the tool's processes takes the connections to `endpoint`, as far as the
/// system tells that without a connection. A process into which this user may not look counts as
/// the tool's. Nothing where the system can't tell (on all but Linux).
std::optional<bool> listens_at(const Server& tool, const Endpoint& endpoint);

/// Returns where the tool listens besides `wanted`, or instead. Empty where the system can't tell
/// (on all but Linux), and for a tool of several processes, which may listen for each other.
std::vector<Endpoint> listens_elsewhere(const Server& tool, const Endpoint& wanted);

/// Where the last of the tool's processes listens, as of now.
struct OwnListeners {
    /// All endpoints, in order; empty where there is none, and where the system can't tell.
    std::vector<Endpoint> endpoints{};
    /// Whether nothing of it is under way: it is one process, of which every thread waits for
    /// something.
    bool is_idle = false;
};

/// Returns where the process that was added last listens, with all that stem from it; companions,
/// which may listen for it, do not count.
OwnListeners own_listeners(const Server& tool);

/// Returns whether one of the tool's processes has a UDP socket that receives what is sent to
/// `endpoint`, as far as the system tells that without a datagram. A process into which this user
/// may not look counts as the tool's. Nothing where the system can't tell (on all but Linux).
std::optional<bool> receives_at(const Server& tool, const Endpoint& endpoint);

/// Returns where the tool takes datagrams from anybody besides `wanted`: by other ports than those
/// that the system gives to whoever just sends. Empty where the system can't tell (on all but
/// Linux), and for a tool of several processes, which may listen for each other.
std::vector<Endpoint> receives_elsewhere(const Server& tool, const Endpoint& wanted);

/// Throws Unexpected where a process that is not the tool's has the UDP port of `wanted`, and the
/// tool does not receive there itself, as far as the system tells.
void require_own_receiver(const Server& tool, const Endpoint& wanted);

/// Throws Unexpected where a process that is not the tool's listens at `wanted`, and the tool does
/// not listen there itself, as far as the system tells.
void require_own_listener(const Server& tool, const Endpoint& wanted);

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/process/detail/listening.ipp" // IWYU pragma: export
#endif
