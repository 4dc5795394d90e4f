#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

#include "test_tunnel/checks/detail/keep_alive.hpp"
#include "test_tunnel/checks/detail/silence.hpp"
#include "test_tunnel/checks/detail/trickles.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Opens a connection and does a round trip; from then on nobody says anything.
inline Silence talk_once(PairRun& run) {
    Silence silence;
    silence.connections.push_back(run.connect());
    run.round_trip(silence.connections.back());
    silence.since = Clock::now();
    return silence;
}

/// Keeps a connection silent for `duration`, while one side speaks now and then on each of
/// `trickles`.
inline void keep_silent_beside(PairRun& run, Connection& silent, std::vector<Trickle>& trickles,
                               Duration duration) {
    const auto since = Clock::now();
    const auto steps = run.steps();
    while (!trickles.empty() && Clock::now() - since + pause_of_trickles < duration) {
        run.forget_steps(steps);
        keep_silent(run, silent, pause_of_trickles);
        say_on_all(run, trickles);
    }
    keep_silent(run, silent, std::max(since + duration - Clock::now(), Duration::zero()));
}

/// Uses a connection again that has carried data, and then nothing for a long time: a tool may not
/// take silence for the end. A new client must be served then, too, with whatever the tool has kept
/// in store meanwhile.
inline void stay_silent(PairRun& run, Silence& silence) {
    using namespace std::chrono_literals;
    // That no client has come for so long, whatever has been done ahead.
    constexpr Duration quiet = 16s;
    const auto longest = run.strict() ? run.config().idle : Duration{300ms};
    run.tool().limit(run.config().timeouts.check + longest);
    auto& connection = silence.connections.front();
    const auto duration = bearable_silence(run, longest);
    run.step("idle", fmt::format("nothing arrives at either end during {} of silence, and the "
                                 "connection stays open",
                                 text_of(duration)));
    auto trickles = run.strict() ? begin_trickles(run) : std::vector<Trickle>{};
    const auto least = run.strict() ? std::min(quiet, duration) : Duration::zero();
    keep_silent_beside(run, connection, trickles, std::max(silence.left(duration), least));
    if (run.strict() || run.traits().keep_alive) {
        judge_keep_alive(run, connection);
    }
    run.round_trip(connection);
    connection.client.close(); // it may serve one at a time
    run.demand_end(connection.server, run.up);
    connection.server.close();
    if (const auto limit = run.traits().idle_timeout) {
        // What would be ended by now, if nobody had spoken.
        go_on(run, trickles, std::min(*limit * 3 / 2, longest));
    }
    trickles.clear();
    run.settle();
    run.step("a new client", "a client is served that comes when nobody has come for a while",
             Party::client, Party::server);
    run.sentinel();
}

inline constexpr Check idle = prepared_check<talk_once, stay_silent>({
    .id = "idle",
    .title = "a connection that has been silent for long still carries data; a new one is served",
    .trait = trait::idle_timeout.name,
});

} // namespace test_tunnel::check
