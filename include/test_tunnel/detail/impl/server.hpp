#pragma once

#include <poll.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../address.hpp"
#include "../../deadline.hpp"
#include "../../error.hpp"
#include "../../process.hpp"
#include "../../server.hpp"
#include "../../socket.hpp"
#include "../../temp_dir.hpp"
#include "../../watch.hpp"
#include "../inline.hpp"
#include "../listeners.hpp"
#include "../text.hpp"

namespace test_tunnel {

namespace detail {

/// All processes, as one that `pump` looks after. Without the limit: where that is over, what
/// still has to be awaited would otherwise be asked for without a pause.
struct ProcessGroup {
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

} // namespace detail

struct Server::State final : Watch {
    std::vector<TempDir> directories; // outlive the processes
    detail::ProcessGroup group;
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

TEST_TUNNEL_INLINE Server::Server(Process process) : state_{std::make_shared<State>()} {
    add(std::move(process));
}

TEST_TUNNEL_INLINE void Server::add(Process process) {
    state_->group.processes.push_back(std::move(process));
}

TEST_TUNNEL_INLINE void Server::add(TempDir directory) {
    state_->directories.push_back(std::move(directory));
}

TEST_TUNNEL_INLINE const std::vector<TempDir>& Server::directories() const noexcept {
    return state_->directories;
}

TEST_TUNNEL_INLINE void Server::keep_files() noexcept {
    for (auto& directory : state_->directories) {
        directory.keep();
    }
}

TEST_TUNNEL_INLINE const std::vector<Process>& Server::processes() const noexcept {
    return state_->group.processes;
}

TEST_TUNNEL_INLINE std::weak_ptr<Watch> Server::watch() const {
    return state_;
}

TEST_TUNNEL_INLINE void Server::limit(Duration duration) {
    state_->limit = duration;
    state_->end = Deadline::after(duration);
}

TEST_TUNNEL_INLINE bool Server::running() {
    state_->group.handle();
    return state_->group.first_ended() == nullptr;
}

TEST_TUNNEL_INLINE bool Server::wait_for_end(Deadline deadline) {
    return detail::pump(state_->group, deadline,
                        [this] { return state_->group.first_ended() != nullptr; });
}

TEST_TUNNEL_INLINE void Server::terminate(Duration linger) {
    auto& processes = state_->group.processes;
    std::for_each(processes.rbegin(), processes.rend(),
                  [&](Process& process) { process.terminate(linger); });
}

TEST_TUNNEL_INLINE void Server::stop(Duration timeout, Duration linger) {
    auto& processes = state_->group.processes;
    std::for_each(processes.rbegin(), processes.rend(), [&](Process& process) {
        process.terminate(linger);
        // All are drained meanwhile: it may end only when another one has taken something.
        detail::pump(state_->group, Deadline::after(timeout), [&] { return process.has_ended(); });
        process.stop(Duration::zero(), linger);
    });
}

TEST_TUNNEL_INLINE std::string Server::story() const {
    std::string result;
    for (const auto& process : processes()) {
        result += fmt::format("\n$ {}", process.command_line());
        for (const auto& output : {process.out(), process.err()}) {
            const auto text = detail::printable_tail(output);
            result += text.empty() ? "" : "\n" + text;
        }
    }
    return result;
}

template <typename Wait>
void Server::with_story(Wait wait) const {
    try {
        wait();
    } catch (const ToolEnded& error) {
        throw ToolEnded{error.what() + story()};
    } catch (const TimedOut& error) {
        throw TimedOut{error.what() + story()};
    }
}

TEST_TUNNEL_INLINE void Server::await_listening(const Endpoint& endpoint, Duration timeout) {
    with_story([&] { wait_until_listening(endpoint, timeout); });
}

TEST_TUNNEL_INLINE void Server::await_output(std::string_view text, Duration timeout) {
    with_story([&] { wait_for_output(text, timeout); });
}

TEST_TUNNEL_INLINE void Server::wait_until_listening(const Endpoint& endpoint, Duration timeout) {
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

TEST_TUNNEL_INLINE void Server::wait_for_output(std::string_view text, Duration timeout) {
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
