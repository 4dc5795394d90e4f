#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/detail/unique_fd.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/net/supervisor.hpp"
#include "test_tunnel/net/wait.hpp"

namespace test_tunnel {

/// The most bytes that one UDP datagram carries over IPv4 (65507) or over IPv6 without jumbograms
/// (65527): 65535 less the headers that count.
constexpr std::size_t largest_datagram(Family family) {
    constexpr std::size_t over_ipv4 = 65507;
    constexpr std::size_t over_ipv6 = 65527;
    return family == Family::ipv4 ? over_ipv4 : over_ipv6;
}

/// One UDP datagram that has arrived.
struct Datagram {
    /// Its bytes; may be empty. As far as the caller has asked for where it was truncated.
    std::string data;
    /// Who has sent it.
    Endpoint from;
    /// To which address and port it was sent; nothing where the system can't tell.
    std::optional<Endpoint> to{};
    /// Whether there was more of it than the caller has asked for.
    bool truncated = false;
    /// At which endpoint the client is that has said it, where something that came before its bytes
    /// has told that (`TestTunnel::open_datagram`).
    std::optional<Endpoint> told{};
};

/// An error that the system has told about a datagram which was sent before, mostly by ICMP.
struct DatagramError {
    /// The errno that it stands for: ECONNREFUSED where nobody receives at the port.
    int code = 0;
    /// To whom the datagram was sent; nothing where the system can't tell.
    std::optional<Endpoint> target{};

    /// "Connection refused, of a datagram to 192.0.2.1:80"
    [[nodiscard]] std::string text() const;
};

/// A UDP socket, move-only. It is used as a blocking one, but no call waits longer than its timeout
/// (default 10 s): then it throws TimedOut. Every call that waits also does what all waits do on
/// the side (wait.hpp), and where the socket looks after a tool (`supervise`) it throws ToolEnded
/// as soon as the tool has ended.
///
/// Errors that come back by ICMP are kept apart (`take_errors`): they never fail a call that sends
/// or receives. Any other failed system call throws SystemError, whose `code()` is its errno:
/// EMSGSIZE for a datagram that is too large.
class DatagramSocket {
public:
    /// Makes a socket that is neither bound nor connected; one of IPv6 takes IPv6 only.
    explicit DatagramSocket(Family family, Duration timeout = Timeouts{}.io);

    /// Sets how long a call may wait.
    void set_timeout(Duration timeout) { timeout_ = timeout; }

    /// Sets who looks after the tool while a call waits; nobody does once the supervisor is
    /// destroyed.
    void supervise(std::weak_ptr<Supervisor> supervisor) { supervisor_ = std::move(supervisor); }

    /// Returns the descriptor, still owned by the socket; -1 after `close`.
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

    /// Returns what `wait_for` takes to wait for this socket, alone or together with others;
    /// `events` is POLLIN, POLLOUT, or both. POLLIN has happened, too, where an error is to be
    /// taken: `try_receive` then returns nothing.
    [[nodiscard]] SocketEvent event(short events) const noexcept {
        return {.fd = fd(), .layer = nullptr, .events = events};
    }

    /// Returns this end's endpoint.
    [[nodiscard]] Endpoint local() const;

    /// Binds, without address reuse: no other socket has this endpoint. Throws SystemError.
    void bind(const Endpoint& endpoint);

    /// From now on sends to `endpoint` where no other one is named, and receives only what comes
    /// from there. Throws SystemError.
    void connect(const Endpoint& endpoint);

    /// Sends one datagram to `target`; waits while the system takes none. Throws SystemError,
    /// TimedOut.
    void send(std::string_view data, const Endpoint& target);
    /// Sends one datagram to whom the socket is connected. Throws SystemError, TimedOut.
    void send(std::string_view data);
    /// Sends one datagram where the system takes it at once; returns whether it did. Throws
    /// SystemError.
    [[nodiscard]] bool try_send(std::string_view data, const Endpoint& target);

    /// Waits for a datagram, and returns it whole. Throws TimedOut.
    [[nodiscard]] Datagram receive();
    /// Waits until `deadline`, whatever the timeout, for a datagram, and returns it whole; nothing
    /// where none has come.
    [[nodiscard]] std::optional<Datagram> receive(Deadline deadline);
    /// Returns the datagram that has arrived, if there is one, and at most `size` bytes of it; the
    /// rest is lost. Does not wait.
    [[nodiscard]] std::optional<Datagram> try_receive(std::size_t size = whole);

    /// Returns the errors that have come back so far, and forgets them. Does not wait.
    [[nodiscard]] std::vector<DatagramError> take_errors();

    /// Returns the last error that has come back so far of a datagram to `target`, or of one whose
    /// target the system can't tell, and forgets all of these; nothing where there is none. Does
    /// not wait.
    [[nodiscard]] std::optional<DatagramError> take_error_of(const Endpoint& target);

    /// Returns how many datagrams the system has thrown away so far since this socket's buffer was
    /// full, as far as that is known: it is told with the next datagram that arrives. 0 on other
    /// systems than Linux.
    [[nodiscard]] std::uint32_t overflows() const noexcept { return overflows_; }

    /// Sets how much may arrive before it is received (SO_RCVBUF), as far as the system allows
    /// that. Throws SystemError.
    void set_receive_buffer(std::size_t size);

    /// Frees the port. What is sent there from now on is answered by ICMP: port unreachable.
    void close() noexcept { fd_.reset(); }

    /// No datagram has more bytes than this.
    static constexpr std::size_t whole = std::size_t{1} << 16U;

private:
    void wait(short events, std::string_view awaited) const;
    bool try_send(std::string_view data, const Endpoint* target);
    void send(std::string_view data, const Endpoint* target);
    void collect_errors();
    [[nodiscard]] std::string name() const;

    detail::UniqueFd fd_;
    Duration timeout_;
    std::weak_ptr<Supervisor> supervisor_;
    std::vector<DatagramError> errors_;
    std::uint32_t overflows_ = 0;
};

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/net/detail/datagram_socket.ipp" // IWYU pragma: export
#endif
