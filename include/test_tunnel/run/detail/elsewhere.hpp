#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/kernel/tcp_sockets.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/process/listening.hpp"
#include "test_tunnel/process/server.hpp"

namespace test_tunnel::detail {

/// Looks, while a tool refuses its first connection, whether it listens somewhere else instead.
class Elsewhere {
public:
    /// What it means that the tool listens on another port only.
    enum class OtherPorts {
        /// Little: its own may come later.
        may_come_first,
        /// That it will not listen on its own, of which nobody has told it.
        are_wrong
    };

    Elsewhere(const Endpoint& wanted, OtherPorts others) : wanted_{wanted}, others_{others} {}

    /// Looks, now and then: to be called after each refusal. Returns what there is to tell at once,
    /// when it has been so for a moment; nothing before that, and ever after.
    ///
    /// Throws Unexpected where it is certain that the tool will not listen where it should. Another
    /// port may be one for its administration, which is opened before the one that it was told, and
    /// a process that has children, or is busy, may still be getting ready: that is no certainty.
    [[nodiscard]] std::optional<std::string> look(const Server& tool) {
        constexpr auto interval = std::chrono::milliseconds{100};
        constexpr auto moment = std::chrono::seconds{1};
        const auto now = Clock::now();
        if (now - looked_ < interval) {
            return std::nullopt;
        }
        looked_ = now;
        auto found = own_listeners(tool);
        const bool is_here =
            std::any_of(found.endpoints.begin(), found.endpoints.end(),
                        [&](const auto& endpoint) { return takes_connections(endpoint, wanted_); });
        if (is_here || found.endpoints != listeners_) {
            since_ = now;
            idle_since_ = now;
        }
        if (!found.is_idle) {
            idle_since_ = now;
        }
        listeners_ = std::move(found.endpoints);
        if (listeners_.empty() || now - since_ < scaled(moment)) {
            return std::nullopt;
        }
        const bool is_wrong =
            others_ == OtherPorts::are_wrong ||
            std::any_of(listeners_.begin(), listeners_.end(),
                        [&](const auto& endpoint) { return endpoint.port == wanted_.port; });
        if (is_wrong && now - idle_since_ > scaled(moment)) {
            throw Unexpected{fmt::format("the tool listens at {}", wanted_),
                             fmt::format("it listens at {}, and not there", text())};
        }
        return std::exchange(is_told_, true) ? std::nullopt : std::optional{text()};
    }

    /// Where the tool was seen to listen last, "[::]:80, 127.0.0.1:81"; empty where it was nowhere.
    [[nodiscard]] std::string text() const { return joined(listeners_, ", "); }

private:
    Endpoint wanted_;
    OtherPorts others_;
    Clock::time_point looked_ = Clock::now();
    std::vector<Endpoint> listeners_;
    /// Since when these, and since when in a process that had nothing to do.
    Clock::time_point since_ = looked_;
    Clock::time_point idle_since_ = looked_;
    bool is_told_ = false;
};

} // namespace test_tunnel::detail
