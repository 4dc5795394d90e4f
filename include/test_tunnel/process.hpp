#pragma once

#include <poll.h>
#include <signal.h> // NOLINT(modernize-deprecated-headers): kill is POSIX, not C
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config.hpp"
#include "deadline.hpp"
#include "detail/capture.hpp"
#include "detail/find_program.hpp"
#include "detail/platform.hpp"
#include "detail/spawn.hpp"
#include "detail/system.hpp"
#include "detail/text.hpp"
#include "detail/unique_fd.hpp"
#include "error.hpp"
#include "exit_status.hpp"
#include "watch.hpp"

namespace test_tunnel {

/// What a process is started with.
struct SpawnOptions {
    /// The program, looked up in the `PATH` of `environment` where it has no slash, and its
    /// arguments.
    std::vector<std::string> argv;
    Environment environment = utf8_environment();
    /// Empty: the current one.
    std::string directory{};
    /// Where what the process prints goes too, line by line, at `debug`; null: nowhere.
    std::shared_ptr<Logger> log{};
};

/// A child process in a process group of its own, without any descriptor of this process; its
/// standard input is empty, what it prints is drained whenever this or another call waits.
/// On Linux it is killed when the thread that started it ends, for whatever reason.
///
/// The destructor kills it (SIGKILL), with its group, and reaps it.
class Process {
public:
    /// Starts a process; returns when it has become the program. Throws ToolMissing,
    /// ToolNotExecutable, SystemError.
    static Process spawn(SpawnOptions options);

    Process(Process&&) = default;
    Process& operator=(Process&& other) noexcept {
        Process taken{std::move(other)};
        std::swap(state_, taken.state_);
        return *this;
    }
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    ~Process() {
        if (state_ != nullptr) {
            kill();
        }
    }

    [[nodiscard]] pid_t pid() const noexcept { return state_->pid; }

    /// The last component of the program's name.
    [[nodiscard]] const std::string& name() const noexcept { return state_->name; }

    /// As it can be pasted into a shell.
    [[nodiscard]] const std::string& command_line() const noexcept { return state_->command_line; }

    /// How it ended; nothing while it runs, as far as the last call that waited, or `handle`, saw.
    [[nodiscard]] const std::optional<ExitStatus>& status() const noexcept {
        return state_->status;
    }

    /// How long it has run, or ran.
    [[nodiscard]] Duration run_time() const {
        return (state_->status ? state_->ended : Clock::now()) - state_->started;
    }

    /// Whether it still ran when it was told to end (`stop`, or `signal(SIGTERM)`).
    [[nodiscard]] bool was_told_to_end() const noexcept { return state_->was_told_to_end; }

    /// Whether it took SIGKILL to end it.
    [[nodiscard]] bool had_to_be_killed() const noexcept { return state_->had_to_be_killed; }

    /// What it wrote to its standard output and standard error; the middle of a long text is cut,
    /// and that is marked. Raw bytes of an untrusted source.
    [[nodiscard]] std::string out() const { return state_->out.capture.text(); }
    [[nodiscard]] std::string err() const { return state_->err.capture.text(); }

    /// Waits until it has ended; nothing where it has not by `deadline`.
    std::optional<ExitStatus> wait(Deadline deadline) {
        detail::pump(*this, deadline, [this] { return status().has_value(); });
        return status();
    }

    /// Sends a signal to the process itself; nothing happens where it has ended.
    void signal(int number) noexcept {
        // Not reaped yet, so that the pid is still its own; a zombie has not been told anything.
        if (!status() && !is_zombie()) {
            ::kill(pid(), number);
            state_->was_told_to_end = state_->was_told_to_end || number == SIGTERM;
        }
    }

    /// SIGTERM to the process, then, after `timeout`, SIGKILL to its group. Blocks until it has
    /// ended.
    ExitStatus stop(Duration timeout) {
        signal(SIGTERM);
        signal(SIGCONT); // a stopped process takes no SIGTERM
        if (!wait(Deadline::after(timeout))) {
            state_->had_to_be_killed = true;
            kill();
        }
        return status().value();
    }

    // What a Watch does, for one process.
    void append_to(std::vector<pollfd>& fds) const;
    void handle();
    /// How long a wait may last before `handle` must be called again.
    [[nodiscard]] Duration longest_wait() const;

private:
    struct Stream {
        detail::UniqueFd fd;
        detail::Capture capture;
        std::string partial_line;
    };

    struct State {
        pid_t pid = -1;
        std::string name;
        std::string command_line;
        std::shared_ptr<Logger> log;
        detail::UniqueFd pidfd;
        Stream out;
        Stream err;
        Clock::time_point started;
        Clock::time_point ended;
        std::optional<ExitStatus> status;
        bool was_told_to_end = false;
        bool had_to_be_killed = false;
    };

    explicit Process(std::unique_ptr<State> state) : state_{std::move(state)} {}

    [[nodiscard]] bool is_zombie() const noexcept;
    void kill() noexcept;
    void reap();
    void drain(Stream& stream);
    void log_lines(Stream& stream, std::string_view text);

    std::unique_ptr<State> state_;
};

inline Process Process::spawn(SpawnOptions options) {
    if (options.argv.empty()) {
        throw ToolMissing{"no program was given"};
    }
    auto state = std::make_unique<State>();
    const auto& program = options.argv.front();
    state->name = program.substr(program.rfind('/') + 1);
    for (const auto& word : options.argv) {
        state->command_line += state->command_line.empty() ? "" : " ";
        state->command_line += detail::shell_quote(word);
    }
    state->log = std::move(options.log);

    detail::ChildPlan plan;
    plan.path = detail::find_program(program, options.environment);
    plan.directory = std::move(options.directory);
    if (!plan.directory.empty() && plan.path.front() != '/') {
        // Relative to where the caller is, not to where the child will be.
        const std::unique_ptr<char, void (*)(void*)> absolute{
            ::realpath(plan.path.c_str(), nullptr), ::free}; // NOLINT(*-no-malloc): realpath's way
        plan.path = absolute ? absolute.get() : plan.path;
    }
    plan.argv = std::move(options.argv);
    for (const auto& [name, value] : options.environment) {
        plan.environment.push_back(fmt::format("{}={}", name, value));
    }
    detail::require_children_are_reported();
    auto out = detail::make_pipe();
    auto err = detail::make_pipe();
    plan.out = out.write_end.get();
    plan.err = err.write_end.get();
    detail::set_nonblocking(out.read_end.get());
    detail::set_nonblocking(err.read_end.get());

    state->started = Clock::now();
    detail::ChildError error;
    state->pid = detail::spawn_child(plan, error);
    if (state->pid == -1) {
        const auto reason = std::generic_category().message(error.code);
        if (error.step == detail::ChildError::Step::directory) {
            throw SystemError{
                fmt::format("change to directory {} for {}", plan.directory, state->command_line),
                error.code};
        }
        throw ToolNotExecutable{
            error.code == ENOENT
                // The file was there: execve(2) means what the file asks for in its turn.
                ? fmt::format("{}: its interpreter or dynamic loader is missing", plan.path)
                : fmt::format("{}: {}", plan.path, reason)};
    }
    state->out.fd = std::move(out.read_end);
    state->err.fd = std::move(err.read_end);
#if TEST_TUNNEL_LINUX
    // glibc 2.36's <sys/pidfd.h> can't be linked from C++. Where the kernel has no pidfd, the end
    // of the process is found by asking every few milliseconds.
    state->pidfd = detail::UniqueFd{static_cast<int>(::syscall(SYS_pidfd_open, state->pid, 0U))};
#endif
    if (state->log) {
        state->log->debug(fmt::format("started {} as process {}", state->command_line, state->pid));
    }
    return Process{std::move(state)};
}

inline void Process::append_to(std::vector<pollfd>& fds) const {
    for (const auto* stream : {&state_->out, &state_->err}) {
        if (stream->fd) {
            fds.push_back({.fd = stream->fd.get(), .events = POLLIN, .revents = 0});
        }
    }
    if (state_->pidfd && !state_->status) {
        fds.push_back({.fd = state_->pidfd.get(), .events = POLLIN, .revents = 0});
    }
}

inline Duration Process::longest_wait() const {
    const bool must_ask = !state_->pidfd && !state_->status;
    return must_ask ? Duration{std::chrono::milliseconds{2}} : Duration::max();
}

inline void Process::handle() {
    drain(state_->out);
    drain(state_->err);
    if (!state_->status && is_zombie()) {
        reap();
    }
}

/// Whether it has ended and not been reaped yet. Not to be asked once it has been.
inline bool Process::is_zombie() const noexcept {
    siginfo_t info{};
    const int result =
        ::waitid(P_PID, static_cast<id_t>(pid()), &info, WEXITED | WNOHANG | WNOWAIT);
    return result == 0 && info.si_pid == pid();
}

/// Of a process that has ended and is still a zombie: so its pid names nobody else's group yet.
inline void Process::reap() {
    ::kill(-pid(), SIGKILL);
    siginfo_t info{};
    detail::checked(detail::retry_eintr(
                        [&] { return ::waitid(P_PID, static_cast<id_t>(pid()), &info, WEXITED); }),
                    "waitid");
    state_->status.emplace(info);
    state_->ended = Clock::now();
    // What it wrote last is still in the pipes. Their end comes when the last of its group is gone;
    // somebody who left the group may hold them open much longer, and is not waited for.
    constexpr auto grace = std::chrono::milliseconds{100};
    detail::pump(*this, Deadline::after(grace),
                 [this] { return !state_->out.fd && !state_->err.fd; });
    if (state_->log) {
        state_->log->debug(fmt::format("{} {}", name(), state_->status->text()));
    }
}

inline void Process::kill() noexcept {
    if (status()) {
        return;
    }
    ::kill(-pid(), SIGKILL);
    ::kill(pid(), SIGKILL);
    try {
        siginfo_t info{};
        detail::retry_eintr(
            [&] { return ::waitid(P_PID, static_cast<id_t>(pid()), &info, WEXITED | WNOWAIT); });
        reap();
    } catch (const std::exception& error) {
        if (state_->log) {
            state_->log->error(fmt::format("could not reap {}: {}", name(), error.what()));
        }
    }
}

inline void Process::drain(Stream& stream) {
    if (!stream.fd) {
        return;
    }
    // Once round: a process that never stops to print must not keep this from returning.
    std::array<char, std::size_t{16} * 1024> buffer; // NOLINT(*-member-init): read() fills it
    const auto count =
        detail::retry_eintr([&] { return ::read(stream.fd.get(), buffer.data(), buffer.size()); });
    if (count > 0) {
        const std::string_view text{buffer.data(), static_cast<std::size_t>(count)};
        stream.capture.add(text);
        log_lines(stream, text);
    } else if (count == 0 || errno != EAGAIN) {
        stream.fd.reset();
        log_lines(stream, stream.partial_line.empty() ? "" : "\n");
    }
}

inline void Process::log_lines(Stream& stream, std::string_view text) {
    if (!state_->log || !state_->log->should_log(spdlog::level::debug)) {
        return;
    }
    constexpr std::size_t longest_line = 1000;
    for (const char character : text) {
        const bool ends = character == '\n';
        if (!ends) {
            stream.partial_line += character;
        }
        if (ends || stream.partial_line.size() >= longest_line) {
            state_->log->debug(fmt::format("{}{}: {}", name(),
                                           &stream == &state_->err ? " (stderr)" : "",
                                           detail::escape_controls(stream.partial_line)));
            stream.partial_line.clear();
        }
    }
}

} // namespace test_tunnel
