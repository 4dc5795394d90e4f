#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/detail/datagram_burst.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/net/datagram_socket.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// The sizes at which tools are known to stop: a query of DNS, what fits into a packet of Ethernet,
/// and one byte more, buffers of a power of two, and one byte more, and all that there is; and the
/// one that is declared.
inline std::vector<std::size_t> sizes_to_try(std::size_t most,
                                             std::optional<std::size_t> declared) {
    std::vector<std::size_t> result{1,     2,     512,   513,   1200,  1472, 1473, 1500,
                                    1501,  2048,  2049,  4000,  4097,  8192, 8193, 9001,
                                    16384, 16385, 32768, 32769, 65000, 65507};
    result.push_back(most);
    if (declared) {
        result.push_back(*declared);
    }
    std::erase_if(result, [&](std::size_t size) { return size == 0 || size > most; });
    std::sort(result.begin(), result.end());
    result.erase(std::unique(result.begin(), result.end()), result.end());
    return result;
}

/// Whether `payload`, which was just sent, arrives whole. It is given up as lost when the tool has
/// been idle for `patience`, and may come late then. Throws Unexpected where something else
/// arrives.
inline bool arrives_whole(PairRun& run, Flow& flow, Party speaker, std::string_view payload,
                          Duration patience) {
    auto wait = run.begin_wait(patience);
    const bool is_up = speaker == Party::client;
    while (const auto came =
               is_up ? run.receive_at_server(wait) : run.receive_at_client(flow, wait)) {
        if (came->data == payload) {
            if (is_up) {
                run.take_source(flow, *came);
            }
            run.remember_delay(wait.waited());
            return true;
        }
        if (!run.has_been_sent_twice(came->data)) {
            throw Unexpected{run.expected(), odd_datagram({std::string{payload}}, *came)};
        }
    }
    run.expect_again(payload);
    return false;
}

/// Whether one that did not arrive is sent again.
enum class Again { yes, no };

/// Sends one datagram from either side, in the server's case as the answer to a short request, and
/// once more where it has not arrived, and returns whether it has arrived.
inline bool gets_through(PairRun& run, Flow& flow, Party speaker, std::string_view payload,
                         Again again = Again::yes) {
    using namespace std::chrono_literals;
    std::vector<Duration> patience{run.patience_of_at_least(scaled(60ms)), run.patience_for(1)};
    if (again == Again::no) { // nobody counts on it: only what comes instead is of interest
        patience = {run.patience_of_at_least(scaled(20ms))};
    }
    for (const auto each : patience) {
        if (speaker == Party::server) {
            run.say_request(flow);
            run.datagram_server().send(payload, flow.source.value());
        } else {
            flow.send(payload);
        }
        if (arrives_whole(run, flow, speaker, payload, each)) {
            return true;
        }
    }
    return false;
}

/// Has datagrams of all sizes go one way, and returns the largest one up to which all arrive.
inline std::size_t largest_that_passes(PairRun& run, Flow& flow, Party speaker, std::size_t most) {
    const auto name = speaker == Party::client ? PairRun::up : PairRun::down;
    const auto steps = run.steps();
    std::size_t largest = 0;
    bool is_lost = false;
    for (const auto size : sizes_to_try(most, run.traits().datagram_size)) {
        run.forget_steps(steps);
        run.step("size",
                 fmt::format("{}: a datagram of {} bytes arrives whole, or not at all", name, size),
                 speaker, speaker == Party::client ? Party::server : Party::client);
        const auto payload = run.pattern(size).bytes(0, size);
        const bool arrives =
            gets_through(run, flow, speaker, payload, is_lost ? Again::no : Again::yes);
        if (arrives && is_lost) {
            throw Unexpected{
                "a tool carries all datagrams up to some size",
                fmt::format("{}: {} bytes arrive, and some that are smaller do not", name, size)};
        }
        is_lost = is_lost || !arrives;
        largest = is_lost ? largest : size;
    }
    return largest;
}

/// An empty datagram, each way: it says nothing, but it says it.
inline void try_empty(PairRun& run, Flow& flow) {
    run.step("empty", "a datagram without a byte arrives", Party::client, Party::server);
    const auto again = run.traits().empty_datagrams == false ? Again::no : Again::yes;
    bool arrives = gets_through(run, flow, Party::client, "", again);
    if (arrives) {
        run.step("empty answer", "a datagram without a byte arrives", Party::server, Party::client);
        arrives = gets_through(run, flow, Party::server, "", again);
    }
    run.judge(trait::empty_datagrams, arrives);
    if (arrives) {
        run.round_trip(flow); // it goes on
    } else if (run.traits().concurrent.value_or(true)) {
        flow = run.flow(); // it may have taken that for the end
    }
    run.forget_twice("");
}

/// Has datagrams of all sizes go each way. They may be lost from some size on, which is noted, but
/// none may be clipped.
inline void try_sizes(PairRun& run) {
    auto flow = run.flow();
    try_empty(run, flow);
    const auto server_most = largest_datagram(flow.target.address.family());
    // What IPv6 carries more than IPv4 needs a tool that has thought of it.
    const auto usual = largest_datagram(Family::ipv4);
    const auto at_most = [&](std::size_t most) {
        return run.strict() ? most : std::min(most, usual);
    };
    const auto up = largest_that_passes(run, flow, Party::client,
                                        at_most(std::min(flow.largest_payload(), server_most)));
    const auto down = largest_that_passes(run, flow, Party::server,
                                          at_most(std::min(flow.largest_payload(), server_most)));
    const auto shown = std::min(up, down);
    const auto declared = run.traits().datagram_size;
    const auto wanted = std::min(declared.value_or(usual), std::min(usual, flow.largest_payload()));
    const std::string name{trait::datagram_size.name};
    if (shown >= wanted) {
        if (declared && shown > *declared) {
            run.note(fmt::format("datagrams of {} bytes arrive, better than declared ({})", shown,
                                 run.wording(name)),
                     name);
        }
        return;
    }
    const auto text = fmt::format(
        "datagrams arrive of up to {} bytes ({}), and not the next larger "
        "ones that were tried ({}: {})",
        shown,
        up == down  ? "both ways"
        : up < down ? PairRun::up
                    : PairRun::down,
        declared ? "declared" : "undeclared", run.wording(name));
    if (declared || run.strict()) {
        run.step("largest", fmt::format("datagrams of up to {} bytes arrive", wanted));
        throw Unexpected{run.expected(), text};
    }
    run.note({name, text, NamedTrait{name, std::to_string(shown)}});
}

inline constexpr Check datagram_sizes{
    .id = "datagram.sizes",
    .title =
        "datagrams of 0 to 65507 bytes arrive whole, or not at all; strict: to 65527 over IPv6",
    .needs = {.udp = true},
    .trait = trait::datagram_size.name,
    .run = try_sizes};

} // namespace test_tunnel::check
