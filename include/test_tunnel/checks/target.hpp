#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../check.hpp"
#include "../detail/probing.hpp"
#include "../expect.hpp"
#include "../pair_run.hpp"
#include "support.hpp"

namespace test_tunnel::check {

/// How a client learns that the target can't be reached.
struct Refusal {
    Refuses how{};
    /// In the handshake the tool has said something, and that pleased the hook.
    bool after_success = false;
};

/// Whether anything has arrived at this socket since it was made; false where that is not known.
inline bool has_received(const Socket& socket) {
    if (const auto* const layer = socket.layer()) {
        return layer->received() > 0; // what belongs to the layer itself promises nothing
    }
#if TEST_TUNNEL_LINUX
    // Not netinet/tcp.h's structure, which ends before this member; the kernel's begins alike.
    constexpr std::size_t bytes_received = 128;
    std::array<char, 256> info{};
    socklen_t length = info.size();
    std::uint64_t count = 0;
    if (::getsockopt(socket.fd(), IPPROTO_TCP, TCP_INFO, info.data(), &length) == 0 &&
        length >= bytes_received + sizeof count) {
        std::memcpy(&count, info.data() + bytes_received, sizeof count);
    }
    return count > 1; // the end of the stream counts as one
#else
    static_cast<void>(socket);
    return false;
#endif
}

/// That a tool which serves more than one connection does so after a disturbance.
inline void go_on(PairRun& run, std::string_view when) {
    run.settle();
    if (!run.has_server()) {
        throw Unexpected{fmt::format("the tool runs on when {}", when), "it ended by itself"};
    }
    run.sentinel();
}

/// Connects a client to the tool, and waits until it has learnt that nobody listens at the target.
inline Refusal await_refusal(PairRun& run) {
    using namespace std::chrono_literals;
    const auto patience = run.config().timeouts.io;
    auto client = Socket{run.pair().proxy_listen.address.family()};
    try {
        client = run.connect_client();
    } catch (const SystemError& error) {
        if (error.code() != ECONNRESET) {
            throw;
        }
        return {Refuses::by_reset}; // so soon that it is connect which tells of it
    }
    const auto deadline = Deadline::after(patience);
    try {
        run.handshake(client);
    } catch (const SetupError&) {
        throw;
    } catch (const ToolEnded&) {
        throw;
    } catch (const std::exception& error) {
        if (deadline.passed()) { // whatever the hook has made of a TimedOut
            throw Unexpected{"the tool refuses in the handshake, or ends the client's connection",
                             fmt::format("the client is left waiting: {}", error.what())};
        }
        return {Refuses::in_handshake};
    }
    const bool success = has_received(client);
    run.step("refusal",
             fmt::format("the tool ends the client's connection, by an end of stream or a reset, "
                         "since nobody listens at {}",
                         run.pair().svc_listen.listen()),
             Party::tool, Party::client);
    auto ending = await_ending(run, client, Deadline{Clock::now() + run.wait(3s)});
    if (!ending && run.speaks_first()) {
        // Now that it has been spoken to. Not before: that makes a reset of an end.
        try {
            client.write("Is anybody there?\n");
        } catch (const SystemError&) {
            return {Refuses::by_reset, success};
        }
    }
    if (!ending) {
        ending = await_ending(run, client, deadline);
    }
    if (!ending) {
        throw Unexpected{run.expected(),
                         fmt::format("the client is left waiting: {}nothing came for {}",
                                     success ? "the handshake reported success, then " : "",
                                     detail::text_of(detail::scaled(patience)))};
    }
    return {*ending == Ending::reset ? Refuses::by_reset : Refuses::by_end, success};
}

/// Replaces the listener by a socket that is only bound.
inline void stop_listening(PairRun& run, Socket& listener, const Endpoint& endpoint) {
    const auto deadline = Deadline::after(run.config().timeouts.start);
    listener.close();
    for (;;) {
        try {
            listener = bind_to(run.config(), endpoint);
            listener.watch(run.watch());
            return;
        } catch (const SystemError& error) {
            if (error.code() != EADDRINUSE || deadline.passed()) {
                throw;
            }
        }
        // A process that was forked off lately may not yet have closed its copy of the listener.
        constexpr auto pause = std::chrono::milliseconds{1};
        detail::wait_for({}, Deadline{Clock::now() + pause}, run.watch().lock().get(),
                         "the server to stop listening");
    }
}

/// Whether the system itself refuses a connection from where the tool connects: not every Linux
/// gets the refusal of a global IPv6 address through to ::1.
inline bool is_refused(PairRun& run) {
    auto probe = bind_to(run.config(), {run.pair().svc_listen.clients.front(), 0});
    probe.set_timeout(detail::probe_timeout);
    try {
        return !probe.try_connect(run.pair().svc_listen.listen());
    } catch (const TimedOut&) {
        return false;
    } catch (const SystemError&) { // no route: the machine's, not the tool's
        return false;
    }
}

/// The server is bound, so that nobody else can be there, and does not listen: the client must be
/// told so, and a healthy server be reached afterwards.
inline void unreachable(PairRun& run) {
    const bool once = serves_once(run);
    auto& listener = run.listener(); // starts the tool where it does not run
    const auto target = run.pair().svc_listen.listen();
    run.step("closed target",
             fmt::format("the server can be bound to {} without listening", target), Party::server,
             Party::server);
    stop_listening(run, listener, target);
    if (!is_refused(run)) {
        listener.listen();
        throw NotApplicable{fmt::format("on this machine nobody at {} learns that {} is closed",
                                        run.pair().svc_listen.clients.front(), target)};
    }
    std::optional<Refusal> refusal;
    try {
        refusal = await_refusal(run);
    } catch (const ToolEnded&) {
        if (!once) {
            throw;
        }
    }
    listener.listen();
    if (once) {
        // It may end for that, with any status; but not by a crash.
        run.server().wait_for_end(Deadline::after(run.config().timeouts.linger));
        for (const auto& process : run.server().processes()) {
            if (process.status() && process.status()->signal()) {
                throw Unexpected{"the tool ends by itself when the target can't be reached",
                                 fmt::format("{} {}", process.name(), process.status()->text())};
            }
        }
        run.discard();
    }
    if (refusal) {
        // One that answers in its handshake should not have answered that all is well.
        run.judge<Refuses>(
            "refuses", "nobody listens at the target", run.traits().refuses, refusal->how,
            refusal->after_success ? std::optional{Refuses::in_handshake} : std::nullopt);
    }
    if (!once) {
        go_on(run, "the target can't be reached");
    }
}

/// The server accepts and resets at once. A tool that looks only after the client's side, or dies
/// of what it did not expect, is found.
inline void target_resets(PairRun& run) {
    const bool once = serves_once(run);
    {
        auto connection = run.connect();
        run.step("reset by the server",
                 "the client's connection ends when the server has accepted and reset at once",
                 Party::server, Party::client);
        connection.server.reset();
        const bool passes_eof = run.traits().passes_eof.value_or(true);
        using namespace std::chrono_literals;
        const auto deadline = passes_eof ? Deadline::after(run.config().timeouts.io)
                                         : Deadline{Clock::now() + run.wait(1s)};
        if (!await_ending(run, connection.client, deadline) && passes_eof) {
            throw Unexpected{
                run.expected(),
                fmt::format("nothing for {}; a tool that does not pass an end on has to declare "
                            "Traits::passes_eof = false",
                            detail::text_of(detail::scaled(run.config().timeouts.io)))};
        }
    }
    if (once) {
        run.discard(); // with which status it ends then is its own business
        return;
    }
    go_on(run, "the server resets a connection");
}

/// Keeps a listener from taking connections, which are not refused either: its queue is full. The
/// system of whoever connects tries again after a second.
class FullQueue {
public:
    /// Where it is not `wanted`, or on another system, it is the usual queue.
    FullQueue(PairRun& run, bool wanted) : run_{run} {
#if TEST_TUNNEL_LINUX
        if (!wanted) {
            return;
        }
        const auto target = run.pair().svc_listen.listen();
        run.require_no_stranger();
        run.listener().listen(most - 1);
        for (int i = 0; i < most; ++i) {
            plugs_.emplace_back(target.address.family(), run.config().timeouts.io);
            plugs_.back().connect(target);
        }
#else
        static_cast<void>(wanted);
#endif
    }
    FullQueue(const FullQueue&) = delete;
    FullQueue& operator=(const FullQueue&) = delete;
    ~FullQueue() = default;

    void release() {
        if (!plugs_.empty()) {
            for (std::size_t i = 0; i < plugs_.size(); ++i) {
                if (auto accepted = run_.listener().try_accept()) {
                    accepted->reset(); // no tool's: nothing comes first on it
                }
            }
            plugs_.clear();
            run_.listener().listen();
        }
    }

    [[nodiscard]] bool is_released() const { return plugs_.empty(); }

private:
    static constexpr int most = 2;

    PairRun& run_;
    std::vector<Socket> plugs_;
};

/// Opens the queue after a while, even while the handshake hook waits for the tool.
class TimedRelease final : public Watch {
public:
    TimedRelease(FullQueue& queue, std::shared_ptr<Watch> tool, Clock::time_point when)
        : queue_{queue}, tool_{std::move(tool)}, when_{when} {}

    void append_to(std::vector<pollfd>& fds) const override { tool_->append_to(fds); }
    void handle() override {
        tool_->handle();
        if (Clock::now() >= when_) {
            queue_.release();
        }
    }
    void require_running() const override { tool_->require_running(); }
    void require_time(std::string_view awaited) const override { tool_->require_time(awaited); }
    [[nodiscard]] Duration longest_wait() const override {
        const auto left = std::max(when_ - Clock::now(), Duration::zero());
        return std::min(tool_->longest_wait(), queue_.is_released() ? Duration::max() : left);
    }

private:
    FullQueue& queue_;
    std::shared_ptr<Watch> tool_;
    Clock::time_point when_;
};

/// A client that writes while the tool still connects, to a server that takes its time: what it
/// writes must wait, not be lost, and nobody be given up.
inline void late(PairRun& run) {
    using namespace std::chrono_literals;
    constexpr std::size_t early_size = 4096;
    bool greets_unasked = false;
    {
        auto connection = run.connect();
        greets_unasked = connection.client.written() == 0;
        run.round_trip(connection);
    }
    run.settle();
    const auto tool = run.watch().lock(); // starts it where that was its only connection
    FullQueue queue{run, run.strict()};
    auto client = run.connect_client();
    const auto open_again = Clock::now() + run.wait(200ms);
    const auto release = std::make_shared<TimedRelease>(queue, tool, open_again);
    client.watch(release);
    const auto early = run.pattern().bytes(0, early_size);
    if (greets_unasked) {
        client.write(early); // it may wait for the tool to connect before it says anything
    }
    try {
        run.handshake(client);
    } catch (const Error&) {
        if (!queue.is_released() && Clock::now() > open_again + 1s) {
            queue.release();
            run.discard();
            throw NotApplicable{
                "its handshake does not wait by the socket that it is given, so "
                "that the server could not begin to accept meanwhile"};
        }
        throw;
    }
    if (!greets_unasked) {
        client.write(early);
    }
    run.step("late accept",
             fmt::format("the client is kept while the server does not accept for {}",
                         detail::text_of(run.wait(200ms))),
             Party::tool, Party::client);
    run.require_silence({&client}, std::max(open_again - Clock::now(), Duration::zero()));
    queue.release();
    client.watch(run.watch());
    auto server = run.accept(client);
    run.step("early data", "what the client wrote before the server accepted arrives",
             Party::client, Party::server);
    expect_read(server, early, run.up);
    Connection connection{std::move(client), std::move(server)};
    run.round_trip(connection);
}

inline constexpr std::array target_checks{
    Check{.id = "target.unreachable",
          .title = "the client is told when nobody listens at the target, and not kept waiting",
          .trait = "refuses",
          .run = unreachable},
    Check{.id = "target.resets",
          .title = "the client learns when the server accepts and resets at once",
          .trait = "passes_eof",
          .run = target_resets},
    Check{.id = "target.late",
          .title = "what the client writes before the server accepts arrives",
          .run = late}};

} // namespace test_tunnel::check
