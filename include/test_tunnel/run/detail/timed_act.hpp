#pragma once

#include <poll.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/net/supervisor.hpp"

namespace test_tunnel::detail {

/// Looks after the tool, and does something at a given time, whatever is being waited for then.
class TimedAct final : public Supervisor {
public:
    TimedAct(std::shared_ptr<Supervisor> tool, Clock::time_point when, std::function<void()> act)
        : tool_{std::move(tool)}, when_{when}, act_{std::move(act)} {}

    void append_to(std::vector<pollfd>& fds) const override { tool_->append_to(fds); }
    void handle() override {
        tool_->handle();
        if (act_ && Clock::now() >= when_) {
            done_at_ = Clock::now();
            std::exchange(act_, nullptr)();
        }
    }
    void require_running() const override { tool_->require_running(); }
    void require_time(std::string_view awaited) const override { tool_->require_time(awaited); }
    [[nodiscard]] Duration longest_wait() const override {
        const auto left = std::max(when_ - Clock::now(), Duration::zero());
        return std::min(tool_->longest_wait(), act_ ? left : Duration::max());
    }

    /// Whether it has been done.
    [[nodiscard]] bool is_done() const noexcept { return act_ == nullptr; }
    /// When it was done.
    [[nodiscard]] Clock::time_point done_at() const noexcept { return done_at_; }

private:
    std::shared_ptr<Supervisor> tool_;
    Clock::time_point when_;
    std::function<void()> act_;
    Clock::time_point done_at_{};
};

} // namespace test_tunnel::detail
