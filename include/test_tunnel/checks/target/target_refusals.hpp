#pragma once

#include <chrono>
#include <exception>

#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/refusal.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has clients ask, one after the other, for a target at which nobody listens. What a tool does not
/// give back when it could not connect (a slot, a descriptor, a thread) runs out sooner or later.
inline void refuse_many(PairRun& run) {
    using namespace std::chrono_literals;
    const int count = run.strict() ? 200 : 20;
    constexpr int least = 3;
    if (serves_once(run)) {
        throw NotApplicable{serves_just_one(run)};
    }
    close_target(run);
    // Some try for a second until they give up.
    const auto enough =
        run.strict() ? Deadline::after(run.config().timeouts.check / 4) : Deadline::unscaled(1s);
    const auto steps = run.steps();
    int refused = 0;
    while (refused < count && (refused < least || !enough.passed())) {
        run.forget_steps(steps);
        await_refusal(run);
        ++refused;
    }
    run.listener().listen();
    require_service_in_time_after(
        run, fmt::format("{} clients in a row could not be connected", refused));
}

inline constexpr Check target_refusals{
    .id = "target.refusals",
    .title = "after 20 clients whose target can't be reached, the next is served; strict: 200",
    .trait = trait::refuses.name,
    .presumes = {"target.unreachable"},
    .run = refuse_many};

} // namespace test_tunnel::check
