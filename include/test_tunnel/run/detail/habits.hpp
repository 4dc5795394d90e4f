#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/config/config.hpp"
#include "test_tunnel/config/per_direction.hpp"
#include "test_tunnel/config/traits.hpp"
#include "test_tunnel/run/detail/trial.hpp"

namespace test_tunnel::detail {

/// How many connections a tool serves at once, as far as it has been tried.
enum class Concurrency { unknown, one_at_a_time, several };

/// How long a tool is waited for that may need a client's first word, or the end of another
/// connection: `usual` at `Level::standard`, `strict` at that level.
inline Trial::Waits waits_of_trial(const Config& config, Duration usual, Duration strict) {
    const auto io = scaled(config.timeouts.io);
    const auto first = scaled(config.level == Level::strict ? strict : usual);
    return {.first = std::min(first, io / 2), .longest = io * 4 / 5};
}

/// What has been learnt about a tool while a pair is tested: it outlives a tool that was started
/// anew.
class Habits {
public:
    Habits(const Traits& declared, const Config& config)
        : first_word_{waits_of_trial(config, std::chrono::seconds{1}, std::chrono::seconds{5})},
          is_declared_to_wait_{declared.speaks_first == true},
          is_eager_{declared.connects_eagerly} {
        if (is_declared_to_wait_) {
            first_word_.declare_needed();
        } else if (declared.speaks_first == false) {
            first_word_.came_by_itself();
        }
    }

    /// Whether it connects onwards only after the client's first word.
    [[nodiscard]] Trial& first_word() noexcept { return first_word_; }
    /// What that has come to; what is declared, as long as it has not been tried.
    [[nodiscard]] bool speaks_first() const noexcept {
        return first_word_.needs_act().value_or(is_declared_to_wait_);
    }

    /// A connection through it took that long. What it took earlier counts less each time.
    void learn_time(Duration taken) noexcept { longest_ = std::max(longest_ * 7 / 8, taken); }
    /// For how long a connection is awaited that need not come: for `least`, or longer where the
    /// tool was seen to take its time.
    [[nodiscard]] Duration time_to_connect(Duration least, Duration most) const noexcept {
        return std::min(std::max(least, 3 * longest_), std::max(least, most));
    }

    [[nodiscard]] Concurrency concurrency() const noexcept { return concurrency_; }
    void learn_concurrency(bool serves_second) noexcept {
        concurrency_ = serves_second ? Concurrency::several : Concurrency::one_at_a_time;
    }

    /// How many it was seen to serve at once, where there is such a limit.
    [[nodiscard]] std::optional<std::size_t> most_at_once() const noexcept { return most_at_once_; }
    void learn_most_at_once(std::size_t count) noexcept { most_at_once_ = count; }

    /// Whether it connects onwards for a client that says nothing, by what was seen last, or is
    /// declared.
    [[nodiscard]] bool is_eager() const noexcept { return is_eager_.value_or(false); }
    void learn_eagerness(bool is_eager) noexcept { is_eager_ = is_eager; }

    /// Whether it was seen to pass the end of a stream on in this direction, and never seen not to.
    [[nodiscard]] bool passes_end(Direction direction) const noexcept {
        return passes_end_.in(direction).value_or(false);
    }
    void learn_end(Direction direction, bool is_passed) noexcept {
        auto& passes = passes_end_.in(direction);
        passes = passes.value_or(true) && is_passed;
    }

    /// Whether it has reset a client that came within a moment of its start, so that it is given
    /// that moment from then on.
    [[nodiscard]] bool listens_too_early() const noexcept { return listens_too_early_; }
    void learn_to_wait_for_it() noexcept { listens_too_early_ = true; }

private:
    Trial first_word_;
    bool is_declared_to_wait_;
    std::optional<bool> is_eager_;
    Duration longest_{};
    Concurrency concurrency_ = Concurrency::unknown;
    std::optional<std::size_t> most_at_once_;
    PerDirection<bool> passes_end_;
    bool listens_too_early_ = false;
};

} // namespace test_tunnel::detail
