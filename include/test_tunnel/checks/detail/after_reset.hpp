#pragma once

// What has to come of a reset.

#include <chrono>
#include <optional>
#include <string_view>

#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/carrying.hpp"
#include "test_tunnel/checks/detail/view.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/process/listening.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Names the step in which `view.near` resets its connection; `said` tells it from others of the
/// check, by what has been said before.
inline void step_of_reset(PairRun& run, const View& view, std::string_view said) {
    run.step(fmt::format("reset: {}", said),
             fmt::format("the {} learns, by a reset or by the end of the stream, that the {} has "
                         "reset its connection",
                         view.other, view.self),
             view.here, view.there);
}

/// Waits until `view.far` learns that `view.near` has reset its connection, with no data under way,
/// and returns how. Returns nothing where it need not learn of it, and does not. Throws Unexpected
/// where it has to and does not, or where bytes come.
inline std::optional<ResetShows> learn_of_reset(PairRun& run, const View& view) {
    using namespace std::chrono_literals;
    const bool has_end = run.expects_end(direction_of(view));
    const auto patience = run.config().timeouts.io;
    const auto ending =
        has_end ? await_ending(run, view.far, Deadline::after(patience))
                : await_ending(run, view.far, Deadline::unscaled(run.wait(1s)), lenient(run));
    if (!ending && has_end) {
        throw Unexpected{
            run.expected(),
            fmt::format("{}: neither came for {}", view.forth, text_of(scaled(patience))),
            Cause::timed_out};
    }
    if (!ending) {
        run.excuse_no_end(direction_of(view)); // it hides resets, too
        return std::nullopt;
    }
    return *ending == Ending::reset ? ResetShows::as_reset : ResetShows::as_end;
}

/// Returns whether the tool listens; true where that is not known.
inline bool may_listen(PairRun& run) {
    return listens_at(run.tool(), run.pair().proxy_listen.listen()).value_or(true);
}

/// Waits, where the tool no longer listened before its connection was disturbed, until it ends, or
/// listens again after all. Returns whether it has ended. Its status may tell of the disturbance
/// (socat exits with 1), but it may not crash; the next connection starts another tool.
inline bool ends_with_connection(PairRun& run, bool serves_again) {
    constexpr auto pause = std::chrono::milliseconds{1};
    const auto deadline = Deadline::after(run.config().timeouts.linger);
    while (!serves_again && !deadline.passed()) {
        if (run.tool().wait_for_end(Deadline::unscaled(pause))) {
            require_no_crash(run, "the tool goes on, or exits, when a connection is reset");
            run.kill_after_check();
            run.settle();
            return true;
        }
        serves_again = may_listen(run);
    }
    return false;
}

/// Demands that the tool serves others after a disturbance.
inline void serve_others(PairRun& run) {
    run.sentinel();
    run.sentinel(); // for the first one the tool may have been waiting already
}

/// Goes through connections that a side leaves, each of which may be a tool's only one.
class Leaving {
public:
    explicit Leaving(PairRun& run) : run_{run} {}

    /// To be called while a connection is open.
    void begins() {
        if (!serves_again_) {
            serves_again_ = may_listen(run_);
        }
    }
    /// To be called when it has ended on both sides.
    void has_ended() { is_gone_ = ends_with_connection(run_, serves_again_.value_or(true)); }
    /// Demands that the tool serves others, unless it served just that one.
    void demand_service() {
        if (!is_gone_) {
            serve_others(run_);
        }
    }

private:
    PairRun& run_;
    std::optional<bool> serves_again_;
    bool is_gone_ = false;
};

} // namespace test_tunnel::check
