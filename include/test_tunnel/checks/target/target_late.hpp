#pragma once

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

#include "test_tunnel/checks/detail/full_queue.hpp"
#include "test_tunnel/net/expect.hpp"
#include "test_tunnel/net/supervisor.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Looks after the tool, and releases the queue at a given time, even while the handshake hook
/// waits for the tool.
class TimedRelease final : public Supervisor {
public:
    TimedRelease(FullQueue& queue, std::shared_ptr<Supervisor> tool, Clock::time_point when)
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
    std::shared_ptr<Supervisor> tool_;
    Clock::time_point when_;
};

/// Has a client say all that it has to say, and end its direction, while the tool still waits for
/// its connection to the server: `command | nc host port` does.
inline void end_before_accept(PairRun& run) {
    constexpr std::size_t most = 65536; // a tool may leave it where it is, in the system's buffers
    FullQueue queue{run};
    queue.fill();
    if (queue.is_released()) {
        return;
    }
    auto client = run.connect_client();
    run.expect_arrival();
    run.step("all early", "what a client wrote, and its end, arrive when the server accepts later",
             Party::client, Party::server);
    const auto text = run.pattern(1).bytes(0, most);
    std::size_t written = 0;
    while (const auto taken = client.try_write(std::string_view{text}.substr(written))) {
        written += taken;
    }
    client.shutdown_write();
    queue.await_dial();
    queue.release();
    auto server = run.accept(client);
    expect_read(server, std::string_view{text}.substr(0, written), run.up);
    run.demand_end(server, run.up);
}

/// Has a client write while the tool still connects to a server that takes its time: what the
/// client writes may not be lost, and neither side may be given up.
inline void accept_late(PairRun& run) {
    using namespace std::chrono_literals;
    constexpr std::size_t early_size = 4096;
    bool greets_unasked = false;
    {
        auto connection = run.connect();
        greets_unasked = connection.client.written() == 0;
        run.round_trip(connection);
    }
    if (run.upstream().is_there() && !greets_unasked) {
        throw NotApplicable{
            "it answers its client when its upstream proxy has answered, no sooner"};
    }
    run.settle();
    // Starts another tool where that was its only connection.
    const auto tool = run.upstream().supervisor();
    FullQueue queue{run};
    if (run.strict()) {
        queue.fill();
    }
    auto client = run.connect_client();
    const auto open_again = Clock::now() + run.wait(200ms);
    const auto release = std::make_shared<TimedRelease>(queue, tool, open_again);
    client.supervise(release);
    const auto early = run.pattern().bytes(0, early_size);
    if (greets_unasked) {
        client.write(early); // it may wait for the tool to connect before it says anything
    }
    try {
        run.handshake(client);
    } catch (const Error&) {
        if (!queue.is_released() && Clock::now() > open_again + 1s) {
            queue.release();
            run.kill_after_check();
            throw NotApplicable{
                "its handshake hook does not wait by means of the socket that it is given, so that "
                "the server could not begin to accept meanwhile"};
        }
        throw;
    }
    if (!greets_unasked) {
        client.write(early);
    }
    run.step("late accept",
             fmt::format("the client is kept while the server does not accept for {}",
                         text_of(run.wait(200ms))),
             Party::tool, Party::client);
    run.require_silence({&client}, std::max(open_again - Clock::now(), Duration::zero()));
    queue.release();
    client.supervise(run.supervisor());
    auto server = run.accept(client);
    run.step("early data", "what the client wrote before the server had accepted arrives",
             Party::client, Party::server);
    expect_read(server, early, run.up);
    {
        Connection connection{std::move(client), std::move(server)};
        run.round_trip(connection);
    }
    if (run.strict() && greets_unasked && run.expects_end(Direction::up)) {
        run.settle();
        end_before_accept(run);
    }
}

inline constexpr Check target_late{
    .id = "target.late",
    .title = "what the client writes before the server has accepted the connection arrives",
    .run = accept_late};

} // namespace test_tunnel::check
