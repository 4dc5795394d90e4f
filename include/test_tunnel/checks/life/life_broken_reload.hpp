#pragma once

#include "test_tunnel/checks/life/life_reload.hpp"
#include "test_tunnel/config/dialect.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has a tool reload whose configuration is broken, where its test says how that is done: it must
/// go on with the one that it has, and still take its own when that is there again.
inline void reload_with_broken_configuration(PairRun& run) {
    run.need_concurrency();
    auto lasting = run.connect();
    run.round_trip(lasting);
    run.step("broken reload",
             "the tool, told to reload while its configuration is broken, goes on with the one "
             "that it has",
             Party::tool, Party::tool);
    reload_at_rest(run, longest_reload, [&] {
        if (!run.reload_broken()) {
            const bool speaks_options = run.config().dialect == Dialect::options;
            throw NotApplicable{
                fmt::format("its test has no broken configuration ({})",
                            speaks_options ? "--broken-config" : "TestTunnel::reload_broken")};
        }
    });
    run.sentinel();
    if (run.traits().keeps_on_reload != false) {
        run.round_trip(lasting);
    }
    run.step("reload", "with its own configuration again, the tool reloads, and serves new clients",
             Party::tool, Party::tool);
    reload_at_rest(run, longest_reload);
    run.sentinel();
}

inline constexpr Check life_broken_reload{
    .id = "life.broken_reload",
    .title = "told to reload a broken configuration, the tool goes on with the one that it has",
    .level = Level::strict,
    .run = reload_with_broken_configuration};

} // namespace test_tunnel::check
