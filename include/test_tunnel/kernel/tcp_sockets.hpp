#pragma once

// What only the system can tell of sockets: those of other processes, and what waits in them.
// It is found without making a connection. Only Linux answers; elsewhere all is unknown.

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/kernel/tcp_socket.hpp" // IWYU pragma: export
#include "test_tunnel/net/address.hpp"

namespace test_tunnel {

/// Returns all TCP sockets that listen in this network namespace; nothing where that is unknown.
std::optional<std::vector<TcpSocket>> listening_sockets();

/// Returns the numbers, as in `TcpSocket::inode`, of the UDP sockets that receive what is sent to
/// `endpoint`: they are bound there, or to that port of the wildcard address. Nothing where that is
/// unknown.
std::optional<std::vector<std::uint64_t>> udp_receivers(const Endpoint& endpoint);

/// Returns the end of a connection whose own endpoint is `local`; nothing where there is none, or
/// where that is unknown.
std::optional<TcpSocket> tcp_connection(const Endpoint& local, const Endpoint& remote);

/// Returns the socket that takes new connections to `endpoint`, which may listen at the wildcard
/// address; nothing where there is none, or where that is unknown.
std::optional<TcpSocket> tcp_listener(const Endpoint& endpoint);

/// Returns in which states the TCP sockets with these numbers are, as in `TcpSocket::inode`; others
/// are left out. Nothing where that is unknown, or would take milliseconds: outside a private
/// network, where all connections of the machine had to be looked through.
std::optional<TcpStates> tcp_states_of(std::vector<std::uint64_t> inodes);

/// Returns the other ends of those TCP and UDP sockets with these numbers, as in
/// `TcpSocket::inode`, that have one: of connections, made or being made, and of UDP sockets that
/// are connected. Nothing where that is unknown.
std::optional<std::vector<TcpSocket>> connected_sockets(const std::vector<std::uint64_t>& inodes);

/// Returns whether somebody waits for a connection to `target` to be accepted, which takes long
/// only where the queue of the listener is full. Nothing where that is unknown.
std::optional<bool> somebody_dials(const Endpoint& target);

/// Returns how many bytes wait at the end `local` of a connection until the process that owns it
/// reads them; nothing where there is no such connection, or where that is unknown.
std::optional<std::size_t> unread_bytes(const Endpoint& local, const Endpoint& remote);

/// Returns how much the owner of the end `local` of a connection still has to read, which is at
/// least 1 until it has read the end of the stream, whether that has arrived or is still to come.
/// Nothing where there is no such connection, or where that is unknown.
std::optional<std::size_t> unread_until_end(const Endpoint& local, const Endpoint& remote);

/// Returns whether a socket that listens at `listening` takes the connections to `wanted`: both are
/// the same, or it listens on that port of the wildcard address.
bool takes_connections(const Endpoint& listening, const Endpoint& wanted);

/// Who listens somewhere.
struct ListeningProcess {
    /// Its name and number, "sockd (process 1234)"; "somebody" where this user may not know.
    std::string name;
    /// Where it listens, which may be the wildcard address.
    Endpoint endpoint;
};

/// Returns a process that takes the connections to `endpoint`; nothing where there is none, or
/// where that is unknown.
std::optional<ListeningProcess> who_listens_at(const Endpoint& endpoint);

/// Returns the process that has the socket with this number; nothing where there is none, or where
/// this user may not know. Looks through all processes of the machine.
std::optional<pid_t> owner_of_socket(std::uint64_t inode);

/// Returns the numbers of all sockets of a process, as in `TcpSocket::inode`; nothing where this
/// user may not know.
std::optional<std::vector<std::uint64_t>> socket_inodes(pid_t pid);

/// Returns whether a process has a TCP socket in this network namespace, and false where this user
/// may not know; nothing where the system can't tell.
std::optional<bool> has_tcp_socket(pid_t pid);

/// Returns how many bytes the system itself may hold at most between two programs that share a
/// connection, in the buffers of both ends; nothing where that is unknown.
std::optional<std::uint64_t> largest_socket_buffers();

/// Returns whether this system drops a connection to a listener whose queue is full, so that it is
/// tried again a second later; elsewhere it may be refused.
bool full_queue_delays_connections() noexcept;

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/kernel/detail/tcp_sockets.ipp" // IWYU pragma: export
#endif
