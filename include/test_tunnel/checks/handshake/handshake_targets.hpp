#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "test_tunnel/checks/detail/handshake_client.hpp"
#include "test_tunnel/checks/detail/other_target.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/handshakes/protocol.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// How two targets are asked for, and whether that could be tried.
struct InTurn {
    Protocol protocol;
    Differs differs = Differs::by_port;
    bool by_name = false;
    /// Why it could not be tried; empty where it was.
    std::string obstacle{};
};

/// A client that asks for the second target was refused when others had asked for the first one.
/// That may be a rule of the tool's: then one that has just been started refuses as well. Else
/// throws Unexpected.
inline void require_rule(PairRun& run, const InTurn& turn, const std::string& refusal) {
    const auto expected = run.expected();
    run.kill_after_check();
    run.settle(); // kills it
    TwoTargets targets{run, turn.protocol, turn.differs};
    if (!targets.has_other() || (turn.by_name && !targets.ask_by_name())) {
        return;
    }
    const auto connection = targets.ask(TwoTargets::other);
    if (connection) {
        throw Unexpected{expected, fmt::format("it is refused, though a tool that was asked for "
                                               "{} first has served it\n{}",
                                               targets.at(TwoTargets::other), refusal)};
    }
}

/// Asks for two targets in turn, and then for both at once. Returns false, and tells why, where
/// there is no second one, or the tool serves nobody there.
inline bool ask_in_turn(PairRun& run, InTurn& turn) {
    constexpr auto own = TwoTargets::own;
    constexpr auto other = TwoTargets::other;
    TwoTargets targets{run, turn.protocol, turn.differs};
    if (!targets.has_other()) {
        turn.obstacle =
            fmt::format("there is no second {} beside {} at which it can listen",
                        turn.differs == Differs::by_address ? "address" : "port", targets.at(own));
        return false;
    }
    if (turn.by_name && !targets.ask_by_name()) {
        turn.obstacle = fmt::format("no name on this machine stands for {} and nothing else",
                                    targets.at(other).address);
        return false;
    }
    const auto steps = run.steps();
    bool is_first = true;
    for (const auto target : {own, other, own, other}) {
        run.forget_steps(steps);
        const auto connection = targets.ask(target);
        if (!connection && target == own && turn.by_name && is_first) {
            turn.obstacle = "it is not asked by name"; // which `handshake.name` is about
            return false;
        }
        if (!connection && (target == own || !is_first)) {
            throw Unexpected{run.expected(), targets.refusal()};
        }
        if (!connection && turn.differs == Differs::by_odd_port) { // no rule: another one it serves
            throw Unexpected{run.expected(), targets.refusal()};
        }
        if (!connection) {
            const auto& refusal = targets.refusal();
            require_rule(run, turn, refusal);
            turn.obstacle = fmt::format("it connects nobody to {}: {}", targets.at(other), refusal);
            return false;
        }
        is_first = is_first && target == own;
    }
    if (run.is_concurrent()) {
        std::vector<Connection> open;
        for (const auto target : {own, other, own, other}) {
            auto connection = targets.ask(target);
            if (!connection) {
                throw Unexpected{run.expected(), targets.refusal()};
            }
            open.push_back(*std::move(connection));
        }
        std::reverse(open.begin(), open.end());
        run.step("targets at once", "each connection carries its own bytes, to its own target",
                 Party::client, Party::server);
        for (auto& [client, server] : open) {
            run.say(client, server, Party::client);
            run.say(server, client, Party::server);
        }
    }
    targets.require_no_other();
    return true;
}

/// Asks for two targets in turn: one client's must not be where another one is connected. First
/// the second one differs by its port only, where it is served by one whose number tools have read
/// wrongly, then by its address only; and both are asked for by name where the tool is asked so, or
/// at `Level::strict`.
inline void ask_for_targets(PairRun& run) {
    if (run.upstream().is_there()) {
        throw NotApplicable{"its upstream proxy connects to one target only"};
    }
    const auto protocol = need_protocol(run);
    const bool has_names = has_name(protocol);
    std::vector<InTurn> turns;
    for (const bool by_name : {false, true}) {
        const bool is_wanted = by_name == has_names ||
                               (by_name && run.strict() && run.traits().resolves_names != false);
        if (is_wanted) {
            turns.push_back({protocol, Differs::by_port, by_name});
            turns.push_back({protocol, Differs::by_address, by_name});
        }
    }
    using namespace std::chrono_literals;
    const auto enough = Deadline::unscaled(3s); // of a tool that takes its time for each connection
    bool has_asked = false;
    std::string obstacles;
    for (auto& turn : turns) {
        if (has_asked && !run.strict() && enough.passed()) {
            break;
        }
        if (ask_in_turn(run, turn)) {
            has_asked = true;
            InTurn odd{turn.protocol, Differs::by_odd_port, turn.by_name};
            if (turn.differs == Differs::by_port) {
                static_cast<void>(ask_in_turn(run, odd));
            }
        } else {
            obstacles += (obstacles.empty() ? "" : "; ") + turn.obstacle;
        }
    }
    if (!has_asked) {
        throw NotApplicable{"it was asked for one target only: " + obstacles};
    }
}

inline constexpr Check handshake_targets{
    .id = "handshake.targets",
    .title = "clients that ask for two targets in turn are each connected to their own",
    .run = ask_for_targets};

} // namespace test_tunnel::check
