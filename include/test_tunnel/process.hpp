#pragma once

#include <poll.h>
#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config.hpp"
#include "deadline.hpp"
#include "detail/inline.hpp"
#include "exit_status.hpp"
#include "log.hpp"
#include "utf8_env.hpp"

namespace test_tunnel {

namespace detail {
struct Straggler;
}

/// What a process is started with.
struct SpawnOptions {
    /// The program and its arguments. A program without a slash in its name is looked up in the
    /// `PATH` of `environment`, then in the system's directories for daemons, such as /usr/sbin.
    std::vector<std::string> argv;
    /// All of it but for TEST_TUNNEL_TOOL, which is added.
    Environment environment = utf8_environment();
    /// In which directory it runs; a program that is given by a relative path is looked for in the
    /// current one all the same. Empty: the current one.
    std::string directory{};
    /// Where what the process prints goes too, line by line, at `debug`; null: nowhere.
    std::shared_ptr<Logger> log{};
};

/// A child process in a session of its own, so without a terminal, and without any descriptor of
/// this process; its standard input is empty, what it prints is drained whenever this or another
/// call waits.
///
/// The destructor kills it (SIGKILL) with all that it has started, and reaps it. Where this process
/// is killed itself, a watchdog, a small process that runs from the first `spawn` on, does so. On
/// Linux that reaches what has left the process group too: the first `spawn` makes this process a
/// subreaper (PR_SET_CHILD_SUBREAPER), and every tool has TEST_TUNNEL_TOOL in its environment.
/// There it is also killed when the thread that started it ends.
class Process {
public:
    /// Starts a process; returns when it has become the program. Throws ToolMissing,
    /// ToolNotExecutable, SystemError.
    static Process spawn(SpawnOptions options);

    /// Takes the child over; `other` may only be destroyed or assigned to from then on.
    Process(Process&& other) noexcept;
    /// The same; the child that this one had is killed, as by the destructor.
    Process& operator=(Process&& other) noexcept;
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    ~Process();

    /// Nobody else's as long as there is no `status`.
    [[nodiscard]] pid_t pid() const noexcept;

    /// The last component of the program's name.
    [[nodiscard]] const std::string& name() const noexcept;

    /// As it can be pasted into a shell.
    [[nodiscard]] const std::string& command_line() const noexcept;

    /// How it ended; nothing while it runs, as far as the last call that waited, or `handle`, saw.
    [[nodiscard]] const std::optional<ExitStatus>& status() const noexcept;

    /// How long it has run, or ran.
    [[nodiscard]] Duration run_time() const;

    /// Whether it still ran when it was told to end (`stop`, or `signal(SIGTERM)`).
    [[nodiscard]] bool was_told_to_end() const noexcept;

    /// Whether it took SIGKILL to end it.
    [[nodiscard]] bool had_to_be_killed() const noexcept;

    /// By what it, and all that stems from it, can be told from others: a word in the value of
    /// TEST_TUNNEL_TOOL in the environment.
    [[nodiscard]] const std::string& mark() const noexcept;

    /// What it had started and left running when it ended: "sockd (1234)". They are gone.
    [[nodiscard]] const std::vector<std::string>& left_behind() const noexcept;

    /// The first line of its output that is the report of a sanitizer or of valgrind; else empty.
    [[nodiscard]] const std::string& alarm() const noexcept;

    /// What it wrote to its standard output; the middle of a long text is cut, and that is marked.
    /// Raw bytes of an untrusted source.
    [[nodiscard]] std::string out() const;
    /// The same of its standard error.
    [[nodiscard]] std::string err() const;

    /// Waits until it has ended; nothing where it has not by `deadline`.
    std::optional<ExitStatus> wait(Deadline deadline);

    /// Waits until it has ended, and returns what it wrote to its standard output: for a program
    /// that makes what a tool needs, a key for instance. Throws SetupError, with what it wrote to
    /// its standard error, where its exit status is not 0 or it has not ended within `timeout`.
    std::string finish(Duration timeout);

    /// Sends a signal to the process itself; nothing happens where it has ended.
    void signal(int number) noexcept;

    /// SIGTERM to the process. When it has ended, what it has started, a child that still serves a
    /// connection for instance, has `linger` to end too. Does not wait.
    ///
    /// A script that dies of it while it waits for the tool has not told the tool: the children of
    /// such a wrapper, as far as they run another program, are sent SIGTERM in its place, and it
    /// counts as ended when they have (Linux only). A process that has a TCP socket is no
    /// wrapper: a tool has to end its helpers itself.
    void terminate(Duration linger);

    /// Whether it has ended, even if `status` still waits for what it has started to linger.
    [[nodiscard]] bool has_ended() const noexcept;

    /// SIGTERM to the process, then, after `timeout`, SIGKILL. What it has started has `linger`
    /// more to end, then it is killed and counts as left behind. Blocks until all have ended.
    ExitStatus stop(Duration timeout, Duration linger = Timeouts{}.linger);

    /// As `Watch::append_to`, for this process alone: its outputs, and its end where the system has
    /// a descriptor for that.
    void append_to(std::vector<pollfd>& fds) const;
    /// As `Watch::handle`: takes what it has written, and sees whether it has ended. What it left
    /// behind is killed then, when its time to linger is over.
    void handle();
    /// How long a wait may last before `handle` must be called again.
    [[nodiscard]] Duration longest_wait() const;

private:
    struct State;

    explicit Process(std::unique_ptr<State> state) noexcept;

    [[nodiscard]] bool is_zombie() const noexcept;
    [[nodiscard]] bool has_died_of_term() const noexcept;
    void kill() noexcept;
    void reap(const std::vector<detail::Straggler>& left);

    std::unique_ptr<State> state_;
};

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "detail/impl/process.hpp" // IWYU pragma: export
#endif
