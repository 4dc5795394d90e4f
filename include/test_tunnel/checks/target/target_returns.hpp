#pragma once

#include <algorithm>
#include <string_view>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/refusal.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has the target go and come, again and again, as it does while it is being worked on: each time a
/// client is refused, and the next one served. A tool that tries again less and less often, or that
/// counts failures and never forgets them, serves nobody in the end.
inline void go_and_come(PairRun& run) {
    constexpr int most = 50;
    constexpr int least = 3;
    constexpr std::string_view when = "the target is there again";
    if (serves_once(run)) {
        throw NotApplicable{serves_just_one(run)};
    }
    const auto enough = Deadline::after(run.config().timeouts.check / 4); // of one that pauses
    const auto steps = run.steps();
    auto longest_pause = Duration::zero();
    for (int i = 0; i < most && (i < least || !enough.passed()); ++i) {
        run.forget_steps(steps);
        close_target(run);
        await_refusal(run);
        run.listener().listen();
        longest_pause = std::max(longest_pause, await_service_after(run, when));
    }
    if (longest_pause > Duration::zero()) {
        run.note(
            fmt::format("when {}, it serves again up to {} later", when, text_of(longest_pause)));
    }
}

inline constexpr Check target_returns{
    .id = "target.returns",
    .title = "a target that goes and comes 50 times is reached each time",
    .level = Level::strict,
    .trait = trait::refuses.name,
    .presumes = {"target.unreachable", "target.refusals"},
    .run = go_and_come};

} // namespace test_tunnel::check
