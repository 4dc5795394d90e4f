#pragma once

namespace test_tunnel {

/// What a tool is declared to do or not to do, where correct tools differ.
struct Traits {
    /// It makes its outgoing connections from the address that the pair assigns to it
    /// (`svc_listen.clients[0]`). Where it can't, declare false: the address is then reported
    /// instead of demanded.
    bool binds_source = true;
};

} // namespace test_tunnel
