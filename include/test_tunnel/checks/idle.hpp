#pragma once

#include <array>
#include <chrono>
#include <string_view>

#include "../check.hpp"
#include "../expect.hpp"
#include "../pair_run.hpp"
#include "silence.hpp"

namespace test_tunnel::check {

/// A connection that has carried data, and then nothing for a long time, still carries data: a
/// tool must not take silence for the end.
inline void idle(PairRun& run) {
    using namespace std::chrono_literals;
    const auto longest = run.strict() ? run.config().idle : Duration{300ms};
    run.server().limit(run.config().timeouts.check + longest);
    const auto silence = run.prepared<Silence>();
    auto& connection = silence->connections.front();
    const auto duration = bearable_silence(run, longest);
    run.step("idle", fmt::format("nothing arrives at either end during {} of silence, and the "
                                 "connection stays open",
                                 detail::text_of(duration)));
    keep_silent(run, connection, silence->left(duration));
    run.round_trip(connection);
}

/// A server that says nothing for a while, and then answers: silence is no end.
inline void target_silent(PairRun& run) {
    using namespace std::chrono_literals;
    const auto silence = run.prepared<Silence>();
    auto& connection = silence->connections.front();
    auto& [client, server] = connection;
    const auto duration = bearable_silence(run, run.wait(3s));
    run.step("silent server",
             fmt::format("the connection is kept, and nothing comes, while nobody says anything "
                         "for {}",
                         detail::text_of(duration)),
             Party::server, Party::client);
    run.require_silence({&client, &server}, silence->left(duration));
    run.step("silent server",
             "the connection is kept, and nothing comes, while the server does not answer",
             Party::server, Party::client);
    constexpr std::string_view question{"Is anybody there?\n"};
    client.write(question);
    run.require_silence({&client}, run.wait(200ms));
    run.step("question", "the server reads what the client wrote", Party::client, Party::server);
    expect_read(server, question, run.up);
    run.round_trip(connection);
}

inline constexpr std::array idle_checks{
    Check{.id = "target.silent",
          .title = "a server that does not speak for a while is waited for",
          .trait = "idle_timeout",
          .run = target_silent,
          .prepare = say_nothing},
    Check{.id = "idle",
          .title = "a connection that has been silent for long still carries data",
          .trait = "idle_timeout",
          .run = idle,
          .prepare = talk_once}};

} // namespace test_tunnel::check
