#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "test_tunnel/base/deadline.hpp"

namespace test_tunnel::detail {

/// Finds out whether a tool does something by itself, sooner or later, or only after an act of
/// somebody else: whether it connects onwards only after the client's first word, for instance, or
/// serves a connection only when another one has ended.
///
/// That it comes without the act is a proof, whenever it is seen. That it does not come for some
/// time is none, for the tool may just be slow, now or always. So it is believed to need the act
/// when it came soon after it twice, and the waits before were of so different lengths that no tool
/// which takes its time by itself would do so. What comes late after the act is compared with what
/// was waited for: then the next wait is as long as both, and half as long again.
class Trial {
public:
    /// How long the first wait is, and the longest one.
    struct Waits {
        Duration first;
        Duration longest;
    };

    explicit Trial(Waits waits) : waits_{waits}, patience_{waits.first} {}

    /// What is known: whether the act is needed. Nothing where that has still to be tried.
    [[nodiscard]] std::optional<bool> needs_act() const noexcept { return needs_act_; }

    /// How long to wait for it before the act.
    [[nodiscard]] Duration patience() const noexcept { return patience_; }

    /// It came before the act.
    void came_by_itself() noexcept { needs_act_ = false; }

    /// It had not come after `waited`, then came `after` the act.
    void came_after_act(Duration waited, Duration after) noexcept {
        if (needs_act_) {
            return;
        }
        const bool was_soon = after <= waited * 3 / 10;
        times_ = was_soon ? times_ + 1 : 0;
        constexpr int enough = 2;
        if (times_ >= enough) {
            needs_act_ = true;
            return;
        }
        const auto another = std::max(waits_.first / 3, 10 * after);
        patience_ = was_soon && another <= waited / 2 ? another : (waited + after) * 3 / 2;
        patience_ = std::min(patience_, waits_.longest);
    }

    /// The act was done at once, since it was believed to be needed, and it came `after` that: if
    /// that was late, then it may have come by itself.
    void came_after_prompt_act(Duration after) noexcept {
        if (needs_act_ == true && after > waits_.first / 2) {
            needs_act_.reset();
            times_ = 0;
            patience_ = std::min(std::max(waits_.first, after * 3 / 2), waits_.longest);
        }
    }

    /// It is declared that the act is needed, and believed unless it comes by itself within a
    /// moment.
    void declare_needed() noexcept {
        times_ = 1;
        patience_ = waits_.first / 3;
    }

private:
    Waits waits_;
    Duration patience_;
    std::optional<bool> needs_act_{};
    int times_ = 0;
};

} // namespace test_tunnel::detail
