#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/detail/datagram_burst.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Whether a second answer to one datagram arrives; the first one must.
inline bool passes_second_answer(PairRun& run, Flow& flow) {
    run.step("two answers", "the first answer to a datagram arrives", Party::server, Party::client);
    run.carry(flow, Party::server, "first answer " + hex(run.pattern(1).bytes(0, 8)));
    const auto second = "second answer " + hex(run.pattern(2).bytes(0, 8));
    for (int sent = 1; sent <= 2; ++sent) {
        run.datagram_server().send(second, flow.source.value());
        auto wait = run.begin_wait(run.patience_for(1));
        while (const auto came = run.receive_at_client(flow, wait)) {
            if (came->data == second) {
                return true;
            }
            if (!run.has_been_sent_twice(came->data)) {
                throw Unexpected{run.expected(), odd_datagram({second}, *came)};
            }
        }
        run.expect_again(second);
    }
    return false;
}

/// The server answers one datagram by many, answers late, and says something that it was not asked
/// for: all of that arrives, once, and nothing else.
inline void answer_freely(PairRun& run) {
    constexpr std::size_t count = 12;
    auto flow = run.flow();
    run.step("request", "a request arrives", Party::client, Party::server);
    run.carry(flow, Party::client, "request " + hex(run.pattern(3).bytes(0, 8)));
    const bool passes = passes_second_answer(run, flow);
    run.judge(trait::several_answers, passes);
    if (!passes) {
        return;
    }
    run.step("answers", "12 answers to one datagram arrive, each once", Party::server,
             Party::client);
    Burst answers{run, Party::server};
    for (std::size_t i = 0; i < count; ++i) {
        answers.add(flow, "answer " + hex(run.pattern(4 + i).bytes(0, 4 + 40 * i)));
    }
    answers.carry();
    run.step("requests", "12 requests without an answer arrive, each once", Party::client,
             Party::server);
    Burst requests{run, Party::client};
    for (std::size_t i = 0; i < count; ++i) {
        requests.add(flow, "request " + hex(run.pattern(30 + i).bytes(0, 4 + 40 * i)));
    }
    requests.carry();
    run.step("by itself", "what the server says by itself arrives", Party::server, Party::client);
    run.carry(flow, Party::server, "by itself " + hex(run.pattern(60).bytes(0, 8)));
    run.step("no further datagrams", "nothing arrives that nobody has sent", Party::tool,
             Party::client);
    run.require_no_datagram({&flow});
}

inline constexpr Check datagram_answers{
    .id = "datagram.answers",
    .title = "the server may answer a datagram by many, or by none, and speak by itself",
    .needs = {.udp = true},
    .trait = trait::several_answers.name,
    .run = answer_freely};

} // namespace test_tunnel::check
