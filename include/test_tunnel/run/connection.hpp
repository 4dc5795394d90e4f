#pragma once

#include "test_tunnel/net/socket.hpp"

namespace test_tunnel {

/// Both ends of one connection through the tunnel.
struct Connection {
    /// The client's end, after the handshake.
    Socket client;
    /// The end that the tool made to the harness's server.
    Socket server;
};

} // namespace test_tunnel
