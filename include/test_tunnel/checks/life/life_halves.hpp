#pragma once

#include <chrono>
#include <cstddef>

#include "test_tunnel/checks/detail/halves.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/net/expect.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has a half die in the middle of a stream, and starts it again: the sides of the other half have
/// to learn of it, and clients have to be served again.
inline void kill_half(PairRun& run, Halves& halves, std::size_t place) {
    auto connection = run.connect();
    run.round_trip(connection);
    const auto sides = halves.sides_of(place, connection);
    run.step("stream", "data goes through the tool, both ways", Party::client, Party::server);
    constexpr std::size_t some = 4096;
    const auto data = run.pattern(place).bytes(0, some);
    connection.client.write(data);
    expect_read(connection.server, data, run.up);
    connection.server.write(data);
    expect_read(connection.client, data, run.down);
    run.step("kill", fmt::format("{} can be killed, and started again", halves.name_of(place)));
    halves.restart(place);
    if (!sides.has_client && run.must_pass_end(Direction::down)) {
        halves.judge_ending(connection.client, Party::client, place);
    }
    if (!sides.has_server && run.must_pass_end(Direction::up)) {
        halves.judge_ending(connection.server, Party::server, place);
    }
    connection.client.close();
    connection.server.close();
    halves.demand_service(
        fmt::format("{} has been killed and started again", halves.name_of(place)));
}

/// Has a half do nothing for a while: what is written meanwhile may not be lost, unless the
/// connection ends, and clients have to be served again.
inline void suspend_half(PairRun& run, Halves& halves, std::size_t place) {
    using namespace std::chrono_literals;
    constexpr Duration duration = 1500ms;
    auto connection = run.connect();
    run.round_trip(connection);
    const auto name = halves.name_of(place);
    run.step("stop", fmt::format("{} can be stopped for {}, and go on", name, text_of(duration)));
    constexpr std::size_t some = 512;
    const auto data = run.pattern(place).bytes(0, some);
    {
        const Suspension suspension{run.tool(), place};
        connection.client.write(data);
        connection.server.write(data);
        run.pause(duration, "a half of the tool that does nothing");
    }
    halves.begin();
    run.step(
        "gone on",
        fmt::format("what was written while {} was stopped arrives, or the connection ends", name),
        Party::client, Party::server);
    const bool goes_on =
        arrives(connection.server, data, run.up) && arrives(connection.client, data, run.down);
    if (goes_on) {
        run.round_trip(connection);
    } else {
        run.note(fmt::format("its connections end when {} has been stopped for {}", name,
                             text_of(duration)));
    }
    connection.client.close();
    connection.server.close();
    constexpr Duration at_once = 500ms;
    halves.demand_service(fmt::format("{} has been stopped for {}", name, text_of(duration)),
                          at_once);
}

/// Kills each half of a tool that comes in halves, and stops each for a while.
inline void kill_halves(PairRun& run) {
    using namespace std::chrono_literals;
    if (serves_once(run)) {
        throw NotApplicable{serves_just_one(run)};
    }
    // More are no halves, but helpers, which take their time.
    constexpr std::size_t most = 3;
    const auto count = run.tool().processes().size();
    if (count < 2 || count > most) {
        throw NotApplicable{count < 2 ? "it comes in one piece: the harness starts one process"
                                      : "it consists of many processes"};
    }
    run.kill_after_check(); // its processes have been started in another order
    Halves halves{run};
    // Of one that is declared to need much time, not all are killed: a check has two minutes.
    constexpr Duration enough = 40s;
    for (std::size_t place = 0; place < count; ++place) {
        if (place * halves.patience() <= enough) {
            kill_half(run, halves, place);
        }
    }
    for (std::size_t place = 0; place < count; ++place) {
        suspend_half(run, halves, place);
    }
    // What has been noticed late may have its consequences only now.
    run.pause(500ms, "the tool to settle");
    run.sentinel();
}

inline constexpr Check life_halves{
    .id = "life.halves",
    .title = "when a half of the tool has been killed and started again, clients are served again",
    .level = Level::strict,
    .trait = trait::half_death.name,
    .run = kill_halves};

} // namespace test_tunnel::check
