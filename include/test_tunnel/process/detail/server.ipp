#pragma once

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/escape.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/base/interruption.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/net/socket.hpp"
#include "test_tunnel/net/supervisor.hpp"
#include "test_tunnel/net/wait.hpp"
#include "test_tunnel/process/detail/listeners.hpp"
#include "test_tunnel/process/process.hpp"
#include "test_tunnel/process/server.hpp"
#include "test_tunnel/process/temp_dir.hpp"

namespace test_tunnel {

namespace detail {

/// All processes, which `pump` looks after as one. The limit is left out: once it is over, what
/// still has to be awaited would be asked for without a pause.
struct ProcessGroup {
    std::vector<Process> processes;
    /// Of each of them, whether it has handed over to another one.
    std::vector<bool> may_end;
    /// What does something to the tool, and ends.
    std::vector<Process> commands;

    void append_to(std::vector<pollfd>& fds) const {
        for (const auto* some : {&processes, &commands}) {
            for (const auto& process : *some) {
                process.append_to(fds);
            }
        }
    }

    void handle() {
        for (auto* some : {&processes, &commands}) {
            for (auto& process : *some) {
                process.handle();
            }
        }
    }

    [[nodiscard]] Duration longest_wait() const {
        auto result = Duration::max();
        for (const auto* some : {&processes, &commands}) {
            for (const auto& process : *some) {
                result = std::min(result, process.longest_wait());
            }
        }
        return result;
    }

    [[nodiscard]] const Process* first_ended() const {
        for (std::size_t i = 0; i < processes.size(); ++i) {
            if (processes[i].status() && !may_end[i]) {
                return &processes[i];
            }
        }
        return nullptr;
    }

    /// Throws ToolEnded where a command has failed.
    void require_good_commands() const {
        for (const auto& command : commands) {
            const auto& status = command.status();
            if (status && status->code() != 0) {
                const auto said = printable_tail(command.err());
                throw ToolEnded{fmt::format("{}: it {}{}", command.command_line(), status->text(),
                                            said.empty() ? "" : ": " + said)};
            }
            if (status && !command.left_behind().empty()) {
                throw ToolEnded{fmt::format(
                    "{}: it left behind, and so ended: {}; a process that takes the tool's place "
                    "must stay in the foreground, and is another thing than a command",
                    command.command_line(), joined(command.left_behind(), ", "))};
            }
        }
    }
};

} // namespace detail

struct Server::State final : Supervisor {
    std::vector<TempDir> directories; // outlive the processes
    detail::ProcessGroup group;
    Duration limit = Duration::max();
    Deadline end{Clock::time_point::max()};

    void append_to(std::vector<pollfd>& fds) const override { group.append_to(fds); }

    void handle() override { group.handle(); }

    void require_running() const override {
        group.require_good_commands();
        if (const auto* process = group.first_ended()) {
            const auto& left = process->left_behind();
            throw ToolEnded{fmt::format(
                "{} {}, {} after it was started{}", process->name(), process->status()->text(),
                text_of(process->run_time()),
                left.empty() ? ""
                             : fmt::format(", and left {} behind: {}; a tool under test must "
                                           "stay in the foreground",
                                           left.size(), joined(left, ", ")))};
        }
    }

    void require_time(std::string_view awaited) const override {
        Interruption::throw_if_any();
        if (end.passed()) {
            throw TimedOut{fmt::format("the {} for one check were over while waiting for {}",
                                       text_of(scaled(limit)), awaited)};
        }
    }

    [[nodiscard]] Duration longest_wait() const override {
        return std::min({end.remaining(), group.longest_wait(), Interruption::longest_wait()});
    }
};

TEST_TUNNEL_INLINE Server::Server(Process process) : state_{std::make_shared<State>()} {
    add(std::move(process));
}

TEST_TUNNEL_INLINE void Server::add(Process process) {
    state_->group.processes.push_back(std::move(process));
    state_->group.may_end.push_back(false);
}

TEST_TUNNEL_INLINE void Server::hand_over_to(Process successor) {
    auto& group = state_->group;
    // A master that has ended may leave the connections to its workers.
    group.processes.back().allow_linger(Timeouts{}.check);
    group.may_end.back() = true;
    add(std::move(successor));
}

TEST_TUNNEL_INLINE void Server::add_command(Process command) {
    state_->group.commands.push_back(std::move(command));
}

TEST_TUNNEL_INLINE bool Server::is_commanded() {
    auto& commands = state_->group.commands;
    state_->group.handle();
    state_->group.require_good_commands();
    std::erase_if(commands, [](const Process& command) { return command.status().has_value(); });
    return !commands.empty();
}

TEST_TUNNEL_INLINE void Server::signal(int number) noexcept {
    state_->group.processes.back().signal(number);
}

TEST_TUNNEL_INLINE bool Server::may_end(std::size_t index) const noexcept {
    return index < state_->group.may_end.size() && state_->group.may_end[index];
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

TEST_TUNNEL_INLINE std::shared_ptr<Supervisor> Server::supervisor() const {
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

TEST_TUNNEL_INLINE void Server::close_outputs() {
    for (auto& process : state_->group.processes) {
        process.close_outputs();
    }
}

TEST_TUNNEL_INLINE bool Server::hold_outputs() {
    bool result = false;
    for (auto& process : state_->group.processes) {
        result = process.hold_outputs() || result;
    }
    return result;
}

TEST_TUNNEL_INLINE void Server::release_outputs() noexcept {
    for (auto& process : state_->group.processes) {
        process.release_outputs();
    }
}

TEST_TUNNEL_INLINE void Server::restart(std::size_t place) {
    state_->group.processes.at(place).restart();
}

TEST_TUNNEL_INLINE void Server::suspend(std::size_t place) {
    state_->group.processes.at(place).suspend();
}

TEST_TUNNEL_INLINE void Server::resume(std::size_t place) {
    state_->group.processes.at(place).resume();
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

TEST_TUNNEL_INLINE std::string Server::transcript() const {
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
void Server::with_transcript(Wait wait) const {
    try {
        wait();
    } catch (const ToolEnded& error) {
        throw ToolEnded{error.what() + transcript()};
    } catch (const TimedOut& error) {
        throw TimedOut{error.what() + transcript()};
    }
}

TEST_TUNNEL_INLINE void Server::await_listening(const Endpoint& endpoint, Duration timeout) {
    with_transcript([&] { wait_until_listening(endpoint, timeout); });
}

TEST_TUNNEL_INLINE void Server::await_udp(const Endpoint& endpoint, Duration timeout) {
    with_transcript([&] { wait_for_udp(endpoint, timeout); });
}

TEST_TUNNEL_INLINE void Server::await_output(std::string_view text, Duration timeout) {
    with_transcript([&] { wait_for_output(text, timeout); });
}

TEST_TUNNEL_INLINE void Server::wait_until_listening(const Endpoint& endpoint, Duration timeout) {
    const auto listens = [&] {
        const auto found = detail::find_listeners(processes(), endpoint);
        if (!found.are_known) {
            return Socket{endpoint.address.family()}.try_connect(endpoint);
        }
        // Where the tool listens too, the other process has the wildcard of another family only.
        const bool is_own = found.take_connections(endpoint);
        if (!is_own) {
            found.require_no_other_process(endpoint);
        }
        return is_own;
    };
    if (!wait_until(listens, Deadline::after(timeout), state_.get(), "the tool to listen")) {
        const auto elsewhere = detail::find_listeners(processes(), endpoint).own;
        throw TimedOut{fmt::format(
            "{} did not listen at {} for {}{}", processes().back().name(), endpoint.text(),
            text_of(scaled(timeout)),
            elsewhere.empty() ? "" : "; the tool listens at " + joined(elsewhere, ", "))};
    }
}

TEST_TUNNEL_INLINE void Server::wait_for_udp(const Endpoint& endpoint, Duration timeout) {
    const auto is_bound = [&] {
        return detail::receives_udp(processes(), endpoint).value_or(true);
    };
    // Looking through the machine's tables and processes is not for every millisecond.
    constexpr auto interval = std::chrono::milliseconds{5};
    if (!wait_until(is_bound, Deadline::after(timeout), state_.get(), "the tool to receive UDP",
                    interval)) {
        throw TimedOut{fmt::format("{} did not receive UDP at {} for {}", processes().back().name(),
                                   endpoint.text(), text_of(scaled(timeout)))};
    }
}

TEST_TUNNEL_INLINE void Server::wait_for_output(std::string_view text, Duration timeout) {
    const auto& process = processes().back();
    const auto is_there = [&] {
        return process.out().find(text) != std::string::npos ||
               process.err().find(text) != std::string::npos;
    };
    if (!wait_until(is_there, Deadline::after(timeout), state_.get(), "the tool's output")) {
        throw TimedOut{fmt::format("{} did not write '{}' for {}", process.name(),
                                   detail::escape_controls(text), text_of(scaled(timeout)))};
    }
}

} // namespace test_tunnel
