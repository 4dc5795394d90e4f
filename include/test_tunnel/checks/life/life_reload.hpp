#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <utility>

#include "test_tunnel/checks/detail/client_wave.hpp"
#include "test_tunnel/checks/detail/growth.hpp"
#include "test_tunnel/checks/detail/held_streams.hpp"
#include "test_tunnel/checks/detail/many_connections.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/process/detail/settle.hpp"
#include "test_tunnel/process/listening.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Whether what has the tool reload is still at it: a command that has not ended, or a successor
/// that does not listen yet. Of a tool that reloads by itself nothing is known.
inline bool is_being_reloaded(Server& tool) {
    const auto count = tool.processes().size();
    const bool has_successor = count > 1 && tool.may_end(count - 2);
    return tool.is_commanded() || (has_successor && own_listeners(tool).endpoints.empty());
}

/// Calls `meanwhile()` again and again, for `least`, and longer where the tool is still being
/// reloaded. Throws TimedOut where that takes as long as no start may.
template <typename Act>
void until_reloaded(PairRun& run, Duration least, Act meanwhile) {
    const auto enough = Deadline::unscaled(least);
    const auto patience = run.config().timeouts.start;
    const auto longest = Deadline::after(patience + least);
    while (!enough.passed() || is_being_reloaded(run.tool())) {
        meanwhile();
        if (longest.passed() && is_being_reloaded(run.tool())) {
            throw TimedOut{fmt::format("what has it reload has not come to its end within {}",
                                       text_of(scaled(patience)))};
        }
    }
}

/// For how long a tool is waited for that has reloaded, until it rests. One that never does tells
/// nothing by that.
inline constexpr Duration longest_reload = std::chrono::seconds{5};

/// Has the tool reload, by `act`, while nothing is under way, and returns how long it takes until
/// it has, as far as that can be seen: until it rests, or until `longest` is over.
template <typename Act>
Duration reload_at_rest(PairRun& run, Duration longest, Act act) {
    using namespace std::chrono_literals;
    constexpr auto look = 5ms;
    constexpr Duration least = 100ms; // a signal may take its time to be looked at
    const auto began = Clock::now();
    act();
    until_reloaded(run, least, [&] { run.pause(look, "the tool to reload"); });
    detail::wait_until_idle(run.tool(), longest);
    return Clock::now() - began;
}

inline Duration reload_at_rest(PairRun& run, Duration longest) {
    return reload_at_rest(run, longest, [&] { run.reload(); });
}

/// Whether a tool has cut the connections that were open, within a moment.
inline bool has_cut(PairRun& run, HeldStreams& streams) {
    using namespace std::chrono_literals;
    const auto moment = Deadline::after(500ms);
    streams.finish();
    while (streams.broken().empty() && !moment.passed()) {
        run.pause(20ms, "the end of connections that were open");
        streams.finish();
    }
    return !streams.broken().empty();
}

/// Reloads the tool while `streams` are carried, and clients come all the while, most of them in
/// the moment of the reload. `number` is that of the next clients. Whoever comes must be served;
/// only, once, and where the tool has cut the streams too, may clients be among those whose
/// connections were open.
inline void reload_among_clients(PairRun& run, HeldStreams& streams, std::uint64_t& number,
                                 Duration interval) {
    using namespace std::chrono_literals;
    constexpr Duration dense = 300ms;  // in which most of what a reload does is done
    constexpr Duration pause = 10ms;   // between waves after that
    constexpr Duration stopped = 50ms; // for which readers have stopped
    // One that has a limit may have reached it with the streams.
    const std::size_t at_once = run.most_at_once() ? 0 : 8;
    auto strays = Strays::none;
    const auto attempt = [&](ClientWave& wave, auto act) {
        try {
            act();
        } catch (const LostClient&) {
            if (strays == Strays::may_come || !has_cut(run, streams)) {
                throw;
            }
            strays = Strays::may_come;
            wave.leave();
        }
    };
    streams.stop_readers();
    ClientWave around{run, 2 * at_once, number++};
    run.step("reload",
             "whoever comes while the tool reloads is let in and served, and what others carry "
             "arrives as it was written",
             Party::client, Party::tool);
    const auto steps = run.steps();
    attempt(around, [&] {
        around.connect(at_once);
        run.reload();
        around.connect(at_once);
        around.serve();
    });
    const auto began = Clock::now();
    until_reloaded(run, interval, [&] {
        run.forget_steps(steps);
        const auto since = Clock::now() - began;
        if (since > stopped) {
            streams.start_readers();
        }
        streams.go_on();
        if (since > dense) {
            run.pause(pause, "the tool to reload");
        }
        ClientWave wave{run, at_once, number++, strays};
        attempt(wave, [&] {
            wave.connect(at_once);
            wave.serve();
        });
    });
    run.forget_steps(steps);
    streams.finish();
}

/// Five times, or fewer where that takes a slow tool very long, reloads the tool while ten
/// connections are open, most of which carry data, and clients come. Returns how the first stream
/// broke that did; empty where none has.
inline std::string reload_under_load(PairRun& run, Duration interval) {
    constexpr int reloads = 5;
    constexpr int least_reloads = 2;
    const auto enough = Deadline::after(run.config().timeouts.check / 4);
    constexpr std::size_t held = 10;
    run.step("connections", fmt::format("{} connections are open before it reloads", held),
             Party::client, Party::server);
    std::uint64_t number = 1000; // what the clients say is none of what the streams carry
    std::uint64_t first = 0;
    std::string broken;
    std::optional<HeldStreams> streams;
    for (int i = 0; i < reloads && (i < least_reloads || !enough.passed()); ++i) {
        if (!streams) {
            const auto before = run.steps();
            streams.emplace(run, connect_many(run, held, held), first);
            first += 2 * held;
            run.forget_steps(before);
        }
        reload_among_clients(run, *streams, number, interval);
        if (auto how = streams->broken(); !how.empty()) {
            broken = broken.empty() ? std::move(how) : broken;
            streams.reset();
        }
    }
    return broken;
}

/// Has the tool reload, again and again, with a connection open each time that ends afterwards: of
/// what was there before, nothing may be left.
inline void reload_often(PairRun& run, bool keeps, Duration longest) {
    demand_no_growth(
        run, "clients that stay over a reload",
        [&] {
            auto connection = run.connect();
            run.round_trip(connection);
            reload_at_rest(run, longest);
            if (keeps) {
                run.round_trip(connection);
            }
        },
        GrowthOptions{.clients = 2, .least_clients = 2, .held = descriptors_and_processes});
}

/// Demands that open connections go on, unless that is declared otherwise; `broken` is how the
/// first one ended that did, or empty.
inline void judge_open_connections(PairRun& run, const std::string& broken) {
    run.step("open connections", "those that were open when it reloaded have gone on");
    try {
        run.judge(trait::keeps_on_reload, broken.empty());
    } catch (const Unexpected& error) {
        throw Unexpected{error.expected(),
                         fmt::format("{}{}", error.actual(), broken.empty() ? "" : "\n" + broken),
                         error.cause()};
    }
}

/// Reloads a tool that says how it does that: at rest, under load, and often. One connection is
/// open, and silent, over all reloads.
inline void reload(PairRun& run) {
    using namespace std::chrono_literals;
    constexpr Duration longest_silence = 30s;
    if (run.traits().idle_timeout.value_or(longest_silence) < longest_silence) {
        throw NotApplicable{"it ends connections that are silent while it reloads"};
    }
    run.need_concurrency();
    run.sentinel();
    run.step("reload at rest", "the tool reloads, and runs on", Party::tool, Party::tool);
    const auto took = reload_at_rest(run, longest_reload);
    const bool rests = took < longest_reload;
    auto lasting = run.connect();
    run.round_trip(lasting);
    const auto broken =
        reload_under_load(run, rests ? std::clamp<Duration>(2 * took, 600ms, longest_reload) : 1s);
    const bool keeps = broken.empty();
    run.step("afterwards", "new clients are served after it has reloaded several times");
    run.sentinel();
    judge_open_connections(run, broken);
    reload_often(run, keeps, rests ? longest_reload : Duration::zero());
    run.sentinel();
    if (keeps) {
        try {
            run.round_trip(lasting);
        } catch (const SetupError&) {
            throw;
        } catch (const ToolEnded&) {
            throw;
        } catch (const std::exception& error) {
            judge_open_connections(run, error.what());
        }
    }
}

inline constexpr Check life_reload{
    .id = "life.reload",
    .title = "the tool reloads without losing a client, a byte, or a descriptor",
    .level = Level::strict,
    .trait = trait::keeps_on_reload.name,
    .presumes = {"connections.burst"},
    .run = reload};

} // namespace test_tunnel::check
