#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "test_tunnel/checks/detail/associations.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/process/detail/settle.hpp"

namespace test_tunnel::check {

/// How long a tool may take to notice that an association's connection has ended, and how often in
/// a row nothing of the association must then be relayed.
struct EndOfAssociation {
    static constexpr Duration longest = std::chrono::seconds{2};
    static constexpr int quiet_rounds = 3;
    static constexpr Duration round = std::chrono::milliseconds{50};
};

/// Whether something that the client says on `ended` still arrives at the server. Where another
/// client is there, it says something afterwards, and what that waits for counts as well.
inline bool is_relayed(PairRun& run, Flow& ended, Flow* other, Words& words) {
    const auto word = words.next();
    ended.send(word);
    std::vector<Datagram> came;
    if (other != nullptr) {
        came = arrivals_before(run, *other, words.next());
    }
    if (auto last = run.receive_at_server(Deadline::after(EndOfAssociation::round))) {
        came.push_back(*std::move(last));
    }
    for (const auto& each : came) {
        if (each.data.size() != word.size()) {
            throw Unexpected{run.expected(), "at the server " + described(each)};
        }
    }
    return !came.empty();
}

/// Whether what the server sends where the association's datagrams came from still arrives at its
/// client.
inline bool is_answered(PairRun& run, Flow& ended, Words& words) {
    run.datagram_server().send(words.next(), *ended.source);
    return ended.client.receive(Deadline::after(EndOfAssociation::round)).has_value();
}

/// Waits until nothing more is relayed in this direction, and returns whether that has come.
template <typename Try>
bool comes_to_an_end(PairRun& run, Try is_still_carried) {
    const auto deadline = Deadline::after(EndOfAssociation::longest);
    for (int quiet = 0;;) {
        if (quiet == EndOfAssociation::quiet_rounds) { // or has it got no CPU?
            detail::wait_until_idle(run.tool(), std::chrono::milliseconds{250});
        }
        if (!is_still_carried()) {
            if (quiet++ == EndOfAssociation::quiet_rounds) {
                return true;
            }
            continue;
        }
        quiet = 0;
        if (deadline.passed()) {
            return false;
        }
    }
}

/// Demands that an association goes on while nobody says anything, as its connection does.
inline void stay_associated(PairRun& run, Flow& flow) {
    run.step("silence", "the tool leaves the association's connection open, and says nothing on it",
             Party::tool, Party::client);
    Duration silence = run.wait(std::chrono::seconds{3});
    for (const auto& limit : {run.traits().flow_timeout, run.traits().idle_timeout}) {
        silence = std::min(silence, limit.value_or(2 * silence) / 2);
    }
    run.require_silence({&*flow.control}, silence);
    run.step("after silence", "what the client says after a while of silence arrives",
             Party::client, Party::server);
    Words words{run};
    demand_only(run, flow, words.next());
    demand_answer(run, flow, words.next());
    run.step("still open", "the association's connection is open", Party::tool, Party::client);
    run.require_silence({&*flow.control});
}

/// How a client ends the connection of its association.
enum class AssociationEnding { close, reset };

/// Ends an association, and returns whether nothing more of it is relayed. `other` is another
/// client, if there is one. Throws Unexpected where that is not declared.
inline bool ends_with_connection(PairRun& run, Flow& flow, Flow* other, AssociationEnding ending,
                                 Words& words) {
    const std::string_view what = ending == AssociationEnding::close ? "closed" : "reset";
    if (ending == AssociationEnding::close) {
        flow.control->close();
    } else {
        flow.control->reset();
    }
    const auto demand_end = [&](bool has_ended, std::string_view way) {
        if (!has_ended && run.traits().ends_associations != false) {
            throw Unexpected{
                run.expected(),
                fmt::format(
                    "{} after it, it still relays {}; a tool that goes on has to declare {}",
                    text_of(scaled(EndOfAssociation::longest)), way,
                    run.wording(trait::ends_associations, false))};
        }
        return has_ended;
    };
    run.step("the end",
             fmt::format("soon after the client has {} the association's connection, nothing more "
                         "is relayed to the server (RFC 1928 §6)",
                         what),
             Party::client, Party::server);
    bool ends =
        demand_end(comes_to_an_end(run, [&] { return is_relayed(run, flow, other, words); }),
                   "what comes from the client's port");
    const bool is_own_source = other == nullptr || other->source != flow.source;
    if (ends && is_own_source) {
        run.step("no answers",
                 fmt::format("soon after the client has {} the association's connection, no answer "
                             "is relayed to it (RFC 1928 §6)",
                             what),
                 Party::server, Party::client);
        ends = demand_end(comes_to_an_end(run, [&] { return is_answered(run, flow, words); }),
                          "what comes from the server");
    }
    return ends;
}

/// Ends an association by closing its connection, and at `strict` one more by a reset; another one
/// goes on.
inline void end_association(PairRun& run) {
    need_associations(run);
    std::optional<Flow> flow{run.flow()};
    stay_associated(run, *flow);
    std::optional<Flow> other;
    const bool is_alone = run.traits().concurrent == false;
    const auto start_anew = [&] {
        other.reset();
        flow.reset();
        run.kill_after_check();
        run.settle();
        flow.emplace(run.flow());
    };
    if (!is_alone) {
        other.emplace(run.flow());
        if (other->relay == flow->relay) {
            // At a port that they share, a tool may know clients by their addresses: then this one
            // has to be alone, and no other is to be left from the checks before.
            start_anew();
        }
    }
    Words words{run};
    auto* const beside = other ? &*other : nullptr;
    bool ends = ends_with_connection(run, *flow, beside, AssociationEnding::close, words);
    if (ends && run.strict()) {
        if (beside == nullptr) {
            start_anew();
        } else {
            flow.emplace(run.flow());
        }
        ends = ends_with_connection(run, *flow, beside, AssociationEnding::reset, words);
    }
    run.judge(trait::ends_associations, ends);
    if (!ends) {
        run.kill_after_check();
        return;
    }
    if (other) {
        run.step("the other association", "another client's association goes on", Party::client,
                 Party::server);
        demand_only(run, *other, words.next());
        demand_answer(run, *other, words.next());
    }
}

inline constexpr Check associate_end{
    .id = "associate.end",
    .title = "a SOCKS5 association ends with its connection, and only with that",
    .needs = {.udp = true},
    .trait = trait::ends_associations.name,
    .run = end_association};

} // namespace test_tunnel::check
