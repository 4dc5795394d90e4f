#pragma once

#include <optional>

#include "test_tunnel/base/error.hpp"
#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/refusal.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Keeps the server from listening. It stays bound, so that nobody else can listen there. The
/// client must be told so, and afterwards the server must be reached again.
inline void refuse_connections(PairRun& run) {
    const bool once = serves_once(run);
    close_target(run);
    std::optional<Refusal> refusal;
    try {
        refusal = await_refusal(run);
    } catch (const ToolEnded&) {
        if (!once) {
            throw;
        }
    }
    run.listener().listen();
    if (once) {
        // It may end, with any status, but may not crash.
        run.tool().wait_for_end(Deadline::after(run.config().timeouts.linger));
        require_no_crash(run, "the tool ends by itself when the target can't be reached");
        run.kill_after_check();
    }
    if (refusal) {
        // A tool that answers in its handshake should not have reported success.
        // One that does is better than any other way that may be declared.
        const auto best = Refuses::in_handshake;
        const auto declared = run.traits().refuses.value_or(best);
        const bool is_better = refusal->how == best && declared != best;
        run.judge(
            refusal->after_success || is_better ? trait::refuses.with_rule(best) : trait::refuses,
            refusal->how);
    }
    if (!once) {
        require_service_after(run, "the target can't be reached");
    }
}

inline constexpr Check target_unreachable{
    .id = "target.unreachable",
    .title = "when nobody listens at the target, the client is told and not kept waiting",
    .trait = trait::refuses.name,
    .run = refuse_connections};

} // namespace test_tunnel::check
