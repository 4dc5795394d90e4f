#pragma once

#include <poll.h>
#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/environment.hpp"
#include "test_tunnel/base/log.hpp"
#include "test_tunnel/process/exit_status.hpp"
#include "test_tunnel/process/resource_use.hpp"

namespace test_tunnel {

namespace detail {
struct Orphan;
}

/// What a process is started with.
struct SpawnOptions {
    /// The program and its arguments. A program without a slash in its name is looked up in the
    /// `PATH` of `environment`, then in the system's directories for daemons, such as /usr/sbin.
    std::vector<std::string> argv;
    /// The environment of the process; TEST_TUNNEL_TOOL is added to it.
    Environment environment = utf8_environment();
    /// The directory in which it runs; empty: the current one. A program that is given by a
    /// relative path is looked for in the current one all the same.
    std::string directory{};
    /// Where what the process prints is logged, line by line, at `debug`; null: nowhere.
    std::shared_ptr<Logger> log{};
};

/// A child process in a session of its own, so without a terminal, and without any descriptor of
/// this process; its standard input is empty, what it prints is drained whenever this or another
/// call waits.
///
/// The destructor kills it (SIGKILL) with all that it has started, and reaps it. Where this process
/// is killed itself, a watchdog, a small process that runs from the first `spawn` on, does so. On
/// Linux that reaches what has left the process group too: the first `spawn` makes this process a
/// subreaper (PR_SET_CHILD_SUBREAPER), which ignores SIGUSR1 and SIGUSR2 unless it does something
/// on them, since orphans may send them, and every tool has TEST_TUNNEL_TOOL in its environment.
/// There it is also killed when the thread that started it ends.
class Process {
public:
    /// Starts a process; returns when it has become the program. Throws ToolMissing,
    /// ToolNotExecutable, SystemError.
    static Process spawn(SpawnOptions options);

    /// Takes the child over; `other` may only be destroyed or assigned to from then on.
    Process(Process&& other) noexcept;
    /// Takes the child over; the one that this object had is killed, as by the destructor.
    Process& operator=(Process&& other) noexcept;
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    ~Process();

    /// Returns its process id, which belongs to nobody else as long as there is no `status`.
    [[nodiscard]] pid_t pid() const noexcept;

    /// Returns the last component of the program's name.
    [[nodiscard]] const std::string& name() const noexcept;

    /// Returns how it was started, as it can be pasted into a shell.
    [[nodiscard]] const std::string& command_line() const noexcept;

    /// Returns how it ended; nothing while it runs, as far as the last call that waited, or
    /// `handle`, saw.
    [[nodiscard]] const std::optional<ExitStatus>& status() const noexcept;

    /// Returns what it has used until it ended; no CPU time before, and where somebody else has
    /// taken its status.
    [[nodiscard]] const ResourceUse& use() const noexcept;

    /// Returns how long it has run, or ran.
    [[nodiscard]] Duration run_time() const;

    /// Whether it still ran when it was told to end (`stop`, or `signal(SIGTERM)`).
    [[nodiscard]] bool was_told_to_end() const noexcept;

    /// Whether it took SIGKILL to end it.
    [[nodiscard]] bool had_to_be_killed() const noexcept;

    /// Returns the mark by which it, and all that stems from it, can be told from others: a word in
    /// the value of TEST_TUNNEL_TOOL in the environment.
    [[nodiscard]] const std::string& mark() const noexcept;

    /// Returns what it had started and left running when it ended, "sockd (1234)"; by then that has
    /// been killed.
    [[nodiscard]] const std::vector<std::string>& left_behind() const noexcept;

    /// Returns the first line of its output that is the report of a sanitizer or of valgrind; empty
    /// where there is none.
    [[nodiscard]] const std::string& alarm() const noexcept;

    /// Returns what it wrote to its standard output; the middle of a long text is cut, and that is
    /// marked. The bytes are raw, and come from an untrusted source.
    [[nodiscard]] std::string out() const;
    /// Returns what it wrote to its standard error, as `out` does.
    [[nodiscard]] std::string err() const;

    /// Waits until it has ended; nothing where it has not by `deadline`.
    std::optional<ExitStatus> wait(Deadline deadline);

    /// Waits until it has ended, and returns what it wrote to its standard output: for a program
    /// that makes what a tool needs, a key for instance. Throws SetupError, with what it wrote to
    /// its standard error, where its exit status is not 0 or it has not ended within `timeout`.
    std::string finish(Duration timeout);

    /// Closes this process's ends of its outputs: what it writes from now on has no reader (EPIPE,
    /// SIGPIPE), as when the terminal, or the program that it logs to, has gone.
    void close_outputs();
    /// Has its outputs be full, and reads nothing from them, until `release_outputs`: when it
    /// writes something, it has to wait. Returns false, and does nothing, where the system can't do
    /// that (on all but Linux), and where both are closed.
    bool hold_outputs();
    /// Reads its outputs again.
    void release_outputs() noexcept;

    /// Sends a signal to the process itself; nothing happens where it has ended.
    void signal(int number) noexcept;

    /// Sends SIGTERM to the process, unless that was done before. When it has ended, what it has
    /// started, a child that still serves a connection for instance, has `linger` to end too, and
    /// up to five times as long where it does not wait for anything but a processor. Does not wait.
    ///
    /// A script that dies of it while it waits for the tool has not told the tool: the children of
    /// such a wrapper, as far as they run another program, are sent SIGTERM in its place, and it
    /// counts as ended when they have (Linux only). A process that has a TCP socket is no
    /// wrapper: a tool has to end its helpers itself.
    void terminate(Duration linger);

    /// Gives what it has started `linger` to end after it, where it ends by itself; without this,
    /// such processes are killed then. Counts until `terminate` says otherwise.
    void allow_linger(Duration linger) noexcept;

    /// Whether it has ended, even if `status` still waits for what it has started to linger.
    [[nodiscard]] bool has_ended() const noexcept;

    /// Sends SIGTERM to the process, once, then, after `timeout`, SIGKILL. What it has started has
    /// `linger` more to end, then it is killed and counts as left behind. Blocks until all have
    /// ended.
    ExitStatus stop(Duration timeout, Duration linger = Timeouts{}.linger);

    /// Kills it (SIGKILL) with all that it has started, if it runs, and starts it again, with the
    /// options that it was spawned with: then this object is the new process, which has printed and
    /// used nothing yet. Throws as `spawn` does, and then it has ended.
    void restart();

    /// Has it, and what it has started in its process group, do nothing (SIGSTOP) until `resume`;
    /// nothing happens where it has ended. One that is stopped or killed meanwhile ends.
    void suspend() noexcept;
    /// Has it go on (SIGCONT).
    void resume() noexcept;

    /// Adds the descriptors on which something may happen, as `Supervisor::append_to` does: its
    /// outputs, and its end where the system has a descriptor for that.
    void append_to(std::vector<pollfd>& fds) const;
    /// Takes what it has written, and sees whether it has ended, as `Supervisor::handle` does. What
    /// it left behind is killed then, when its time to linger is over.
    void handle();
    /// Returns how long a wait may last before `handle` must be called again.
    [[nodiscard]] Duration longest_wait() const;

private:
    struct State;

    explicit Process(std::unique_ptr<State> state) noexcept;

    [[nodiscard]] bool is_zombie() const noexcept;
    [[nodiscard]] bool has_died_of_term() const noexcept;
    void kill() noexcept;
    void reap(const std::vector<detail::Orphan>& left);

    std::unique_ptr<State> state_;
};

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/process/detail/process.ipp"         // IWYU pragma: export
#include "test_tunnel/process/detail/process_signals.ipp" // IWYU pragma: export
#endif
