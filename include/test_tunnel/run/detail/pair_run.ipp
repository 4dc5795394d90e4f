#pragma once

// What PairRun shows of the state of a pair.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/run/detail/pair_state.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel {

TEST_TUNNEL_INLINE const Pair& PairRun::pair() const noexcept {
    return state_.pair();
}

TEST_TUNNEL_INLINE const ConfigProg& PairRun::config() const noexcept {
    return state_.config;
}

TEST_TUNNEL_INLINE const Traits& PairRun::traits() const noexcept {
    return state_.traits;
}

TEST_TUNNEL_INLINE Transports PairRun::transports() const {
    return state_.tunnel.transports();
}

TEST_TUNNEL_INLINE Protocol PairRun::protocol() const {
    return state_.tunnel.protocol();
}

TEST_TUNNEL_INLINE std::optional<ProxyVersion> PairRun::client_header() const {
    return state_.tunnel.client_header();
}

TEST_TUNNEL_INLINE std::optional<ProxyVersion> PairRun::server_header() const {
    return state_.tunnel.server_header();
}

TEST_TUNNEL_INLINE bool PairRun::may_listen_on(std::uint16_t port) const {
    const auto others = state_.tunnel.other_ports();
    return port == pair().svc_listen.proxy_port ||
           std::find(others.begin(), others.end(), port) != others.end();
}

TEST_TUNNEL_INLINE HostName* PairRun::target_name() noexcept {
    auto& name = state_.tunnel.target_name_;
    return name ? &*name : nullptr;
}

TEST_TUNNEL_INLINE bool PairRun::strict() const noexcept {
    return config().level == Level::strict;
}

TEST_TUNNEL_INLINE Server& PairRun::tool() {
    return state_.life.tool();
}

TEST_TUNNEL_INLINE std::shared_ptr<Supervisor> PairRun::supervisor() {
    if (!state_.supervisor) {
        static_cast<void>(tool()); // is started where it does not run
    }
    return state_.upstream_answer ? upstream().supervisor() : state_.own_supervisor();
}

TEST_TUNNEL_INLINE Socket& PairRun::listener() {
    return state_.life.listener();
}

TEST_TUNNEL_INLINE bool PairRun::speaks_first() const noexcept {
    return state_.habits.speaks_first();
}

TEST_TUNNEL_INLINE std::optional<std::size_t> PairRun::most_at_once() const noexcept {
    return state_.habits.most_at_once();
}

TEST_TUNNEL_INLINE void PairRun::serves_at_most(std::size_t count) {
    state_.habits.learn_most_at_once(count);
    note(fmt::format("it serves {} connections at once, and has others wait", count), "concurrent");
}

TEST_TUNNEL_INLINE void PairRun::learn_eagerness(bool is_eager) {
    state_.habits.learn_eagerness(is_eager);
    if (is_eager) {
        state_.habits.first_word().came_by_itself();
    }
}

TEST_TUNNEL_INLINE bool PairRun::is_eager() const noexcept {
    return state_.habits.is_eager();
}

TEST_TUNNEL_INLINE Duration PairRun::time_to_connect(Duration least) const {
    return state_.habits.time_to_connect(least, config().timeouts.io / 2);
}

TEST_TUNNEL_INLINE bool PairRun::expects_end(Direction direction) const {
    return must_pass_end(direction) || state_.habits.passes_end(direction);
}

TEST_TUNNEL_INLINE void PairRun::excuse_no_end(Direction direction) {
    state_.habits.learn_end(direction, false);
    judge(trait::passes_eof, direction, false);
}

TEST_TUNNEL_INLINE void PairRun::expect_arrival() {
    state_.life.expect_arrival();
}

TEST_TUNNEL_INLINE int PairRun::connections() const noexcept {
    return state_.life.connections();
}

TEST_TUNNEL_INLINE bool PairRun::has_tool() const noexcept {
    return state_.life.has_tool();
}

TEST_TUNNEL_INLINE void PairRun::restart_early() {
    state_.life.restart_early();
}

TEST_TUNNEL_INLINE void PairRun::restart_there() {
    state_.life.restart_there();
}

TEST_TUNNEL_INLINE void PairRun::reload() {
    state_.tunnel.reload(tool());
}

TEST_TUNNEL_INLINE bool PairRun::reload_broken() {
    return state_.tunnel.reload_broken(tool());
}

TEST_TUNNEL_INLINE void PairRun::stop() {
    state_.life.stop();
}

TEST_TUNNEL_INLINE void PairRun::judge_end(const std::vector<bool>& ended_before) {
    state_.life.judge_end(ended_before);
}

TEST_TUNNEL_INLINE void PairRun::settle() {
    state_.life.settle();
    upstream().require_right_requests();
}

TEST_TUNNEL_INLINE void PairRun::kill_after_check() noexcept {
    state_.life.kill_after_check();
}

TEST_TUNNEL_INLINE void PairRun::step(std::string name, std::string expected, Party from,
                                      Party to) {
    state_.journal.step(StepKind::other, std::move(name), std::move(expected), from, to);
}

TEST_TUNNEL_INLINE void PairRun::step(StepKind kind, std::string expected, Party from, Party to) {
    state_.journal.step(kind, text_of(kind), std::move(expected), from, to);
}

TEST_TUNNEL_INLINE std::size_t PairRun::steps() const noexcept {
    return state_.journal.entries().steps.size();
}

TEST_TUNNEL_INLINE void PairRun::forget_steps(std::size_t count) {
    state_.journal.forget_steps(count);
}

TEST_TUNNEL_INLINE std::string PairRun::expected() const {
    return state_.journal.expected();
}

TEST_TUNNEL_INLINE void PairRun::note(std::string text, std::string_view trait) {
    state_.journal.note({std::string{trait}, std::move(text)});
}

TEST_TUNNEL_INLINE void PairRun::note(Note note) {
    state_.journal.note(std::move(note));
}

TEST_TUNNEL_INLINE void PairRun::take(const detail::Verdict& verdict) {
    state_.journal.take(verdict);
}

TEST_TUNNEL_INLINE Pattern PairRun::pattern(std::uint64_t number) const {
    return state_.pattern.derive(number);
}

TEST_TUNNEL_INLINE std::optional<Deadline> PairRun::soft_end() const {
    constexpr auto enough = std::chrono::seconds{1};
    return strict() ? std::nullopt : std::optional{Deadline::unscaled(enough)};
}

TEST_TUNNEL_INLINE std::shared_ptr<void> PairRun::take_prepared() {
    auto& journal = state_.journal;
    if (auto item = state_.prepared.take(state_.check.id)) {
        if (has_tool() && detail::Prepared::is_fresh(*item, state_.life.starts())) {
            journal.resume(std::move(item->entries));
            return item->state;
        }
        journal.forget(item->entries);
    }
    if (state_.check.prepare == nullptr) {
        throw InvalidConfig{fmt::format("the check {} prepares nothing", state_.check.id)};
    }
    return state_.check.prepare(*this);
}

} // namespace test_tunnel
