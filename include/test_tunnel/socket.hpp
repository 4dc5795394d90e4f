#pragma once

#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "address.hpp"
#include "config.hpp"
#include "deadline.hpp"
#include "detail/platform.hpp"
#include "detail/system.hpp"
#include "detail/text.hpp"
#include "detail/unique_fd.hpp"
#include "detail/wait_for_sockets.hpp"
#include "error.hpp"
#include "layer.hpp"
#include "watch.hpp"

namespace test_tunnel {

/// A TCP socket, move-only. It is used as a blocking one, but no call waits longer than its
/// timeout without progress (default 10 s): then it throws TimedOut.
///
/// Where the socket looks after a tool (`watch`), as those that the library hands to the hooks do,
/// every call that has to wait throws ToolEnded as soon as the tool has ended.
/// A failed system call throws SystemError, whose `code()` is its errno: ECONNRESET, for one.
class Socket {
public:
    /// A new socket that is neither bound nor connected.
    explicit Socket(Family family, Duration timeout = Timeouts{}.io);

    /// How long a call may wait without any progress.
    void set_timeout(Duration timeout) { timeout_ = timeout; }

    /// What to look after while a call waits; nothing, once it no longer exists.
    void watch(std::weak_ptr<Watch> watch) { watch_ = std::move(watch); }

    /// The descriptor, still owned by the socket; -1 after `close`. Where there is a layer, whether
    /// it can be read says nothing: `event` is made for that.
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

    /// From now on all that is read and written goes through `layer`, which counts as having
    /// written something. Throws InvalidConfig where there is a layer already.
    void set_layer(std::unique_ptr<Layer> layer);

    /// The layer, or nothing.
    [[nodiscard]] const Layer* layer() const noexcept { return layer_.get(); }

    /// To be waited for, together with those of others: POLLIN, POLLOUT.
    [[nodiscard]] detail::SocketEvent event(short events) const noexcept {
        return {.fd = fd(), .layer = layer_.get(), .events = events};
    }

    /// This end's endpoint.
    [[nodiscard]] Endpoint local() const;

    /// The other end's endpoint, as it was when the connection was made.
    [[nodiscard]] Endpoint peer() const;

    /// Whether the connection is no longer there, since one of the ends has reset it; for one that
    /// was made.
    [[nodiscard]] bool is_reset() const noexcept;

    /// Binds with address reuse on. Throws SystemError.
    void bind(const Endpoint& endpoint);

    /// Takes connections from now on: they succeed even before `accept` is called.
    void listen(int backlog = SOMAXCONN);

    /// Waits for a connection, which gets this socket's timeout and watch.
    [[nodiscard]] Socket accept();

    /// The connection that is there already, if there is one; does not wait.
    [[nodiscard]] std::optional<Socket> try_accept();

    /// Connects. False where the other side refuses; the socket can't be used any more then.
    [[nodiscard]] bool try_connect(const Endpoint& endpoint);

    /// The same, but being refused is a SystemError too.
    void connect(const Endpoint& endpoint);

    /// Waits for data and stores at most `size` bytes of it; 0 means end of stream.
    [[nodiscard]] std::size_t read_some(char* buffer, std::size_t size);

    /// The same without waiting: nothing where nothing has arrived.
    [[nodiscard]] std::optional<std::size_t> try_read(char* buffer, std::size_t size);

    /// Reads exactly `size` bytes, however they are cut up. Throws Unexpected where the stream
    /// ends before.
    [[nodiscard]] std::string read(std::size_t size);

    /// Demands the end of the stream: throws Unexpected where there is another byte, or where the
    /// connection was reset.
    void read_end();

    /// How many bytes can be read without waiting.
    [[nodiscard]] std::size_t pending() const;

    /// Writes all of it; waits while the other side takes nothing.
    void write(std::string_view data);

    /// Writes as much of it as is taken without waiting; returns how much that was.
    [[nodiscard]] std::size_t try_write(std::string_view data);

    /// Whether a layer could not yet send all that it has taken: the next write will, and so does
    /// whoever waits for an event of this socket.
    [[nodiscard]] bool has_unsent() const noexcept { return layer_ && layer_->has_unsent(); }

    /// How many bytes have been written so far.
    [[nodiscard]] std::uint64_t written() const noexcept { return written_; }

    /// How much may arrive before it is read (SO_RCVBUF): to be set before the connection is made.
    void set_receive_buffer(std::size_t size);

    /// Has what has arrived acknowledged at once, not a little later together with what comes then
    /// (TCP_QUICKACK, until the system thinks otherwise). Does nothing on other systems than Linux.
    void acknowledge_now() noexcept;

    /// Ends this direction of the stream; the other one goes on.
    void shutdown_write();

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
        : fd_{std::move(fd)}, peer_{peer}, timeout_{parent.timeout_}, watch_{parent.watch_} {}

    void wait(short events, std::string_view awaited) const;
    [[nodiscard]] std::string name() const;

    detail::UniqueFd fd_;
    std::optional<Endpoint> peer_;
    Duration timeout_;
    std::weak_ptr<Watch> watch_;
    std::uint64_t written_ = 0;
    std::unique_ptr<Layer> layer_;
};

/// A TCP socket with the timeout of `config`, address reuse on, bound to `endpoint`; an IPv6 socket
/// takes IPv6 only. Throws SystemError, PermissionDenied for a port that this user may not have.
inline Socket bind_to(const Config& config, const Endpoint& endpoint) {
    Socket result{endpoint.address.family(), config.timeouts.io};
    try {
        result.bind(endpoint);
    } catch (const SystemError& error) {
        if (error.code() == EACCES) {
            throw PermissionDenied{
                fmt::format("{}: this user may not have that port", error.what())};
        }
        throw;
    }
    return result;
}

} // namespace test_tunnel

#include "detail/socket.hpp"
