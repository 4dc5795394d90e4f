#pragma once

#include <poll.h>

#include <chrono>
#include <optional>

#include "test_tunnel/checks/detail/asking_client.hpp"
#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/odd_upstream.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has the upstream proxy say nothing to a client's request, for a while, and then end. How long a
/// tool waits for it is its own choice, and many wait for ever. But others must be served
/// meanwhile, and the client be told when there is nothing more to wait for.
inline void stay_silent_as_upstream(PairRun& run) {
    using namespace std::chrono_literals;
    static_cast<void>(need_upstream(run));
    const bool once = serves_once(run);
    const bool is_concurrent = !once && run.is_concurrent();
    std::optional<AskingClient> client;
    std::optional<Socket> silent;
    {
        OddUpstream upstream{run, "silence", "the client is told nothing, or refused",
                             [&run](Socket& tool) { run.upstream().read_asked(tool); }};
        client.emplace(run);
        silent = upstream.await(*client);
    }
    if (is_concurrent) {
        run.step("others", "others are served while the upstream proxy says nothing to a client",
                 Party::client, Party::server);
        run.sentinel();
    }
    run.step("silence", "the client is told nothing, or that it is not connected", Party::tool,
             Party::client);
    bool is_told = false;
    const auto deadline = Deadline::unscaled(run.wait(2s));
    while (!is_told && run.wait_for(client->socket().event(POLLIN), deadline, "an answer")) {
        is_told = !client->is_to_be_told() || client->read_answer().answer != Answer::served;
    }
    if (client->answer() == Answer::served) {
        run.note("it tells its client success before its upstream proxy has answered");
    }
    if (!is_told) {
        run.step("told", "the client is told when the upstream proxy has ended without an answer",
                 Party::server, Party::client);
        silent->shutdown_write();
    }
    demand_refusal_of(run, *client);
    if (once) {
        run.kill_after_check();
    }
}

inline constexpr Check upstream_silent{.id = "upstream.silent",
                                       .title =
                                           "while the upstream keeps one client waiting, others "
                                           "are served; at its end that one is told",
                                       .level = Level::strict,
                                       .run = stay_silent_as_upstream};

} // namespace test_tunnel::check
