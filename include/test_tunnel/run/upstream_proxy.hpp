#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/handshakes/protocol.hpp"
#include "test_tunnel/net/socket.hpp"
#include "test_tunnel/net/supervisor.hpp"

namespace test_tunnel {

class PairRun;

namespace detail {
struct PairState;

/// A tool asks its upstream proxy for something else than it should, or in another way.
class WrongRequest : public Unexpected {
public:
    using Unexpected::Unexpected;
};
} // namespace detail

/// The upstream proxy of the tool that is tested, which the library plays: returned by
/// `PairRun::upstream`. Where there is none, `is_there` returns false.
class UpstreamProxy {
public:
    /// Made by `PairRun::upstream` only.
    UpstreamProxy(PairRun& run, detail::PairState& state) noexcept : run_{run}, state_{state} {}

    /// Whether the tool has one.
    [[nodiscard]] bool is_there() const noexcept;
    /// By which handshake the tool asks it, as which user.
    [[nodiscard]] const Protocol& protocol() const noexcept;
    /// The names by which the tool may ask for the target.
    [[nodiscard]] std::vector<std::string> names() const;
    /// What it is to the tool: "upstream proxy"; where there is none, "server".
    [[nodiscard]] std::string_view name() const noexcept;

    /// Reads what the tool asks for, which must be the target, and demands the user and password:
    /// all but the last reply, which the caller gives. Throws Unexpected.
    Asked read_asked(Socket& server) const;
    /// Grants what the tool asks for. Does nothing where there is no upstream proxy. Throws
    /// Unexpected.
    void grant(Socket& server) const;
    /// Throws Unexpected where the tool has connected to its target, past the proxy.
    void require_nothing_past() const;
    /// To be told of what went wrong on a connection that is given up, since the tool has ended it.
    /// What was wrong with the request itself is kept, unless a client of this check may have asked
    /// the tool for something else than the target.
    void keep(const std::exception& error) const;
    /// Throws Unexpected where a wrong request was kept.
    void require_right_requests() const;

    /// Until the check ends, has each connection of the tool be given to `answer` while something
    /// else is awaited, in place of being granted: `answer` reads what is asked, says what it
    /// likes, and keeps the connection or lets it go. A null one ends that.
    void answer_by(std::function<void(Socket)> answer) const;
    /// What looks after the tool for a client: where there is an upstream proxy, it also answers
    /// the tool while the client waits. Starts the tool where it does not run.
    [[nodiscard]] std::shared_ptr<Supervisor> supervisor() const;
    /// A connection that was granted while something else was awaited, if there is one; what comes
    /// first on it has come (`PairRun::open_server`).
    [[nodiscard]] std::optional<Socket> take_granted() const;

private:
    PairRun& run_;
    detail::PairState& state_;
};

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/run/pair_run.hpp" // IWYU pragma: export
#endif
