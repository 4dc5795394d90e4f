#pragma once

#include <csignal>
#include <vector>

namespace test_tunnel {

/// What a tool is declared to do or not to do, where correct tools differ.
struct Traits {
    /// It makes its outgoing connections from the address that the pair assigns to it
    /// (`svc_listen.clients[0]`). Where it can't, declare false: the address is then reported
    /// instead of demanded.
    bool binds_source = true;

    /// With which statuses it may exit after SIGTERM; to die of SIGTERM is always fine. Any other
    /// status is reported, and a signal that tells of a crash is a failure.
    std::vector<int> exit_statuses = {0, SIGTERM, 128 + SIGTERM};
};

} // namespace test_tunnel
