#pragma once

#include <chrono>

#include "test_tunnel/checks/detail/named_target.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// For how long a tool may go to the old address of a name: the resolver of Go, for one, takes what
/// it has read of a hosts file for true for 5 s.
inline constexpr Duration name_patience = std::chrono::seconds{8};
/// For how long one is tried that has to be declared not to go to the new address at all.
inline constexpr Duration short_name_patience = std::chrono::seconds{1};
/// How many clients in a row have to come to the new address: each process or thread of a tool may
/// have a memory of its own.
inline constexpr int most_memories = 6;

/// What has been seen of the clients that asked for a name since it has another address.
struct Renaming {
    int in_a_row = 0;
    /// When the first of these came.
    Clock::time_point since{};
    bool came_to_new = false;
    Reached last{};

    [[nodiscard]] bool is_done() const noexcept { return in_a_row >= most_memories; }
};

/// Has clients ask for the name, one after the other, until enough of them in a row have come to
/// the new address; no longer than for `patience`.
inline void ask_until_moved(PairRun& run, NamedTarget& target, Renaming& seen, Duration patience) {
    using namespace std::chrono_literals;
    constexpr Duration between = 50ms;
    const auto deadline = Deadline::after(patience);
    const auto steps = run.steps();
    do {
        run.forget_steps(steps);
        seen.last = target.ask();
        const bool is_new = seen.last.where == Reached::Where::second;
        if (seen.in_a_row == 0) {
            seen.since = Clock::now();
        }
        seen.in_a_row = is_new ? seen.in_a_row + 1 : 0;
        seen.came_to_new = seen.came_to_new || is_new;
        if (!is_new) {
            run.pause(between, "the tool to look up a name again");
        }
    } while (!seen.is_done() && (!deadline.passed() || seen.in_a_row > 0));
}

/// Gives the name of the target another address: clients have to be connected there, after a while.
/// A tool that looks the name up again only when it is refused at the old address is noted.
inline void follow_name(PairRun& run) {
    using namespace std::chrono_literals;
    NamedTarget target{run};
    const auto before = target.ask();
    if (before.where != Reached::Where::first) {
        if (!target.is_told()) {
            throw NotApplicable{fmt::format("it can't be asked for a name: {}", before.text)};
        }
        throw Unexpected{run.expected(), before.text};
    }
    run.step("another address",
             fmt::format("the name of the server, which stood for {}, stands for {}",
                         target.first().address, target.second().address),
             Party::server, Party::server);
    target.listen_at_second(true);
    target.resolve_to_second();
    const bool is_declared = run.traits().resolves_again == false;
    const auto patience = is_declared ? short_name_patience : name_patience;
    Renaming seen;
    const auto began = Clock::now();
    ask_until_moved(run, target, seen, patience);
    const auto expected = fmt::format(
        "within {}, all clients are connected to the new address of the name, {}, and "
        "none to its old one, {}",
        text_of(scaled(patience)), target.second(), target.first());
    if (!seen.is_done() && seen.came_to_new) {
        run.step("new address", expected, Party::tool, Party::server);
        throw Unexpected{expected, fmt::format("some are, and then others are not: {}",
                                               seen.last.where == Reached::Where::first
                                                   ? "the last one came to the old address"
                                                   : seen.last.text)};
    }
    if (!seen.is_done() && seen.last.where == Reached::Where::nowhere) {
        run.step("new address", expected, Party::tool, Party::server);
        throw Unexpected{expected, seen.last.text,
                         seen.last.is_left_waiting ? Cause::timed_out : Cause::unexpected};
    }
    if (seen.is_done()) {
        if (const auto taken = seen.since - began; taken > 500ms) {
            run.note(fmt::format("it goes to the new address of a name {} later", text_of(taken)));
        }
    } else {
        constexpr Duration enough = 2s;
        target.listen_at_first(false);
        ask_until_moved(run, target, seen, is_declared ? short_name_patience : enough);
        if (seen.is_done()) {
            run.note("it goes to the new address of a name only when it is refused at the old one");
        }
    }
    run.step("new address", expected, Party::tool, Party::server);
    run.judge(trait::resolves_again, seen.is_done(),
              fmt::format("{} after its name has got another address, clients come there",
                          text_of(scaled(patience))));
}

inline constexpr Check life_renamed{
    .id = "life.renamed",
    .title = "when the target's name gets another address, new clients are connected there",
    .level = Level::strict,
    .trait = trait::resolves_again.name,
    .run = follow_name};

} // namespace test_tunnel::check
