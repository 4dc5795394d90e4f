#pragma once

// For checks that are the same for the client and the server.

#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "../detail/system.hpp"
#include "../pair_run.hpp"
#include "../report.hpp"
#include "../stream.hpp"
#include "../watch.hpp"

namespace test_tunnel::check {

/// A connection, as the one of its ends sees it that does something first.
struct View {
    Socket& near;
    Socket& far;
    /// The two directions: from `near` to `far`, and back.
    const char* forth;
    const char* back;
    Party here;
    Party there;
    /// "client", "server"
    const char* self;
    const char* other;
};

inline View view_from(Party here, Connection& connection) {
    auto& [client, server] = connection;
    return here == Party::client ? View{client,        server,        PairRun::up, PairRun::down,
                                        Party::client, Party::server, "client",    "server"}
                                 : View{server,        client,        PairRun::down, PairRun::up,
                                        Party::server, Party::client, "server",      "client"};
}

/// Looks after the tool, but lets it end: one that serves just one connection may be gone before
/// the last of its bytes have been read.
class Lenient final : public Watch {
public:
    explicit Lenient(std::shared_ptr<Watch> watch) : watch_{std::move(watch)} {}

    void append_to(std::vector<pollfd>& fds) const override { watch_->append_to(fds); }
    void handle() override { watch_->handle(); }
    void require_running() const override {}
    void require_time(std::string_view awaited) const override { watch_->require_time(awaited); }
    [[nodiscard]] Duration longest_wait() const override { return watch_->longest_wait(); }

private:
    std::shared_ptr<Watch> watch_;
};

inline std::shared_ptr<Watch> lenient(PairRun& run) {
    return std::make_shared<Lenient>(run.watch().lock());
}

/// `transfer`, which tells here what has become of the streams.
inline bool carry(PairRun& run, std::span<Stream> streams, const TransferOptions& options) {
    const auto watch = lenient(run);
    return transfer(streams, watch, options);
}

/// Halves what a reader may have unread; the system would give it ever more (tcp(7)). Less is not
/// to be had of a connection that is there: its peer has been offered more, and waits for that by a
/// timer.
inline void limit_receive_buffer(Socket& reader) {
    int value = 0;
    socklen_t size = sizeof value;
    detail::checked(::getsockopt(reader.fd(), SOL_SOCKET, SO_RCVBUF, &value, &size),
                    "getsockopt(SO_RCVBUF)");
    reader.set_receive_buffer(static_cast<std::size_t>(value / 4)); // Linux doubles it
}

} // namespace test_tunnel::check
