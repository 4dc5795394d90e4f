#pragma once

#include <poll.h>

#include <functional>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/net/socket.hpp"
#include "test_tunnel/net/supervisor.hpp"

namespace test_tunnel::detail {

/// Looks after the tool, and answers it as its upstream proxy, while a client waits: many a tool
/// tells its client nothing before the proxy has told it.
class UpstreamSupervisor final : public Supervisor {
public:
    /// `tool` returns who looks after the tool, or null; `listener` where the tool connects, or
    /// null. `take` answers a connection that has arrived.
    UpstreamSupervisor(std::function<std::shared_ptr<Supervisor>()> tool,
                       std::function<Socket*()> listener, std::function<void(Socket)> take)
        : tool_{std::move(tool)}, listener_{std::move(listener)}, take_{std::move(take)} {}

    void append_to(std::vector<pollfd>& fds) const override {
        if (const auto tool = tool_()) {
            tool->append_to(fds);
        }
        if (const auto* listener = listener_(); listener != nullptr && !is_taking_) {
            fds.push_back({.fd = listener->fd(), .events = POLLIN, .revents = 0});
        }
    }

    /// Blocks for as long as the tool takes for its part of the handshake.
    void handle() override {
        if (const auto tool = tool_()) {
            tool->handle();
        }
        if (is_taking_) { // it is waited for already
            return;
        }
        const Taking taking{is_taking_};
        while (auto* const listener = listener_()) {
            auto arrived = listener->try_accept();
            if (!arrived) {
                return;
            }
            take_(*std::move(arrived));
        }
    }

    void require_running() const override {
        if (const auto tool = tool_()) {
            tool->require_running();
        }
    }
    void require_time(std::string_view awaited) const override {
        if (const auto tool = tool_()) {
            tool->require_time(awaited);
        }
    }
    [[nodiscard]] Duration longest_wait() const override {
        const auto tool = tool_();
        return tool ? tool->longest_wait() : Duration::max();
    }

private:
    class Taking {
    public:
        explicit Taking(bool& flag) : flag_{flag} { flag = true; }
        Taking(const Taking&) = delete;
        Taking& operator=(const Taking&) = delete;
        ~Taking() { flag_ = false; }

    private:
        bool& flag_;
    };

    std::function<std::shared_ptr<Supervisor>()> tool_;
    std::function<Socket*()> listener_;
    std::function<void(Socket)> take_;
    bool is_taking_ = false;
};

} // namespace test_tunnel::detail
