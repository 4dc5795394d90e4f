#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/config/config.hpp"
#include "test_tunnel/report/report.hpp"
#include "test_tunnel/run/check.hpp"

namespace test_tunnel::detail {

/// What is still tried on a pair on which checks have failed: see OnFailure.
class Patience {
public:
    /// `limit` is how long failures may take together (`Timeouts::failures`).
    Patience(OnFailure on_failure, Duration limit)
        : on_failure_{on_failure}, limit_{scaled(limit)} {}

    /// A check has failed; where it has waited in vain, the tool is given less time by `timeouts`
    /// from now on. `start` is how long its first start took, if that is known: one that is started
    /// again has three times as long.
    void take_failure(const Check& check, const CheckResult& result, Timeouts& timeouts,
                      std::optional<Duration> start = {}) {
        if (count_++ == 0) {
            first_ = check.id;
        }
        taken_ += result.duration;
        if (on_failure_ != OnFailure::hurry || result.cause != Cause::timed_out) {
            return;
        }
        in_vain_.push_back({check.id, check.id});
        using namespace std::chrono_literals;
        const auto shorten = [](Duration& timeout, Duration most) {
            timeout = std::min(timeout, most);
        };
        shorten(timeouts.connect, std::max<Duration>(3s, 3 * start.value_or(Duration{})));
        shorten(timeouts.io, 2500ms);
        shorten(timeouts.check, 15s);
    }

    /// A check is not tried: nor are those that presume it, for the same reason.
    void take_skip(const Check& check) {
        if (const auto* const cause = cause_of_skip(check)) {
            in_vain_.push_back({check.id, cause->root});
        }
    }

    /// Returns why a check is not tried; empty where it is.
    [[nodiscard]] std::string reason_to_skip(const Check& check) const {
        if (count_ == 0 || on_failure_ == OnFailure::go_on) {
            return {};
        }
        if (on_failure_ == OnFailure::stop) {
            return fmt::format("{} failed", first_);
        }
        if (const auto* const cause = cause_of_skip(check)) {
            return fmt::format("{} failed", cause->root);
        }
        if (taken_ > limit_) {
            return count_ == 1 ? fmt::format("{} failed, and took {}", first_, text_of(taken_))
                               : fmt::format("{} and {} more failed, and took {}", first_,
                                             count_ - 1, text_of(taken_));
        }
        return {};
    }

private:
    /// A check that would wait in vain, and the one that did.
    struct InVain {
        std::string_view id;
        std::string_view root;
    };

    [[nodiscard]] const InVain* cause_of_skip(const Check& check) const {
        const auto found = std::find_if(in_vain_.begin(), in_vain_.end(), [&](const InVain& entry) {
            return std::find(check.presumes.begin(), check.presumes.end(), entry.id) !=
                   check.presumes.end();
        });
        return found == in_vain_.end() ? nullptr : &*found;
    }

    OnFailure on_failure_;
    Duration limit_;
    std::size_t count_ = 0;
    std::string_view first_;
    Duration taken_{};
    std::vector<InVain> in_vain_;
};

} // namespace test_tunnel::detail
