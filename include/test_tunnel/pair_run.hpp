#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "discovery/pairs.hpp"
#include "server.hpp"
#include "socket.hpp"

namespace test_tunnel {

/// Both ends of one connection through the tunnel.
struct Connection {
    /// The client's end, after the handshake.
    Socket client;
    /// The end that the tool made to the harness's server.
    Socket server;
};

/// What the steps of one pair share.
struct PairRun {
    const Pair& pair;
    /// Listens at `pair.svc_listen.listen()` since before the tool was started.
    Socket& listener;
    /// The tool.
    Server& server;
    /// What goes into the report beside the results.
    std::vector<std::string>& notes;
    /// How many connections have been made to the tool.
    int connections = 0;
    /// The inode of the tool's end of its last connection to the server; 0 where it is not known.
    std::uint64_t tool_socket = 0;
};

} // namespace test_tunnel
