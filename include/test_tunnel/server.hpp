#pragma once

#include <poll.h>

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "address.hpp"
#include "deadline.hpp"
#include "detail/listeners.hpp"
#include "detail/text.hpp"
#include "error.hpp"
#include "process.hpp"
#include "socket.hpp"
#include "temp_dir.hpp"
#include "watch.hpp"

namespace test_tunnel {

/// The tool under test: one process, or several that only work together (the client and the server
/// half of stunnel). All are watched as long as the tool is used; they are stopped in the reverse
/// of the order in which they were added. The destructor kills them.
class Server {
public:
    /// A tool of one process. Implicit, so that `spawn_server` can return what it has spawned.
    Server(Process process) { add(std::move(process)); } // NOLINT(*-explicit-*)

    // Move-only, like its processes: a copy would keep them alive.
    Server(Server&&) = default;
    Server& operator=(Server&&) = default;
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server() = default;

    /// Adds a companion that was started after those that are there already.
    void add(Process process) { state_->group.processes.push_back(std::move(process)); }

    /// Adds the files of the tool: removed when it has ended, and named where it fails.
    void add(TempDir directory) { state_->directories.push_back(std::move(directory)); }

    [[nodiscard]] const std::vector<TempDir>& directories() const noexcept {
        return state_->directories;
    }

    /// Leaves the files of the tool where they are.
    void keep_files() noexcept {
        for (auto& directory : state_->directories) {
            directory.keep();
        }
    }

    /// In the order in which they were added; never empty.
    [[nodiscard]] const std::vector<Process>& processes() const noexcept {
        return state_->group.processes;
    }

    /// To be given to every socket that waits for this tool (`Socket::watch`). Does not keep it
    /// alive.
    [[nodiscard]] std::weak_ptr<Watch> watch() const { return state_; }

    /// From now on every wait that looks after this tool ends by TimedOut when `duration` is over.
    void limit(Duration duration) {
        state_->limit = duration;
        state_->end = Deadline::after(duration);
    }

    /// Whether all of its processes run, as of now.
    [[nodiscard]] bool running() {
        state_->group.handle();
        return state_->group.first_ended() == nullptr;
    }

    /// Waits until one of its processes has ended; false where none has by `deadline`.
    bool wait_for_end(Deadline deadline) {
        return detail::pump(state_->group, deadline,
                            [this] { return state_->group.first_ended() != nullptr; });
    }

    /// Waits until the tool listens at `endpoint`, or on that port of the wildcard address, without
    /// making a connection: what comes next may be started then. Not needed for the endpoint to
    /// which the client connects, since that is tried until it succeeds.
    ///
    /// Throws ToolEnded as soon as one of its processes has ended, Unexpected where a process that
    /// is none of the tool's listens there, TimedOut after `timeout`. On systems other than Linux
    /// it does make a connection.
    void await_listening(const Endpoint& endpoint, Duration timeout = Timeouts{}.start);

    /// Waits until the process that was added last has written `text` to one of its outputs. Throws
    /// ToolEnded, and TimedOut after `timeout`.
    void await_output(std::string_view text, Duration timeout = Timeouts{}.start);

    /// SIGTERM to each process, the last one first. Does not wait; what a process has started has
    /// `linger` to end after it, and may serve its connections to their end.
    void terminate(Duration linger) {
        auto& processes = state_->group.processes;
        std::for_each(processes.rbegin(), processes.rend(),
                      [&](Process& process) { process.terminate(linger); });
    }

    /// SIGTERM to each process, the last one first, and SIGKILL to its group where it has not ended
    /// within `timeout`; what it has started has `linger` more. Blocks until all have ended.
    void stop(Duration timeout, Duration linger = Timeouts{}.linger) {
        auto& processes = state_->group.processes;
        std::for_each(processes.rbegin(), processes.rend(), [&](Process& process) {
            process.terminate(linger);
            // All are drained meanwhile: it may end only when another one has taken something.
            detail::pump(state_->group, Deadline::after(timeout),
                         [&] { return process.has_ended(); });
            process.stop(Duration::zero(), linger);
        });
    }

private:
    /// All processes, as one that `pump` looks after. Without the limit: where that is over, what
    /// still has to be awaited would otherwise be asked for without a pause.
    struct Group {
        std::vector<Process> processes;

        void append_to(std::vector<pollfd>& fds) const {
            for (const auto& process : processes) {
                process.append_to(fds);
            }
        }

        void handle() {
            for (auto& process : processes) {
                process.handle();
            }
        }

        [[nodiscard]] Duration longest_wait() const {
            auto result = Duration::max();
            for (const auto& process : processes) {
                result = std::min(result, process.longest_wait());
            }
            return result;
        }

        [[nodiscard]] const Process* first_ended() const {
            const auto found =
                std::find_if(processes.begin(), processes.end(),
                             [](const Process& process) { return process.status().has_value(); });
            return found == processes.end() ? nullptr : &*found;
        }
    };

    struct State final : Watch {
        std::vector<TempDir> directories; // outlive the processes
        Group group;
        Duration limit = Duration::max();
        Deadline end{Clock::time_point::max()};

        void append_to(std::vector<pollfd>& fds) const override { group.append_to(fds); }

        void handle() override { group.handle(); }

        void require_running() const override {
            if (const auto* process = group.first_ended()) {
                const auto& left = process->left_behind();
                throw ToolEnded{fmt::format(
                    "{} {}, {} after it was started{}", process->name(), process->status()->text(),
                    detail::text_of(process->run_time()),
                    left.empty() ? ""
                                 : fmt::format(", and left {} behind: {}; a tool under test must "
                                               "stay in the foreground",
                                               left.size(), detail::joined(left, ", ")))};
            }
        }

        void require_time(std::string_view awaited) const override {
            if (end.passed()) {
                throw TimedOut{fmt::format("the {} for one check were over while waiting for {}",
                                           detail::text_of(detail::scaled(limit)), awaited)};
            }
        }

        [[nodiscard]] Duration longest_wait() const override {
            return std::min(end.remaining(), group.longest_wait());
        }
    };

    std::shared_ptr<State> state_ = std::make_shared<State>();
};

inline void Server::await_listening(const Endpoint& endpoint, Duration timeout) {
    const auto deadline = Deadline::after(timeout);
    for (;;) {
#if TEST_TUNNEL_LINUX
        const auto found = detail::find_listeners(processes(), endpoint);
        const bool ready = std::any_of(
            found.own.begin(), found.own.end(),
            [&](const Endpoint& actual) { return detail::takes_connections(actual, endpoint); });
        // Where the tool listens too, the stranger has the wildcard of the other family only.
        if (!ready && !found.stranger.empty()) {
            throw Unexpected{fmt::format("the tool listens at {}", endpoint.text()),
                             found.stranger + ", which is another process"};
        }
#else
        const bool ready = Socket{endpoint.address.family()}.try_connect(endpoint);
#endif
        if (ready) {
            return;
        }
        if (deadline.passed()) {
            throw TimedOut{fmt::format("{} did not listen at {} for {}", processes().back().name(),
                                       endpoint.text(), detail::text_of(detail::scaled(timeout)))};
        }
        constexpr auto pause = std::chrono::milliseconds{1};
        detail::wait_for({}, Deadline{Clock::now() + pause}, state_.get(), "the tool to listen");
    }
}

inline void Server::await_output(std::string_view text, Duration timeout) {
    const auto deadline = Deadline::after(timeout);
    const auto& process = processes().back();
    const auto is_there = [&] {
        return process.out().find(text) != std::string::npos ||
               process.err().find(text) != std::string::npos;
    };
    while (!is_there()) {
        if (deadline.passed()) {
            throw TimedOut{fmt::format("{} did not write '{}' for {}", process.name(),
                                       detail::escape_controls(text),
                                       detail::text_of(detail::scaled(timeout)))};
        }
        constexpr auto pause = std::chrono::milliseconds{1};
        detail::wait_for({}, Deadline{Clock::now() + pause}, state_.get(), "the tool's output");
    }
}

} // namespace test_tunnel
