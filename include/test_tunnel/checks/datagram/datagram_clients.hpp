#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/detail/datagram_burst.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Throws NotApplicable for a tool that is declared to serve one client at a time.
inline void need_flows_at_once(PairRun& run) {
    if (run.traits().concurrent == false) {
        run.judge(trait::concurrent, false);
        throw NotApplicable{fmt::format("it serves one client at a time ({})",
                                        run.wording(trait::concurrent, false))};
    }
}

/// Has clients say something, all at once, and each be answered at once, in `order`.
inline void talk_at_once(PairRun& run, std::vector<Flow>& flows, std::uint64_t number) {
    run.step("at once", fmt::format("what each of {} clients says arrives, once", flows.size()),
             Party::client, Party::server);
    Burst words{run, Party::client};
    for (auto& flow : flows) {
        words.add(flow, "client " + hex(run.pattern(number++).bytes(0, 12)));
    }
    words.carry();
    run.step("answers", "each client gets the answer to what it has said, and no other one",
             Party::server, Party::client);
    Burst answers{run, Party::server};
    for (std::size_t i = flows.size(); i-- > 0;) { // the last one first
        answers.add(flows[i], "server " + hex(run.pattern(number++).bytes(0, 12)), words.source(i));
    }
    answers.carry();
}

/// Opens clients that say nothing yet.
inline std::vector<Flow> open_flows(PairRun& run, std::size_t count) {
    std::vector<Flow> result;
    const auto steps = run.steps();
    for (std::size_t i = 0; i < count; ++i) {
        run.forget_steps(steps);
        result.push_back(run.open_flow());
    }
    return result;
}

/// Has 64 clients come in the same instant, and talk three times: clients that come one after the
/// other do not show what is mixed up.
inline void serve_clients_at_once(PairRun& run) {
    need_flows_at_once(run);
    constexpr std::size_t clients = 64;
    constexpr std::uint64_t numbers = 2 * clients;
    const int waves = run.strict() ? 8 : 2;
    constexpr int rounds = 3;
    std::uint64_t number = 0;
    for (int wave = 0; wave < waves; ++wave) {
        auto flows = open_flows(run, clients);
        const auto steps = run.steps();
        for (int round = 0; round < rounds; ++round) {
            run.forget_steps(steps);
            talk_at_once(run, flows, number);
            number += numbers;
        }
        run.step("no further datagrams", "nothing arrives that nobody has sent", Party::tool,
                 Party::client);
        std::vector<Flow*> all(flows.size());
        std::transform(flows.begin(), flows.end(), all.begin(), [](Flow& flow) { return &flow; });
        run.require_no_datagram(all);
    }
}

inline constexpr Check datagram_clients{
    .id = "datagram.clients",
    .title = "64 clients that come in the same instant get their own answers, three times",
    .needs = {.udp = true},
    .trait = trait::concurrent.name,
    .run = serve_clients_at_once};

} // namespace test_tunnel::check
