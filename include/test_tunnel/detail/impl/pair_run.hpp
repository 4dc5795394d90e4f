#pragma once

// What PairRun does by means of TestTunnel.

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../tunnel.hpp"
#include "../inline.hpp"
#include "../probing.hpp"
#include "../text.hpp"
#include "../verdict.hpp"

namespace test_tunnel {

TEST_TUNNEL_INLINE PairRun::PairRun(TestTunnel& tunnel, Pair pair, std::uint64_t seed)
    : tunnel_{tunnel},
      traits_{tunnel.traits()},
      pair_{std::move(pair)},
      seed_{Pattern{seed}.derive(pair_.name())},
      pattern_{seed_},
      speaks_first_{traits_.speaks_first},
      started_{Clock::now()} {}

TEST_TUNNEL_INLINE const ConfigProg& PairRun::config() const noexcept {
    return tunnel_.config();
}

// --- The tool's life

TEST_TUNNEL_INLINE void PairRun::start() {
    if (starts_++ > 0) {
        // On the ports of the last one its connections may linger (TIME_WAIT).
        pair_ = {detail::with_fresh_ports(config(), pair_.proxy_listen),
                 detail::with_fresh_ports(config(), pair_.svc_listen)};
    }
    const auto target = pair_.svc_listen.listen();
    // Before the tool is started: whenever it connects, somebody listens.
    step("listen", fmt::format("the server can listen at {}", target), Party::server,
         Party::server);
    listener_.emplace(bind_to(config(), target));
    listener_->listen();

    step("start", "the tool can be started");
    server_.emplace(tunnel_.spawn_server(pair_.proxy_listen, pair_.svc_listen));
    server_->limit(config().timeouts.check);
    listener_->watch(server_->watch());
    if (settles_) {
        step("settle", "the tool has got ready, and runs");
        constexpr auto moment = std::chrono::milliseconds{500};
        detail::wait_for({}, Deadline::after(moment), watch().lock().get(), "the tool to be ready");
    }
    connections_ = 0;
    tool_end_.reset();
}

TEST_TUNNEL_INLINE Server& PairRun::server() {
    if (!server_) {
        start();
    }
    return *server_;
}

TEST_TUNNEL_INLINE Socket& PairRun::listener() {
    if (!server_) {
        start();
    }
    return *listener_;
}

TEST_TUNNEL_INLINE void PairRun::stop() {
    auto& tool = server();
    step("stop", fmt::format("the tool runs until SIGTERM and then ends within {}",
                             detail::text_of(detail::scaled(config().timeouts.stop))));
    const auto ended = detail::who_has_ended(tool);
    tool.stop(config().timeouts.stop, config().timeouts.linger);
    judge_end(ended);
    server_.reset();
}

TEST_TUNNEL_INLINE void PairRun::judge_end(const std::vector<bool>& ended_before) {
    const auto odd = detail::judge_end(server(), ended_before, traits_, expected());
    const auto& declared = traits_.exit_statuses;
    if (odd.empty()) {
        return;
    }
    if (!declared.empty()) {
        throw Unexpected{fmt::format("an exit status that is declared (Traits::exit_statuses): {}",
                                     detail::joined(declared, ", ")),
                         odd + " after SIGTERM"};
    }
    const auto text = odd + " after SIGTERM (undeclared: Traits::exit_statuses)";
    if (strict()) {
        throw Unexpected{"an exit status of 0, 15 or 143 after SIGTERM", text};
    }
    note(text, "exit_statuses");
}

/// Ends the tool, in whatever state it is; only what no tool may do is judged.
TEST_TUNNEL_INLINE void PairRun::drop() {
    const auto& processes = server_->processes();
    std::string fault;
    server_->wait_for_end(Deadline{Clock::now()}); // looks
    for (const auto& process : processes) {
        const auto& status = process.status();
        if (status && status->signal() && *status->signal() != SIGTERM) {
            fault = fmt::format("{} {}", process.name(), status->text());
        }
    }
    server_->stop(Duration::zero(), Duration::zero());
    for (const auto& process : processes) {
        fault = process.alarm().empty() ? fault : process.alarm();
    }
    if (!fault.empty()) {
        throw Unexpected{"the tool runs without a crash, and without an error of its memory",
                         fault};
    }
    server_.reset();
}

/// Whether the tool has ended as one does that serves just one connection.
TEST_TUNNEL_INLINE bool PairRun::has_ended_well() {
    constexpr auto moment = std::chrono::milliseconds{50};
    if (!server_ || !server_->wait_for_end(Deadline::after(moment))) {
        return false;
    }
    const auto& processes = server_->processes();
    return std::all_of(processes.begin(), processes.end(), [](const Process& process) {
        return !process.status() || process.status()->code() == 0;
    });
}

/// Gives up a tool that has ended after its only connection.
TEST_TUNNEL_INLINE void PairRun::serves_just_one() {
    const auto ended = detail::who_has_ended(*server_);
    server_->stop(config().timeouts.stop, config().timeouts.linger);
    judge_end(ended);
    if (connections_ != 1) {
        throw Unexpected{
            "the tool runs on when its connections have ended",
            fmt::format("it ended by itself, with status 0, after {} connections", connections_)};
    }
    judge<bool>("serves_again", "a further connection when the first one has ended",
                traits_.serves_again, false, true);
    server_.reset();
}

TEST_TUNNEL_INLINE void PairRun::begin(const Check& check) {
    check_ = check;
    started_ = Clock::now();
    steps_.clear();
    notes_.clear();
    pattern_ = seed_.derive(check.id);
    discarded_ = false;
    patience_.reset();
    if (server_) {
        server_->limit(config().timeouts.check);
    }
}

/// Does what the check does ahead.
TEST_TUNNEL_INLINE void PairRun::prepare() {
    // One that ends silent connections would have ended them by the time that they are looked at.
    if (check_.prepare != nullptr && !never_ahead_ && !traits_.idle_timeout && is_concurrent()) {
        auto state = check_.prepare(*this);
        prepared_[check_.id] = {.state = std::move(state),
                                .start = starts_,
                                .started = started_,
                                .steps = std::move(steps_),
                                .notes = std::move(notes_)};
    }
}

/// Gives up what was done ahead, since it is in the way of a tool that serves only some connections
/// at once; whether there was anything.
TEST_TUNNEL_INLINE bool PairRun::drop_prepared() {
    never_ahead_ = true;
    return !std::exchange(prepared_, {}).empty();
}

TEST_TUNNEL_INLINE std::shared_ptr<void> PairRun::take_prepared() {
    const auto found = prepared_.find(check_.id);
    if (found != prepared_.end()) {
        auto ahead = std::move(found->second);
        prepared_.erase(found);
        // On a machine that is so slow a tool may have taken it for dead.
        constexpr auto stale = std::chrono::seconds{4};
        if (server_ && ahead.start == starts_ && Clock::now() - ahead.started < stale) {
            started_ = ahead.started;
            steps_ = std::move(ahead.steps);
            notes_ = std::move(ahead.notes);
            return ahead.state;
        }
        for (const auto& lost : ahead.notes) {
            noted_.erase(lost.text);
        }
    }
    if (check_.prepare == nullptr) {
        throw InvalidConfig{fmt::format("the check {} prepares nothing", check_.id)};
    }
    return check_.prepare(*this);
}

/// After a check: the tool must have survived it.
TEST_TUNNEL_INLINE void PairRun::settle() {
    if (!server_) {
        return;
    }
    if (discarded_) {
        drop();
        return;
    }
    step("afterwards", "the tool runs on when its connections have ended");
    detail::let_settle(*server_, pair_.proxy_listen.listen(), tool_end_, config().timeouts.linger);
    if (server_->running()) {
        return;
    }
    serves_just_one();
}

// --- The account

TEST_TUNNEL_INLINE void PairRun::step(std::string name, std::string expected, Party from,
                                      Party to) {
    if (config().log->should_log(spdlog::level::debug)) {
        config().log->debug(fmt::format("{} {} / {}: {}: {}", tunnel_.slug(), pair_.name(),
                                        check_.id, name, expected));
    }
    steps_.push_back({std::move(name), std::move(expected), from, to, Clock::now() - started_});
}

TEST_TUNNEL_INLINE void PairRun::note(std::string text, std::string_view trait) {
    if (noted_.insert(text).second) {
        notes_.push_back({std::string{trait}, std::move(text)});
    }
}

} // namespace test_tunnel
