#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/checks/detail/associations.hpp"
#include "test_tunnel/checks/detail/unsendable_targets.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/discovery/addresses.hpp"
#include "test_tunnel/discovery/bind.hpp"
#include "test_tunnel/private_network/host_names.hpp"

namespace test_tunnel::check {

/// One of several targets of an association.
struct AssociationTarget {
    DatagramSocket server;
    /// By which it is asked for in place of its address.
    std::optional<std::string> name{};
    /// Whether each tool has to reach it that reaches the pair's own.
    bool is_demanded = true;
    /// From where the tool has sent to it.
    std::optional<Endpoint> source{};
    std::string answer{};
    bool is_answered = false;
    /// What was sent to it a second time, and may still come once.
    std::vector<std::string> copies{};

    /// Whether it is such a copy, which can't come again then.
    [[nodiscard]] bool takes_copy(const std::string& word) {
        const auto found = std::find(copies.begin(), copies.end(), word);
        if (found == copies.end()) {
            return false;
        }
        copies.erase(found);
        return true;
    }

    [[nodiscard]] std::string text() const {
        const auto endpoint = server.local();
        return name ? fmt::format("'{}' ({})", *name, endpoint) : endpoint.text();
    }
};

/// Two further ports at the target's address, and one more by name.
inline std::vector<AssociationTarget> several_targets(PairRun& run) {
    const auto& address = run.pair().svc_listen.listen().address;
    const auto at = [&](const Address& where) { return bind_supervised(run, {where, 0}); };
    std::vector<AssociationTarget> result;
    result.push_back({.server = at(address)});
    result.push_back({.server = at(address)});
    if (auto name = host_name_of(address)) {
        result.push_back({.server = at(address), .name = std::move(name), .is_demanded = false});
    }
    return result;
}

/// One of the other family; none where this machine has none.
inline std::vector<AssociationTarget> target_of_other_family(PairRun& run) {
    std::vector<AssociationTarget> result;
    for (const auto& other : get_addresses(run.config())) {
        if (other.family() != run.pair().svc_listen.address.family() && !other.is_link_local()) {
            result.push_back({.server = bind_supervised(run, {other, 0}), .is_demanded = false});
            break;
        }
    }
    return result;
}

/// Has the client of `flow` send to a target, and returns whether that arrives there, and nowhere
/// else.
inline bool reaches(PairRun& run, Flow& flow, AssociationTarget& target, Words& words,
                    std::vector<AssociationTarget>& all) {
    run.step("a target", fmt::format("what the client sends to {} arrives there", target.text()),
             Party::client, Party::server);
    const auto to = target.server.local();
    const auto word = words.next();
    constexpr Duration moment = std::chrono::milliseconds{250};
    const auto patience =
        target.is_demanded || run.strict() ? run.config().timeouts.answer / 2 : moment;
    // One that is lost is sent again, once.
    for (int sent = 0; sent < 2; ++sent) {
        flow.client.send(
            target.name ? socks5_datagram(to, word, target.name) : flow.layer->encode(word, to),
            flow.relay);
        if (sent > 0) {
            target.copies.push_back(word);
        }
        const auto deadline = Deadline::after(patience);
        while (const auto came = target.server.receive(deadline)) {
            if (came->data == word) {
                target.source = came->from;
                return true;
            }
            if (!target.takes_copy(came->data)) {
                throw Unexpected{run.expected(), described(*came)};
            }
        }
    }
    for (auto& each : all) {
        const auto came = each.server.try_receive();
        if (came && !each.takes_copy(came->data)) {
            throw Unexpected{run.expected(), fmt::format("it arrives at {}", each.server.local())};
        }
    }
    const auto came = run.receive_at_server(Deadline::now());
    if (came && !run.has_been_sent_twice(came->data)) {
        throw Unexpected{run.expected(), fmt::format("it arrives at {}", flow.target)};
    }
    return false;
}

/// Takes an answer that has come to the client: its header must name the one who has sent it.
inline void take_answer(PairRun& run, const Flow& flow, const Datagram& came,
                        std::vector<AssociationTarget>& targets) {
    if (came.from != flow.relay) {
        throw Unexpected{
            fmt::format("answers come from {}, to which the client has sent", flow.relay),
            described(came)};
    }
    const auto content = flow.layer->decode(came.data);
    const auto target =
        std::find_if(targets.begin(), targets.end(), [&](const AssociationTarget& each) {
            return each.source && each.answer == content.payload;
        });
    if (target == targets.end() && run.has_been_sent_twice(content.payload)) {
        return;
    }
    if (target == targets.end()) {
        throw Unexpected{run.expected(), described(came)};
    }
    if (content.sender && *content.sender != target->server.local()) {
        throw Unexpected{
            fmt::format("the header of an answer names its sender, {}", target->server.local()),
            fmt::format("it names {}", *content.sender)};
    }
    if (!content.sender) {
        run.note("the headers of answers have a domain name");
    }
    target->is_answered = true;
}

/// Has all targets answer, in their order.
inline void answer_all(PairRun& run, Flow& flow, std::vector<AssociationTarget>& targets,
                       Words& words) {
    run.step("answers", "the answers of all targets arrive, each with its sender in its header",
             Party::server, Party::client);
    for (auto& target : targets) {
        target.answer = words.next();
        target.is_answered = false;
    }
    // What is lost is sent again, once.
    for (int sent = 0; sent < 2; ++sent) {
        for (auto& target : targets) {
            if (!target.is_answered) {
                if (sent > 0) {
                    run.expect_again(target.answer);
                }
                target.server.send(target.answer, *target.source);
            }
        }
        const auto are_all_there = [&] {
            return std::all_of(targets.begin(), targets.end(),
                               [](const auto& each) { return each.is_answered; });
        };
        const auto deadline = Deadline::after(run.config().timeouts.answer / 2);
        while (!are_all_there()) {
            const auto came = flow.client.receive(deadline);
            if (!came) {
                break;
            }
            take_answer(run, flow, *came, targets);
        }
        if (are_all_there()) {
            return;
        }
    }
    const auto missing = std::find_if(targets.begin(), targets.end(),
                                      [](const auto& each) { return !each.is_answered; });
    throw Unexpected{run.expected(), fmt::format("nothing from {}", missing->text()),
                     Cause::timed_out};
}

/// Has one client talk with several servers by one association.
inline void talk_with_several(PairRun& run) {
    need_associations(run);
    Words words{run};
    auto flow = run.flow();
    auto targets = several_targets(run);
    std::optional<bool> knows_names;
    for (std::size_t i = 0; i < targets.size();) {
        const bool is_there = reaches(run, flow, targets[i], words, targets);
        if (targets[i].name) {
            knows_names = is_there;
        }
        if (!is_there && targets[i].is_demanded) {
            throw Unexpected{run.expected(),
                             "nothing arrives there, though what goes to the first target does",
                             Cause::timed_out};
        }
        is_there ? ++i : (targets.erase(targets.begin() + static_cast<std::ptrdiff_t>(i)), i);
    }
    answer_all(run, flow, targets, words);
    std::reverse(targets.begin(), targets.end());
    for (auto& target : targets) {
        if (!reaches(run, flow, target, words, targets)) {
            throw Unexpected{run.expected(), "nothing arrives there, though it did before",
                             Cause::timed_out};
        }
    }
    answer_all(run, flow, targets, words);
    auto others = target_of_other_family(run);
    for (auto& other : others) {
        const auto family = family_id(other.server.local().address.family());
        if (reaches(run, flow, other, words, others)) {
            answer_all(run, flow, others, words);
        } else {
            run.note(fmt::format("from its addresses it reaches no IPv{} target", family));
        }
    }
    run.step("word",
             "after all that, also after a target of the other family, the first is reached",
             Party::client, Party::server);
    demand_only(run, flow, words.next());
    demand_answer(run, flow, words.next());
    for (const auto& target : unsendable_targets(run.pair().svc_listen.listen().address)) {
        flow.send(words.next(), target);
        run.step("a target without a way",
                 fmt::format("after a datagram for {}, which can't be sent, what the client sends "
                             "to the first target arrives",
                             target),
                 Party::client, Party::server);
        demand_only(run, flow, words.next());
        demand_answer(run, flow, words.next());
    }
    if (knows_names) {
        run.judge(trait::resolves_names, *knows_names, "targets of datagrams by name");
    }
}

inline constexpr Check associate_targets{
    .id = "associate.targets",
    .title = "one SOCKS5 association reaches several targets; answers name who has sent them",
    .needs = {.udp = true},
    .trait = trait::resolves_names.name,
    .run = talk_with_several};

} // namespace test_tunnel::check
