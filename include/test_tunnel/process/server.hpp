#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/net/supervisor.hpp"
#include "test_tunnel/process/process.hpp"
#include "test_tunnel/process/temp_dir.hpp"

namespace test_tunnel {

/// The tool under test: one process, or several that only work together (the client and the server
/// half of stunnel). As long as the tool is used, all are looked after by its supervisor; they are
/// stopped in the reverse of the order in which they were added. The destructor kills them.
class Server {
public:
    /// Makes a tool of one process. Implicit, so that `spawn_server` can return what it has
    /// spawned.
    Server(Process process); // NOLINT(*-explicit-*)

    // Move-only, like its processes: a copy would keep them alive.

    /// Takes them over; the other may only be destroyed or assigned to from then on.
    Server(Server&&) = default;
    /// Takes them over; the processes that this one had are killed.
    Server& operator=(Server&&) = default;
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server() = default;

    /// Adds a companion that was started after those that are there already.
    void add(Process process);

    /// Adds the process that takes the place of the one which was added last: that one may end from
    /// now on, when its connections have ended or before, and is looked after, and ended, as long
    /// as it runs.
    void hand_over_to(Process successor);

    /// Adds a command that does something to the tool, such as to have it reload. It must end with
    /// status 0 and leave nothing behind: where it does not, every wait that looks after this tool
    /// throws ToolEnded. Does not wait for it.
    void add_command(Process command);

    /// Whether a command that was added runs still, as of now.
    [[nodiscard]] bool is_commanded();

    /// Sends a signal to the process that was added last; nothing happens where it has ended.
    void signal(int number) noexcept;

    /// Whether this one of `processes` has handed over to another one, and may end.
    [[nodiscard]] bool may_end(std::size_t index) const noexcept;

    /// Adds the files of the tool: removed when it has ended, and named where it fails.
    void add(TempDir directory);

    /// Returns its files, in the order in which they were added; may be empty.
    [[nodiscard]] const std::vector<TempDir>& directories() const noexcept;

    /// Leaves the files of the tool where they are.
    void keep_files() noexcept;

    /// Returns its processes, in the order in which they were added; never empty.
    [[nodiscard]] const std::vector<Process>& processes() const noexcept;

    /// Returns what looks after this tool: to be handed to every wait for it (`Socket::supervise`,
    /// `wait_for`). Whoever keeps it keeps the processes alive, as this object does; a socket does
    /// not.
    [[nodiscard]] std::shared_ptr<Supervisor> supervisor() const;

    /// Has every wait that looks after this tool end by TimedOut when `duration` is over, from now
    /// on.
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

    /// Waits until the tool has bound a UDP socket at `endpoint`, or on that port of the wildcard
    /// address, without sending anything there. Throws as `await_listening` does; returns at once
    /// where the system can't tell (on all but Linux).
    void await_udp(const Endpoint& endpoint, Duration timeout = Timeouts{}.start);

    /// Waits until the process that was added last has written `text` to one of its outputs. Throws
    /// ToolEnded, and TimedOut after `timeout`, with what was printed instead.
    void await_output(std::string_view text, Duration timeout = Timeouts{}.start);

    /// Closes the outputs of all its processes, as `Process::close_outputs` does.
    void close_outputs();
    /// Has the outputs of all its processes be full, until `release_outputs`, as
    /// `Process::hold_outputs` does. Returns false where that can be done for none of them.
    bool hold_outputs();
    /// Reads the outputs of its processes again.
    void release_outputs() noexcept;

    /// Kills the process at this place in `processes` with all that it has started, if it runs, and
    /// starts it again with the same command line, environment and directory; the others run on.
    /// Does not wait until it is ready. Throws as `Process::spawn` does.
    void restart(std::size_t place);

    /// Has the process at this place do nothing, until `resume` (see Process::suspend).
    void suspend(std::size_t place);
    /// Has it go on.
    void resume(std::size_t place);

    /// Sends SIGTERM to each process, the last one first. Does not wait; what a process has started
    /// has `linger` to end after it, and may serve its connections to their end.
    void terminate(Duration linger);

    /// Sends SIGTERM to each process, the last one first and each when the one before it has ended,
    /// and SIGKILL to its group where it has not ended within `timeout`; what it has started has
    /// `linger` more. Blocks until all have ended.
    void stop(Duration timeout, Duration linger = Timeouts{}.linger);

private:
    struct State;

    /// Returns how the processes were started, and what they have printed.
    [[nodiscard]] std::string transcript() const;
    /// Calls `wait`, and adds the transcript to the ToolEnded or TimedOut that it throws: the hook
    /// that calls it may never get to return this server, and whoever accounts for the failure
    /// never sees it.
    template <typename Wait>
    void with_transcript(Wait wait) const;
    void wait_until_listening(const Endpoint& endpoint, Duration timeout);
    void wait_for_udp(const Endpoint& endpoint, Duration timeout);
    void wait_for_output(std::string_view text, Duration timeout);

    std::shared_ptr<State> state_;
};

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/process/detail/server.ipp" // IWYU pragma: export
#endif
