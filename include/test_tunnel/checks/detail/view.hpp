#pragma once

// For checks that can be done from either side: who acts is `near`, who sees it is `far`.

#include "test_tunnel/config/per_direction.hpp"
#include "test_tunnel/net/socket.hpp"
#include "test_tunnel/report/report.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// A connection as the side sees it that acts first. Refers to the connection, which must outlive
/// it and stay where it is.
struct View {
    /// The end of the side that acts.
    Socket& near;
    /// The end of the other side.
    Socket& far;
    /// The direction from `near` to `far`, for texts: "client → server".
    const char* forth;
    /// The direction from `far` to `near`.
    const char* back;
    /// The side that acts.
    Party here;
    /// The other side.
    Party there;
    /// The side that acts, for texts: "client".
    const char* self;
    /// The other side, for texts: "server".
    const char* other;
};

/// Returns the view of `here`, the client or the server, on a connection.
inline View view_from(Party here, Connection& connection) {
    auto& [client, server] = connection;
    constexpr auto client_name = text_of(Party::client);
    constexpr auto server_name = text_of(Party::server);
    return here == Party::client ? View{client,        server,        PairRun::up, PairRun::down,
                                        Party::client, Party::server, client_name, server_name}
                                 : View{server,        client,        PairRun::down, PairRun::up,
                                        Party::server, Party::client, server_name,   client_name};
}

/// Returns the direction in which this side, the client or the server, writes.
constexpr Direction direction_of(Party side) {
    return side == Party::client ? Direction::up : Direction::down;
}

/// Returns the direction in which the side that acts first writes.
inline Direction direction_of(const View& view) {
    return direction_of(view.here);
}

} // namespace test_tunnel::check
