#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/detail/unique_fd.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/net/layer.hpp"
#include "test_tunnel/net/supervisor.hpp"
#include "test_tunnel/net/wait.hpp"

namespace test_tunnel {

/// A TCP socket, move-only. It is used as a blocking one, but no call waits longer than its timeout
/// without progress (default 10 s): then it throws TimedOut. Every call that waits also does what
/// all waits do on the side (wait.hpp).
///
/// Where the socket looks after a tool (`supervise`), as those that the library hands to the hooks
/// do, every call that has to wait throws ToolEnded as soon as the tool has ended. A failed system
/// call throws SystemError, whose `code()` is its errno: ECONNRESET, for one.
class Socket {
public:
    /// Makes a socket that is neither bound nor connected.
    explicit Socket(Family family, Duration timeout = Timeouts{}.io);

    /// Sets how long a call may wait without any progress.
    void set_timeout(Duration timeout) { timeout_ = timeout; }

    /// Sets who looks after the tool while a call waits; nobody does once the supervisor is
    /// destroyed.
    void supervise(std::weak_ptr<Supervisor> supervisor) { supervisor_ = std::move(supervisor); }

    /// Returns the descriptor, still owned by the socket; -1 after `close`. Where there is a layer,
    /// whether the descriptor can be read says nothing: `event` is made for that.
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

    /// Has all that is read and written from now on go through `layer`. What the layer has written
    /// to shake hands counts as one byte in `written`. Throws InvalidConfig where there is a layer
    /// already.
    void set_layer(std::unique_ptr<Layer> layer);

    /// Returns the layer; null where there is none.
    [[nodiscard]] const Layer* layer() const noexcept { return layer_.get(); }

    /// Has the layer use new keys from now on (`Layer::renew_keys`). Returns whether it does: not
    /// where there is no layer.
    bool renew_keys(bool asks) { return layer_ && layer_->renew_keys(asks); }
    /// Returns how often the other side has used new keys so far (`Layer::renewals`).
    [[nodiscard]] std::uint64_t renewals() const noexcept {
        return layer_ ? layer_->renewals() : 0;
    }

    /// Returns what `wait_for` takes to wait for this socket, alone or together with others;
    /// `events` is POLLIN, POLLOUT, or both.
    [[nodiscard]] SocketEvent event(short events) const noexcept {
        return {.fd = fd(), .layer = layer_.get(), .events = events};
    }

    /// Returns this end's endpoint.
    [[nodiscard]] Endpoint local() const;

    /// Returns the other end's endpoint, as it was when the connection was made.
    [[nodiscard]] Endpoint peer() const;

    /// Whether a connection that was made is no longer there, since one of the ends has reset it.
    [[nodiscard]] bool is_reset() const noexcept;

    /// Binds with address reuse on. Throws SystemError.
    void bind(const Endpoint& endpoint);

    /// Takes connections from now on: they succeed even before `accept` is called.
    void listen(int backlog = SOMAXCONN);

    /// Waits for a connection and returns it; it has this socket's timeout and supervisor.
    [[nodiscard]] Socket accept();

    /// Returns the connection that is there already, if there is one; does not wait.
    [[nodiscard]] std::optional<Socket> try_accept();

    /// Connects, and waits until the connection is made. Returns false where the other side
    /// refuses; the socket can't be used any more then.
    [[nodiscard]] bool try_connect(const Endpoint& endpoint);

    /// Connects, and waits until the connection is made. Throws SystemError also where the other
    /// side refuses.
    void connect(const Endpoint& endpoint);

    /// Waits for data and stores at most `size` bytes of it. Returns how many; 0 at the end of the
    /// stream.
    [[nodiscard]] std::size_t read_some(char* buffer, std::size_t size);

    /// Stores at most `size` bytes of what has arrived, without waiting. Returns how many; 0 at the
    /// end of the stream, nothing where nothing has arrived.
    [[nodiscard]] std::optional<std::size_t> try_read(char* buffer, std::size_t size);

    /// Reads exactly `size` bytes, however they are cut up. Throws Unexpected where the stream
    /// ends before.
    [[nodiscard]] std::string read(std::size_t size);

    /// Demands the end of the stream: throws Unexpected where there is another byte, or where the
    /// connection was reset.
    void read_end();

    /// Returns how many bytes can be read without waiting.
    [[nodiscard]] std::size_t pending() const;

    /// Whether any data has arrived since the connection was made, read or not; nothing where the
    /// system can't tell. Where there is a layer, what belongs to the layer itself does not count.
    [[nodiscard]] std::optional<bool> has_received() const;

    /// Writes all of it; waits while the other side takes nothing.
    void write(std::string_view data);

    /// Writes as much of it as is taken without waiting; returns how much that was.
    [[nodiscard]] std::size_t try_write(std::string_view data);

    /// Whether a layer could not yet send all that it has taken: the next write will, and so does
    /// whoever waits for an event of this socket.
    [[nodiscard]] bool has_unsent() const noexcept { return layer_ && layer_->has_unsent(); }

    /// Returns how many bytes have been written so far.
    [[nodiscard]] std::uint64_t written() const noexcept { return written_; }

    /// Sets how much may arrive before it is read (SO_RCVBUF). To be called before the connection
    /// is made.
    void set_receive_buffer(std::size_t size);

    /// Limits how much of what is written waits in this end's system (SO_SNDBUF). Throws
    /// SystemError.
    void set_send_buffer(std::size_t size);

    /// Returns how much may arrive before it is read (SO_RCVBUF); Linux doubles what was set.
    /// Throws SystemError.
    [[nodiscard]] std::size_t receive_buffer() const;

    /// Has the system acknowledge what has arrived at once, not a little later together with what
    /// comes then (TCP_QUICKACK, until the system thinks otherwise). Does nothing on other systems
    /// than Linux.
    void acknowledge_now() const noexcept;

    /// Has the system acknowledge what arrives a little later, together with what comes then
    /// (TCP_QUICKACK off, until the system thinks otherwise). Does nothing on other systems than
    /// Linux. Throws SystemError.
    void acknowledge_later() const;

    /// Has the system hold back what is written, so that it goes in one segment with what is
    /// written next, until `send_held_back`; not for longer than 200 ms (TCP_CORK). Does nothing on
    /// other systems than Linux.
    void hold_back() const noexcept;

    /// Has the system send what was held back, and hold back nothing from now on.
    void send_held_back() const noexcept;

    /// Ends this direction of the stream; the other one goes on.
    void shutdown_write();

    /// Ends TCP's direction (FIN) beneath a layer, which is not told: what it has still to say is
    /// never sent. Without a layer, that is `shutdown_write`.
    void shutdown_tcp();

    /// Ends the connection. Data that has arrived and was not read turns this into a reset: that
    /// is TCP's rule (RFC 9293 §3.6.1). A layer ends it in its own way first.
    void close() noexcept {
        layer_.reset();
        fd_.reset();
    }

    /// Ends the connection by a reset (RST): what is under way may be lost on both sides.
    void reset() noexcept;

private:
    Socket(detail::UniqueFd fd, const Endpoint& peer, const Socket& parent)
        : fd_{std::move(fd)},
          peer_{peer},
          timeout_{parent.timeout_},
          supervisor_{parent.supervisor_} {}

    void wait(short events, std::string_view awaited) const;
    [[nodiscard]] std::string name() const;

    detail::UniqueFd fd_;
    std::optional<Endpoint> peer_;
    Duration timeout_;
    std::weak_ptr<Supervisor> supervisor_;
    std::uint64_t written_ = 0;
    std::unique_ptr<Layer> layer_;
};

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/net/detail/socket.ipp" // IWYU pragma: export
#endif
