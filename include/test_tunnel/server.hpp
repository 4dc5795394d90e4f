#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "address.hpp"
#include "deadline.hpp"
#include "detail/inline.hpp"
#include "process.hpp"
#include "temp_dir.hpp"
#include "watch.hpp"

namespace test_tunnel {

/// The tool under test: one process, or several that only work together (the client and the server
/// half of stunnel). All are watched as long as the tool is used; they are stopped in the reverse
/// of the order in which they were added. The destructor kills them.
class Server {
public:
    /// A tool of one process. Implicit, so that `spawn_server` can return what it has spawned.
    Server(Process process); // NOLINT(*-explicit-*)

    // Move-only, like its processes: a copy would keep them alive.

    /// Takes them over; the other may only be destroyed or assigned to from then on.
    Server(Server&&) = default;
    /// The same; the processes that this one had are killed.
    Server& operator=(Server&&) = default;
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server() = default;

    /// Adds a companion that was started after those that are there already.
    void add(Process process);

    /// Adds the files of the tool: removed when it has ended, and named where it fails.
    void add(TempDir directory);

    /// Its files, in the order in which they were added; may be empty.
    [[nodiscard]] const std::vector<TempDir>& directories() const noexcept;

    /// Leaves the files of the tool where they are.
    void keep_files() noexcept;

    /// In the order in which they were added; never empty.
    [[nodiscard]] const std::vector<Process>& processes() const noexcept;

    /// To be given to every socket that waits for this tool (`Socket::watch`). Does not keep it
    /// alive.
    [[nodiscard]] std::weak_ptr<Watch> watch() const;

    /// From now on every wait that looks after this tool ends by TimedOut when `duration` is over.
    void limit(Duration duration);

    /// Whether all of its processes run, as of now.
    [[nodiscard]] bool running();

    /// Waits until one of its processes has ended; false where none has by `deadline`.
    bool wait_for_end(Deadline deadline);

    /// Waits until the tool listens at `endpoint`, or on that port of the wildcard address, without
    /// making a connection: what comes next may be started then. Not needed for the endpoint to
    /// which the client connects, since that is tried until it succeeds.
    ///
    /// Throws ToolEnded as soon as one of its processes has ended, Unexpected where a process that
    /// is none of the tool's listens there, TimedOut after `timeout`; the first and the last tell
    /// how the processes were started and what they have printed. On systems other than Linux it
    /// does make a connection.
    void await_listening(const Endpoint& endpoint, Duration timeout = Timeouts{}.start);

    /// Waits until the process that was added last has written `text` to one of its outputs. Throws
    /// ToolEnded, and TimedOut after `timeout`, with what was printed instead.
    void await_output(std::string_view text, Duration timeout = Timeouts{}.start);

    /// SIGTERM to each process, the last one first. Does not wait; what a process has started has
    /// `linger` to end after it, and may serve its connections to their end.
    void terminate(Duration linger);

    /// SIGTERM to each process, the last one first and each when the one before it has ended, and
    /// SIGKILL to its group where it has not ended within `timeout`; what it has started has
    /// `linger` more. Blocks until all have ended.
    void stop(Duration timeout, Duration linger = Timeouts{}.linger);

private:
    struct State;

    /// What the processes were started as, and what they have printed.
    [[nodiscard]] std::string story() const;
    /// Has `wait` tell it: the hook that calls it may never get to return this server, and whoever
    /// accounts for the failure never sees it.
    template <typename Wait>
    void with_story(Wait wait) const;
    void wait_until_listening(const Endpoint& endpoint, Duration timeout);
    void wait_for_output(std::string_view text, Duration timeout);

    std::shared_ptr<State> state_;
};

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "detail/impl/server.hpp" // IWYU pragma: export
#endif
