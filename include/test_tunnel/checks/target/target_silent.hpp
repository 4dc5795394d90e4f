#pragma once

#include <chrono>
#include <string_view>

#include "test_tunnel/checks/detail/silence.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/net/expect.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Opens a connection on which nothing is said.
inline Silence say_nothing(PairRun& run) {
    Silence silence;
    silence.connections.push_back(run.connect());
    silence.since = Clock::now();
    return silence;
}

/// Has the server say nothing for a while, and then answer: a tool may not take silence for the
/// end.
inline void answer_late(PairRun& run, Silence& silence) {
    using namespace std::chrono_literals;
    auto& connection = silence.connections.front();
    auto& [client, server] = connection;
    const auto duration = bearable_silence(run, run.wait(3s));
    run.step("silent server",
             fmt::format("the connection stays open, and nothing arrives, while nobody says "
                         "anything for {}",
                         text_of(duration)),
             Party::server, Party::client);
    run.require_silence({&client, &server}, silence.left(duration));
    run.step("silent server",
             "the connection stays open, and nothing arrives, while the server does not answer",
             Party::server, Party::client);
    constexpr std::string_view question{"Is anybody there?\n"};
    client.write(question);
    run.require_silence({&client}, run.wait(200ms));
    run.step("question", "the server reads what the client wrote", Party::client, Party::server);
    expect_read(server, question, run.up);
    run.round_trip(connection);
}

inline constexpr Check target_silent = prepared_check<say_nothing, answer_late>({
    .id = "target.silent",
    .title = "the server may be silent for a while before it answers",
    .trait = trait::idle_timeout.name,
});

} // namespace test_tunnel::check
