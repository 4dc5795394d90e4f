#pragma once

// How much the harness's own ends of a connection hold.

#include <cstddef>

#include "test_tunnel/net/socket.hpp"

namespace test_tunnel::check {

/// Limits what the harness's own end holds of what it has written: so the tool has taken most of
/// it, and a slow tool has not much left to do when the writer stops.
inline void limit_send_buffer(Socket& writer) {
    constexpr std::size_t size = 1U << 18U;
    writer.set_send_buffer(size);
}

/// Halves what may arrive before it is read, and keeps the system from raising that (tcp(7)). A
/// connection that is there already can't have less: its peer has been offered more, and would try
/// again by a timer only.
inline void limit_receive_buffer(Socket& reader) {
    reader.set_receive_buffer(reader.receive_buffer() / 4); // Linux doubles it
}

} // namespace test_tunnel::check
