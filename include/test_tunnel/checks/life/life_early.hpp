#pragma once

#include <chrono>

#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/refusal.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/process/listening.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Starts the tool while nobody listens at the target, as when a machine starts: what it learns
/// then may not hold for ever. One that will not start without its target is noted, since whoever
/// starts it can try again.
inline void start_before_target(PairRun& run) {
    using namespace std::chrono_literals;
    if (serves_once(run)) {
        throw NotApplicable{serves_just_one(run)};
    }
    run.restart_early();
    if (!is_refused(run)) {
        run.listener().listen();
        throw NotApplicable{"on this machine, nobody learns that the target is closed"};
    }
    run.step("start before the target", "the tool listens, or ends, while its target is closed");
    auto& tool = run.tool();
    const auto deadline = Deadline::after(run.config().timeouts.start);
    while (!listens_at(tool, run.pair().proxy_listen.listen()).value_or(true)) {
        if (tool.wait_for_end(Deadline::unscaled(5ms))) {
            require_no_crash(run, run.expected());
            run.note("it ends where nobody listens at its target when it starts");
            run.kill_after_check();
            return;
        }
        if (deadline.passed()) {
            throw Unexpected{run.expected(),
                             fmt::format("neither for {}", text_of(run.config().timeouts.start)),
                             Cause::timed_out};
        }
    }
    await_refusal(run);
    run.listener().listen();
    require_service_in_time_after(run, "the target is there, which was not when the tool started");
}

inline constexpr Check life_early{
    .id = "life.early",
    .title = "a tool that is started before its target serves when the target is there",
    .level = Level::strict,
    .presumes = {"target.unreachable"},
    .run = start_before_target};

} // namespace test_tunnel::check
