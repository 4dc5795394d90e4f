#pragma once

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/detail/datagram_burst.hpp"
#include "test_tunnel/checks/detail/growth.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// A flow on which the client has spoken last, and since when nobody has said anything.
struct SilentFlow {
    Flow flow;
    Clock::time_point since = Clock::now();
};
using SilentFlows = std::vector<SilentFlow>;

/// Has the client say a word.
inline void ask(PairRun& run, SilentFlow& silent, std::uint64_t number) {
    run.step("question", "what the client says arrives at the server", Party::client,
             Party::server);
    run.carry(silent.flow, Party::client, "question " + hex(run.pattern(number).bytes(0, 8)));
    silent.since = Clock::now();
}

/// Opens two flows, and has their clients say a word: the server will answer late.
inline SilentFlows ask_and_wait(PairRun& run) {
    SilentFlows silent;
    const int count = run.traits().concurrent == false ? 1 : 2;
    for (int i = 0; i < count; ++i) {
        silent.push_back({.flow = run.flow()});
        ask(run, silent.back(), std::uint64_t(i));
    }
    return silent;
}

/// Whether an answer that comes now arrives; nothing else may.
inline bool answer_arrives(PairRun& run, Flow& flow, const std::string& text) {
    auto& server = run.datagram_server();
    const auto source = flow.source.value();
    static_cast<void>(server.take_error_of(source)); // of what was sent before
    server.send(text, source);
    run.expect_again(text); // it may come when it is not waited for any more
    auto wait = run.begin_wait(run.patience_for(1));
    while (!wait.is_over()) {
        // In slices, since an error may come back in between.
        IdleWait slice{std::min<Duration>(wait.left, std::chrono::milliseconds{10}), wait.deadline};
        const auto came = run.receive_at_client(flow, slice);
        wait.left -= slice.waited();
        if (came && came->data == text) {
            run.forget_twice(text);
            return true;
        }
        if (came && !run.has_been_sent_twice(came->data)) {
            throw Unexpected{run.expected(), odd_datagram({text}, *came)};
        }
        if (!came && server.take_error_of(source)) {
            return false; // the tool has closed what it had for this flow
        }
    }
    return false;
}

/// A flow that has been silent for long may be forgotten: that is noted, or must be declared. What
/// the tool has open for it must be closed then.
inline void demand_release(PairRun& run, Duration timeout) {
    using namespace std::chrono_literals;
    constexpr int count = 16;
    const auto before = usage_of(run.tool());
    if (!before) {
        return;
    }
    run.step("forgetting",
             fmt::format("what {} flows had open is closed after {}", count, text_of(timeout)),
             Party::tool, Party::tool);
    const auto expected = run.expected();
    const auto steps = run.steps();
    {
        std::vector<Flow> flows;
        for (int i = 0; i < count; ++i) {
            run.forget_steps(steps);
            flows.push_back(run.flow());
        }
    }
    run.step("forgetting", expected, Party::tool, Party::tool);
    constexpr std::size_t slack = 2;
    const auto after = settled_usage(run, *before, slack, timeout * 2 + 2s);
    if (after && !after->is_near(*before, slack)) {
        throw Unexpected{expected, fmt::format("{}, and {} before", after->text(), before->text())};
    }
}

/// Has the server answer after a silence, in which nothing comes to anybody, and the flows then go
/// on.
inline void answer_after_silence(PairRun& run, SilentFlows& silent) {
    using namespace std::chrono_literals;
    const auto limit = run.traits().flow_timeout;
    const Duration moment = 400ms; // no tool forgets a client that soon, unless that is declared
    const auto longest = run.strict() ? Duration{5s} : Duration{600ms};
    const auto stay_silent = [&](const SilentFlow& which, Duration duration) {
        run.step("silence", fmt::format("nothing comes to a client for {}", text_of(duration)),
                 Party::tool, Party::client);
        for (auto& each : silent) {
            while (const auto came = run.receive_at_client(each.flow, Deadline::now())) {
                throw Unexpected{run.expected(), odd_datagram({}, *came)};
            }
        }
        run.pause(std::max(which.since + duration - Clock::now(), Duration::zero()),
                  "a silence to end");
    };
    const auto bearable = limit ? std::min(moment, *limit / 2) : moment;
    /// What it forgets after `silence` may be declared, and is else noted, or a failure.
    const auto judge_forgetting = [&](Duration silence) {
        const auto text =
            fmt::format("an answer that comes after {} does not arrive ({}: {})", text_of(silence),
                        limit ? "declared" : "undeclared", run.wording(trait::flow_timeout.name));
        if (limit ? silence < *limit : run.strict()) {
            throw Unexpected{run.expected(), text, Cause::timed_out};
        }
        if (!limit) {
            run.note(text, trait::flow_timeout.name);
        }
    };
    std::uint64_t number = 10;
    const auto is_answered = [&](SilentFlow& which) {
        return answer_arrives(run, which.flow, "late " + hex(run.pattern(number++).bytes(0, 8)));
    };
    /// Whether it was answered after that long; nothing where that was longer ago than it may bear.
    const auto is_answered_soon = [&](SilentFlow& which) -> std::optional<bool> {
        stay_silent(which, bearable);
        const auto silence = Clock::now() - which.since;
        run.step("late answer",
                 fmt::format("an answer that comes after {} arrives", text_of(bearable)),
                 Party::server, Party::client);
        if (is_answered(which)) {
            return true;
        }
        if (silence < bearable + 200ms) {
            return false;
        }
        judge_forgetting(silence);
        return std::nullopt;
    };
    auto& first = silent.front();
    auto soon = is_answered_soon(first);
    const bool has_overslept = !soon;
    if (has_overslept && !limit) { // the other checks took long, or the machine is slow
        ask(run, first, number++);
        soon = is_answered_soon(first);
    }
    if (soon == false && !limit) {
        throw Unexpected{
            run.expected(),
            fmt::format("it did not; a tool that forgets flows so soon has to declare {}",
                        run.wording(trait::flow_timeout.name)),
            Cause::timed_out};
    }
    if (!has_overslept && soon == true && silent.size() > 1 && (!limit || *limit > longest)) {
        auto& second = silent.back();
        stay_silent(second, longest);
        const auto silence = Clock::now() - second.since;
        run.step("later answer",
                 fmt::format("an answer that comes after {} arrives", text_of(longest)),
                 Party::server, Party::client);
        if (!is_answered(second)) {
            judge_forgetting(silence);
        }
    }
    for (auto& [flow, since] : silent) {
        if (limit && flow.control &&
            run.wait_for(flow.control->event(POLLIN), Deadline::now(), "the association's end")) {
            continue; // it was forgotten with its connection, and the client knows that
        }
        run.step("afterwards", "a client that has been silent is served", Party::client,
                 Party::server);
        run.round_trip(flow);
    }
    constexpr auto most = 10s;
    if (run.strict() && limit && *limit <= most) {
        demand_release(run, *limit);
    }
}

inline constexpr Check datagram_silence = prepared_check<ask_and_wait, answer_after_silence>({
    .id = "datagram.silence",
    .title = "an answer that comes late arrives, and nothing before it; strict: after 5 s",
    .needs = {.udp = true},
    .trait = trait::flow_timeout.name,
});

} // namespace test_tunnel::check
