#pragma once

#include <chrono>
#include <exception>
#include <optional>

#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/refusal.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has a tool's outputs be full, and nobody read them, as long as this is there.
class FullOutputs {
public:
    explicit FullOutputs(Server& tool) : tool_{tool}, is_full_{tool.hold_outputs()} {}
    FullOutputs(const FullOutputs&) = delete;
    FullOutputs& operator=(const FullOutputs&) = delete;
    ~FullOutputs() { tool_.release_outputs(); }

    /// Whether they are: the system may have no way to that.
    [[nodiscard]] bool is_full() const noexcept { return is_full_; }

private:
    Server& tool_;
    bool is_full_;
};

/// Has clients come that a tool may say something of: some that are served, and some that reset
/// their connection or go at once.
inline void give_something_to_log(PairRun& run) {
    constexpr int clients = 5;
    const auto steps = run.steps();
    for (int i = 0; i < clients; ++i) {
        run.forget_steps(steps);
        run.connect_client().reset();
        run.expect_arrival();
        run.connect_client().close();
        run.expect_arrival();
        run.sentinel();
        run.take_strays().clear(); // which may be all that the tool serves at once
    }
}

/// Returns whether clients are served while the tool's outputs are full, as they are when whoever
/// reads them has stopped; nothing where the system can't tell.
inline std::optional<bool> serves_with_full_outputs(PairRun& run) {
    const FullOutputs full{run.tool()};
    if (!full.is_full()) {
        return std::nullopt;
    }
    run.step("full outputs", "clients are served while nobody reads what the tool prints");
    try {
        give_something_to_log(run);
        return true;
    } catch (const SetupError&) {
        throw;
    } catch (const ToolEnded&) {
        throw;
    } catch (const std::exception&) { // whatever a hook makes of it
        return false;
    }
}

/// Has nobody read what the tool prints: first its outputs are full, then they are closed, as when
/// the terminal or the logger has gone. A tool may wait in the first case, which is noted; it must
/// serve on when they are read again, and it may not die of the second (SIGPIPE).
inline void print_for_nobody(PairRun& run) {
    if (serves_once(run)) {
        throw NotApplicable{serves_just_one(run)};
    }
    run.sentinel();
    const auto serves = serves_with_full_outputs(run);
    if (serves == false) {
        require_service_in_time_after(run, "its outputs are read again, which were full");
    }
    run.tool().close_outputs();
    give_something_to_log(run);
    constexpr int clients = 10;
    try {
        close_target(run);
        for (int i = 0; i < clients; ++i) {
            await_refusal(run);
        }
        run.listener().listen();
    } catch (const NotApplicable&) { // nobody is refused on this machine
    }
    require_service_in_time_after(run, "nobody reads its outputs any more");
    run.kill_after_check(); // another one may have something to say again
    if (serves) {
        run.judge(trait::blocks_on_output, !*serves);
    }
}

inline constexpr Check life_output{
    .id = "life.output",
    .title = "the tool serves on when its outputs are full for a while, and when they are closed",
    .level = Level::strict,
    .trait = trait::blocks_on_output.name,
    .presumes = {"target.unreachable", "connections.reuse"},
    .run = print_for_nobody};

} // namespace test_tunnel::check
