#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/file_io.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/detail/log_relay.hpp"
#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/base/interruption.hpp"
#include "test_tunnel/net/wait.hpp"
#include "test_tunnel/process/detail/child.hpp"
#include "test_tunnel/process/exit_status.hpp"
#include "test_tunnel/report/detail/bytes.hpp"
#include "test_tunnel/run/detail/pair_test.hpp"
#include "test_tunnel/run/detail/workers.hpp"
#include "test_tunnel/run/tunnel.hpp"

namespace test_tunnel::detail {

/// What precedes each message.
struct WorkerHeader {
    std::size_t kind = 0; // without a gap behind it
    std::size_t size = 0;
};

inline std::string framed(char kind, std::string_view bytes) {
    WorkerHeader header{.kind = static_cast<unsigned char>(kind), .size = bytes.size()};
    std::string result(sizeof header, '\0');
    std::memcpy(result.data(), &header, sizeof header);
    return result.append(bytes);
}

[[noreturn]] inline void throw_again(StopCause cause, const std::string& text) {
    switch (cause) {
        case StopCause::tool_missing:
            throw ToolMissing{text};
        case StopCause::pairs_missing:
            throw PairsMissing{text};
        case StopCause::no_addresses:
            throw NoAddresses{text};
        case StopCause::no_private_network:
            throw PrivateNetworkUnavailable{text};
        case StopCause::interrupted:
            throw Interrupted{text};
        case StopCause::none:
        case StopCause::other:
            break;
    }
    throw SetupError{text};
}

TEST_TUNNEL_INLINE Workers::Workers(TestTunnel& tunnel, const std::vector<Pair>& pairs,
                                    std::uint64_t seed, const Told& told)
    : tunnel_{tunnel}, pairs_{pairs}, seed_{seed}, told_{told} {}

TEST_TUNNEL_INLINE Workers::~Workers() {
    end_all();
}

TEST_TUNNEL_INLINE void Workers::run() {
    std::size_t next = 0;
    const auto& config = tunnel_.config();
    while (turn_ < pairs_.size() && !is_decided_ && died_.empty()) {
        const auto running = std::count_if(workers_.begin(), workers_.end(),
                                           [](const Worker& worker) { return worker.pid != -1; });
        const bool wants_more = !has_failed_ || config.on_failure != OnFailure::stop;
        if (next < pairs_.size() && wants_more && static_cast<std::size_t>(running) < config.jobs) {
            start(next++);
        } else {
            constexpr Duration longest = std::chrono::seconds{1};
            read_from_all(Deadline::unscaled(std::min(Interruption::longest_wait(), longest)));
        }
        if (!Interruption::reason().empty()) {
            break;
        }
    }
    if (turn_ == pairs_.size()) {
        return;
    }
    // Where this was interrupted, each has got the signal, or gets it now, and says what it has
    // done so far.
    const auto died = died_;
    end_all();
    for (; turn_ < pairs_.size(); ++turn_) { // a pair that has no result is left out
        tell_waiting();
    }
    Interruption::throw_if_any();
    if (!died.empty()) {
        throw SetupError{died.front()};
    }
}

TEST_TUNNEL_INLINE void Workers::read_from_all(Deadline deadline) {
    std::vector<SocketEvent> events;
    events.reserve(workers_.size());
    for (const auto& worker : workers_) {
        events.push_back({.fd = worker.from.get(), .layer = nullptr, .events = POLLIN});
    }
    wait_for(events, deadline, nullptr, "the pairs");
    for (std::size_t i = 0; i < events.size(); ++i) {
        if (events[i].revents != 0) {
            read_from(workers_[i]);
        }
    }
}

TEST_TUNNEL_INLINE void Workers::start(std::size_t index) {
    auto pipe = make_pipe();
    std::fflush(nullptr); // what is not written yet would be written twice
    // A signal that comes before the worker takes it itself shall wait for that.
    sigset_t taken;
    sigset_t before;
    ::sigemptyset(&taken);
    for (const int signal : Interruption::signals) {
        ::sigaddset(&taken, signal);
    }
    ::pthread_sigmask(SIG_BLOCK, &taken, &before);
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid == 0) {
        die_with(parent);
        const Interruption interruption{Interruption::Forked{}};
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        pipe.read_end.reset();
        for (auto& other : workers_) {
            other.from.reset();
            other.pid = -1;
        }
        work(index, pipe.write_end.get());
    }
    const int error = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (pid == -1) {
        throw SystemError{"fork", error};
    }
    workers_.push_back({.index = index, .pid = pid, .from = std::move(pipe.read_end)});
}

/// The life of a worker. Nothing is thrown out of it: what stands on the stack belongs to the other
/// process.
TEST_TUNNEL_INLINE void Workers::work(std::size_t index, int to) {
    const auto send = [&](Kind kind, std::string_view bytes) {
        write_all(to, framed(static_cast<char>(kind), bytes), "telling what has come of a pair");
    };
    int status = 0;
    try {
        relay_log(*tunnel_.config().log,
                  [&](int level, std::string text) { send(Kind::log, to_bytes(level, text)); });
        const PairNews news{.check_begins =
                                [&](const Observer::Progress& progress) {
                                    std::string id{progress.id};
                                    auto position = progress.index;
                                    auto count = progress.count;
                                    send(Kind::begins, to_bytes(id, position, count));
                                },
                            .check_failed =
                                [&](CheckResult& failure, const std::string& /*pair*/) {
                                    send(Kind::failed, to_bytes(failure));
                                }};
        StopCause cause = StopCause::none;
        std::string error;
        try {
            auto result = PairTest{tunnel_, pairs_[index], seed_, news}.run();
            send(Kind::ended, to_bytes(result));
        } catch (const std::exception& thrown) {
            cause = stop_cause_of(thrown);
            error = thrown.what();
        } catch (...) { // a test framework's own
            cause = StopCause::other;
            error =
                "a hook threw an exception that is no std::exception, in a process of its own "
                "(jobs)";
        }
        if (cause != StopCause::none) {
            send(Kind::error, to_bytes(cause, error));
        }
    } catch (...) { // nobody listens any more
        status = 1;
    }
    std::fflush(nullptr);
    ::_exit(status);
}

TEST_TUNNEL_INLINE void Workers::read_from(Worker& worker) {
    std::array<char, 65536> buffer{};
    const auto count =
        retry_eintr([&] { return ::read(worker.from.get(), buffer.data(), buffer.size()); });
    if (count <= 0) {
        worker.from.reset();
        require_result(worker);
        return;
    }
    worker.received.append(buffer.data(), static_cast<std::size_t>(count));
    std::size_t begin = 0;
    WorkerHeader header;
    while (worker.received.size() - begin >= sizeof header) {
        std::memcpy(&header, worker.received.data() + begin, sizeof header);
        if (worker.received.size() - begin - sizeof header < header.size) {
            break;
        }
        Message message{static_cast<Kind>(static_cast<char>(header.kind)),
                        worker.received.substr(begin + sizeof header, header.size)};
        begin += sizeof header + header.size;
        take(worker, std::move(message));
    }
    worker.received.erase(0, begin);
}

TEST_TUNNEL_INLINE void Workers::take(Worker& worker, Message message) {
    if (message.kind == Kind::begins) {
        std::string id;
        std::size_t index = 0;
        std::size_t count = 0;
        from_bytes(message.bytes, id, index, count);
        const auto slug = tunnel_.slug();
        const auto pair = pairs_[worker.index].name();
        told_.news.check_begins(
            {.slug = slug, .pair = pair, .id = id, .index = index, .count = count});
        return;
    }
    const bool is_first_failure = message.kind == Kind::failed && !has_failed_;
    if (message.kind == Kind::failed) {
        worker.has_failed = true;
        has_failed_ = true;
    }
    if (message.kind == Kind::ended || message.kind == Kind::error) {
        worker.has_ended = true;
        is_decided_ =
            is_decided_ || (worker.has_failed && tunnel_.config().on_failure == OnFailure::stop);
    }
    if (is_first_failure) {
        tell(worker, message);
        return;
    }
    worker.waiting.push_back(std::move(message));
    if (worker.index == turn_) { // what has waited comes before it
        tell_waiting();
    }
}

TEST_TUNNEL_INLINE void Workers::tell(Worker& worker, const Message& message) {
    const auto& pair = pairs_[worker.index];
    switch (message.kind) {
        case Kind::log: {
            int level = 0;
            std::string text;
            from_bytes(message.bytes, level, text);
            tunnel_.config().log->log(static_cast<spdlog::level::level_enum>(level), "{}", text);
            break;
        }
        case Kind::failed: {
            CheckResult failure;
            from_bytes(message.bytes, failure);
            told_.news.check_failed(failure, pair.name());
            break;
        }
        case Kind::ended: {
            PairResult result{.pair = pair, .checks = {}};
            from_bytes(message.bytes, result);
            ++turn_;
            told_.pair_ended(std::move(result));
            break;
        }
        case Kind::error: {
            StopCause cause{};
            std::string text;
            from_bytes(message.bytes, cause, text);
            if (cause == StopCause::interrupted && !Interruption::reason().empty()) {
                break; // as this process is
            }
            throw_again(cause, text);
        }
        case Kind::begins:
            break;
    }
}

/// Tells what has waited for the turn of its pair, which is now, and of those after it as far as
/// they have ended.
TEST_TUNNEL_INLINE void Workers::tell_waiting() {
    for (;;) {
        const auto next = std::find_if(workers_.begin(), workers_.end(),
                                       [&](const Worker& worker) { return worker.index == turn_; });
        if (next == workers_.end() || next->waiting.empty()) {
            return;
        }
        for (const auto& message : std::exchange(next->waiting, {})) {
            tell(*next, message);
        }
    }
}

/// A worker has ended: it must have said what has come of its pair.
TEST_TUNNEL_INLINE void Workers::require_result(Worker& worker) {
    siginfo_t info{};
    const auto pid = static_cast<id_t>(std::exchange(worker.pid, -1));
    const bool is_known = retry_eintr([&] { return ::waitid(P_PID, pid, &info, WEXITED); }) == 0;
    if (!worker.has_ended) {
        died_.push_back(
            fmt::format("the process that tested {} {} ended before it had a result: it {}",
                        tunnel_.slug(), pairs_[worker.index].name(),
                        is_known ? ExitStatus{info}.text() : "was reaped by somebody else"));
    }
}

/// Has all of them end in good order, listening to what they still say, and kills those that do
/// not.
TEST_TUNNEL_INLINE void Workers::end_all() {
    for (const auto& worker : workers_) {
        if (worker.pid != -1) {
            ::kill(worker.pid, SIGTERM);
        }
    }
    // Tools that consist of several processes are given so long for each of them.
    constexpr int processes = 3;
    const auto& timeouts = tunnel_.config().timeouts;
    const auto deadline = Deadline::after(processes * (timeouts.stop + timeouts.linger));
    const auto turn = std::exchange(turn_, pairs_.size()); // nothing is told here
    const bool is_interrupted = !Interruption::reason().empty();
    for (auto& worker : workers_) {
        worker.is_unwanted = !worker.has_ended && !is_interrupted;
    }
    const auto runs = [](const Worker& worker) { return worker.pid != -1; };
    while (std::any_of(workers_.begin(), workers_.end(), runs) && !deadline.passed()) {
        try {
            read_from_all(deadline);
        } catch (...) { // NOLINT(bugprone-empty-catch): what has ended this run is told
        }
    }
    for (auto& worker : workers_) {
        if (worker.is_unwanted) { // as far as it came
            worker.waiting.clear();
        }
        if (worker.pid != -1) {
            ::kill(worker.pid, SIGKILL);
            retry_eintr([&] { return ::waitpid(worker.pid, nullptr, 0); });
            worker.pid = -1;
        }
    }
    turn_ = turn;
}

} // namespace test_tunnel::detail
