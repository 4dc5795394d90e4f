#pragma once

#include <poll.h>
#include <signal.h> // NOLINT(modernize-deprecated-headers): kill is POSIX, not C
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/escape.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/detail/platform.hpp"
#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/base/detail/unique_fd.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/kernel/processes.hpp"
#include "test_tunnel/kernel/tcp_sockets.hpp"
#include "test_tunnel/net/wait.hpp"
#include "test_tunnel/process/detail/child.hpp"
#include "test_tunnel/process/detail/orphans.hpp"
#include "test_tunnel/process/detail/output.hpp"
#include "test_tunnel/process/detail/watchdog.hpp"
#include "test_tunnel/process/exit_status.hpp"
#include "test_tunnel/process/find_program.hpp"
#include "test_tunnel/process/process.hpp"

namespace test_tunnel {

struct Process::State {
    SpawnOptions options;
    pid_t pid = -1;
    std::string name;
    std::string command_line;
    std::shared_ptr<Logger> log;
    detail::UniqueFd pidfd;
    detail::Output out;
    detail::Output err;
    std::string mark;
    /// The file that it runs, as of when it was told to end; empty where that is not known, and
    /// where it has a TCP socket: then it is no wrapper, but the tool itself.
    std::string program;
    /// Whether it has become a zombie, and what it was waiting for then.
    bool is_gone = false;
    std::vector<pid_t> wrapped;
    Clock::time_point started;
    Clock::time_point ended;
    Duration linger = Duration::zero();
    std::optional<Clock::time_point> lingers_until;
    std::optional<ExitStatus> status;
    ResourceUse use;
    std::vector<std::string> left_behind;
    bool was_told_to_end = false;
    bool had_to_be_killed = false;
};

namespace detail {

/// The CPU time of a process that has been waited for.
inline Duration cpu_time_of(const rusage& used) {
    const auto time_of = [](const timeval& time) {
        return std::chrono::seconds{time.tv_sec} + std::chrono::microseconds{time.tv_usec};
    };
    return time_of(used.ru_utime) + time_of(used.ru_stime);
}

} // namespace detail

TEST_TUNNEL_INLINE Process::Process(std::unique_ptr<State> state) noexcept
    : state_{std::move(state)} {}

TEST_TUNNEL_INLINE Process::Process(Process&& other) noexcept = default;

TEST_TUNNEL_INLINE Process& Process::operator=(Process&& other) noexcept {
    Process taken{std::move(other)};
    std::swap(state_, taken.state_);
    return *this;
}

TEST_TUNNEL_INLINE Process::~Process() {
    if (state_ != nullptr) {
        kill();
    }
}

TEST_TUNNEL_INLINE pid_t Process::pid() const noexcept {
    return state_->pid;
}

TEST_TUNNEL_INLINE const std::string& Process::name() const noexcept {
    return state_->name;
}

TEST_TUNNEL_INLINE const std::string& Process::command_line() const noexcept {
    return state_->command_line;
}

TEST_TUNNEL_INLINE const std::optional<ExitStatus>& Process::status() const noexcept {
    return state_->status;
}

TEST_TUNNEL_INLINE const ResourceUse& Process::use() const noexcept {
    return state_->use;
}

TEST_TUNNEL_INLINE Duration Process::run_time() const {
    return (has_ended() ? state_->ended : Clock::now()) - state_->started;
}

TEST_TUNNEL_INLINE bool Process::was_told_to_end() const noexcept {
    return state_->was_told_to_end;
}

TEST_TUNNEL_INLINE bool Process::had_to_be_killed() const noexcept {
    return state_->had_to_be_killed;
}

TEST_TUNNEL_INLINE const std::string& Process::mark() const noexcept {
    return state_->mark;
}

TEST_TUNNEL_INLINE const std::vector<std::string>& Process::left_behind() const noexcept {
    return state_->left_behind;
}

TEST_TUNNEL_INLINE const std::string& Process::alarm() const noexcept {
    return state_->err.alarm().empty() ? state_->out.alarm() : state_->err.alarm();
}

TEST_TUNNEL_INLINE std::string Process::out() const {
    return state_->out.text();
}

TEST_TUNNEL_INLINE std::string Process::err() const {
    return state_->err.text();
}

TEST_TUNNEL_INLINE void Process::close_outputs() {
    state_->out.close();
    state_->err.close();
}

TEST_TUNNEL_INLINE bool Process::hold_outputs() {
    const bool out = state_->out.hold();
    return state_->err.hold() || out;
}

TEST_TUNNEL_INLINE void Process::release_outputs() noexcept {
    state_->out.release();
    state_->err.release();
}

TEST_TUNNEL_INLINE std::optional<ExitStatus> Process::wait(Deadline deadline) {
    detail::pump(*this, deadline, [this] { return status().has_value(); });
    return status();
}

TEST_TUNNEL_INLINE std::string Process::finish(Duration timeout) {
    const auto ended = wait(Deadline::after(timeout));
    if (!ended || ended->code() != 0) {
        const auto how = ended ? ended->text()
                               : fmt::format("has not ended within {}", text_of(scaled(timeout)));
        const auto said = err();
        throw SetupError{fmt::format("{}: it {}{}", command_line(), how,
                                     said.empty() ? "" : ": " + detail::escape_controls(said))};
    }
    return out();
}

TEST_TUNNEL_INLINE void Process::allow_linger(Duration linger) noexcept {
    state_->linger = scaled(linger);
}

TEST_TUNNEL_INLINE bool Process::has_ended() const noexcept {
    return state_->status || state_->lingers_until;
}

TEST_TUNNEL_INLINE Process Process::spawn(SpawnOptions options) {
    if (options.argv.empty()) {
        throw ToolMissing{"no program was given"};
    }
    auto state = std::make_unique<State>();
    state->options = options;
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
    auto& watchdog = detail::Watchdog::instance();
    detail::adopt_orphans(); // the watchdog is none
    state->mark = watchdog.new_mark();
    // A harness may be under test itself: what it starts stems from both, whatever environment is
    // asked for.
    const std::string variable{detail::tool_mark};
    const char* own = std::getenv(variable.c_str()); // NOLINT(concurrency-mt-unsafe)
    options.environment[variable] =
        own == nullptr ? state->mark : fmt::format("{} {}", own, state->mark);
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
    watchdog.guard(state->pid);
    state->out = detail::Output{std::move(out.read_end), state->name, state->log};
    state->err = detail::Output{std::move(err.read_end), state->name + " (stderr)", state->log};
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

TEST_TUNNEL_INLINE void Process::append_to(std::vector<pollfd>& fds) const {
    for (const auto* output : {&state_->out, &state_->err}) {
        if (output->fd() != -1) {
            fds.push_back({.fd = output->fd(), .events = POLLIN, .revents = 0});
        }
    }
    if (state_->pidfd && !state_->is_gone) {
        fds.push_back({.fd = state_->pidfd.get(), .events = POLLIN, .revents = 0});
    }
}

TEST_TUNNEL_INLINE Duration Process::longest_wait() const {
    const bool must_ask = !state_->status && (!state_->pidfd || state_->is_gone);
    return must_ask ? Duration{std::chrono::milliseconds{1}} : Duration::max();
}

TEST_TUNNEL_INLINE void Process::handle() {
    state_->out.drain();
    state_->err.drain();
    if (state_->status || !is_zombie()) {
        return;
    }
    const auto left = detail::orphans(pid(), state_->mark);
    if (!std::exchange(state_->is_gone, true) && has_died_of_term()) {
        state_->wrapped = detail::terminate_wrapped_tool(left, state_->program);
    }
    if (!state_->lingers_until) {
        if (detail::any_of(left, state_->wrapped)) {
            return;
        }
        state_->ended = Clock::now();
        state_->lingers_until = state_->ended + state_->linger;
    }
    // What still has something to do may be waiting for a processor, and has more time.
    constexpr int longer = 4;
    const auto over = Clock::now() - *state_->lingers_until;
    const bool must_end =
        over >= longer * state_->linger || (over >= Duration::zero() && detail::are_idle(left));
    if (left.empty() || must_end) {
        reap(left);
    }
}

/// Returns whether it has ended and not been reaped yet, or been reaped by somebody else. Not to be
/// asked once it has been.
TEST_TUNNEL_INLINE bool Process::is_zombie() const noexcept {
    siginfo_t info{};
    const int result =
        ::waitid(P_PID, static_cast<id_t>(pid()), &info, WEXITED | WNOHANG | WNOWAIT);
    return result == 0 ? info.si_pid == pid() : errno == ECHILD;
}

/// Returns whether SIGTERM, which it had been sent and did not handle, ended the process. It must
/// be a zombie.
TEST_TUNNEL_INLINE bool Process::has_died_of_term() const noexcept {
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid()), &info, WEXITED | WNOHANG | WNOWAIT);
    return was_told_to_end() && info.si_code == CLD_KILLED && info.si_status == SIGTERM;
}

/// Takes the status of a process that has ended and is still a zombie, so that its pid names nobody
/// else's group yet, and ends what it has left.
TEST_TUNNEL_INLINE void Process::reap(const std::vector<detail::Orphan>& left) {
    for (const auto& orphan : left) {
        if (orphan.name != detail::watchdog_name) {
            state_->left_behind.push_back(fmt::format("{} ({})", orphan.name, orphan.pid));
        }
    }
    ::kill(-pid(), SIGKILL);
    if (!left.empty()) {
        detail::end_orphans(pid(), state_->mark);
    }
    detail::Watchdog::instance().release(pid());
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid()), &info, WEXITED | WNOHANG | WNOWAIT);
    rusage used{};
    const pid_t reaped =
        detail::retry_eintr([&] { return ::wait4(pid(), nullptr, WNOHANG, &used); });
    // A handler of SIGCHLD that waits for any child takes the status away.
    if (reaped == pid() && info.si_pid == pid()) {
        state_->status = ExitStatus{info};
        state_->use.cpu = detail::cpu_time_of(used);
    } else {
        state_->status = ExitStatus::unknown("ended, but somebody else has taken its status");
    }
    // What it wrote last is still in the pipes. Their end comes when the last of its group is gone;
    // somebody who left the group may hold them open much longer, and is not waited for.
    constexpr auto grace = std::chrono::milliseconds{100};
    detail::pump(*this, Deadline::after(grace),
                 [this] { return state_->out.fd() == -1 && state_->err.fd() == -1; });
    if (state_->log) {
        state_->log->debug(fmt::format("{} {}", name(), state_->status->text()));
    }
}

} // namespace test_tunnel
