#pragma once

#include <chrono>

#include "test_tunnel/checks/detail/named_target.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// For how long a tool may connect nobody to an address that has refused: nginx does so for 10 s.
inline constexpr Duration longest_ban = std::chrono::seconds{12};

/// Has some clients ask for a name while the server listens at `live` only; returns whether all are
/// served there. Ends with the first that is not, which must have been told so.
inline bool try_addresses(PairRun& run, NamedTarget& target, Reached::Where live) {
    // A tool that picks one of two by chance, and tries no other, passes with one run in 1,024.
    constexpr int count = 5;
    target.restart(); // it may shun an address for a while
    const bool is_first = live == Reached::Where::first;
    target.listen_at_first(is_first);
    target.listen_at_second(!is_first);
    const auto text = fmt::format(
        "a client that asks for a name with two addresses is connected to {}, or refused at once, "
        "when {} refuses",
        is_first ? target.first() : target.second(), is_first ? target.second() : target.first());
    run.step("one address refuses", text, Party::client, Party::server);
    const auto steps = run.steps();
    for (int i = 0; i < count; ++i) {
        run.forget_steps(steps);
        const auto reached = target.ask();
        if (reached.is_left_waiting) {
            run.step("one address refuses", text, Party::tool, Party::client);
            throw Unexpected{text, "the client is left waiting: " + reached.text, Cause::timed_out};
        }
        if (reached.where != live) {
            return false;
        }
    }
    return true;
}

/// Demands that clients are served, after a while, when both addresses take connections.
inline void require_service_at_both(PairRun& run, NamedTarget& target) {
    using namespace std::chrono_literals;
    constexpr Duration between = 200ms;
    constexpr int enough = 4;
    target.listen_at_first(true);
    target.listen_at_second(true);
    run.step("both addresses",
             fmt::format("clients are served within {} when both addresses of the name take "
                         "connections",
                         text_of(scaled(longest_ban))),
             Party::client, Party::server);
    const auto expected = run.expected();
    const auto steps = run.steps();
    const auto deadline = Deadline::after(longest_ban);
    for (int in_a_row = 0; in_a_row < enough;) {
        run.forget_steps(steps);
        const auto reached = target.ask();
        if (reached.where != Reached::Where::nowhere) {
            ++in_a_row;
            continue;
        }
        if (deadline.passed()) {
            throw Unexpected{expected, reached.text,
                             reached.is_left_waiting ? Cause::timed_out : Cause::unexpected};
        }
        in_a_row = 0;
        run.pause(between, "the tool to connect to an address again");
    }
}

/// Gives the name of the target two addresses, of which one refuses, and then the other: whatever
/// the order in which the tool tries them.
inline void try_other_addresses(PairRun& run) {
    NamedTarget target{run};
    if (!is_refused(run, target.second())) {
        throw NotApplicable{fmt::format("on this machine, nobody at {} learns that {} is closed",
                                        run.pair().svc_listen.clients.front(), target.second())};
    }
    target.resolve_to_both();
    target.listen_at_second(true);
    if (!target.is_told() && target.ask().where == Reached::Where::nowhere) {
        throw NotApplicable{"it can't be asked for a name"};
    }
    const bool tries_all = try_addresses(run, target, Reached::Where::first) &&
                           try_addresses(run, target, Reached::Where::second);
    require_service_at_both(run, target);
    run.step("other address",
             "a client is connected to the other address of a name when one refuses", Party::tool,
             Party::server);
    run.judge(trait::tries_addresses, tries_all);
}

inline constexpr Check target_addresses{
    .id = "target.addresses",
    .title = "where an address of a name refuses, the client is connected to the other one",
    .level = Level::strict,
    .trait = trait::tries_addresses.name,
    .presumes = {"target.unreachable"},
    .run = try_other_addresses};

} // namespace test_tunnel::check
