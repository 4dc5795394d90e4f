#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/datagram/datagram_clients.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has a client send as fast as the system takes it: what is too much may be lost, but what arrives
/// is as it was, no more than once, and then everybody is served. Then at a pace that leaves time:
/// nothing may be lost.
inline void flood(PairRun& run) {
    using namespace std::chrono_literals;
    constexpr std::size_t count = 20'000;
    constexpr std::size_t size = 1'200;
    auto flooding = run.flow();
    auto other = run.traits().concurrent == false ? std::optional<Flow>{} : run.flow();
    run.step("flood", "of 20,000 datagrams sent without a pause some arrive, each as it was",
             Party::client, Party::server);
    std::vector<char> seen(count);
    std::size_t arrived = 0;
    const auto take = [&](Deadline deadline) {
        const auto came = run.receive_at_server(deadline);
        if (!came) {
            return false;
        }
        if (run.has_been_sent_twice(came->data)) {
            return true;
        }
        std::uint64_t number = 0;
        if (came->data.size() == size) {
            came->data.copy(reinterpret_cast<char*>(&number),
                            sizeof number); // NOLINT(*-reinterpret-*)
        }
        if (came->data.size() != size || number >= count ||
            run.pattern(number).mismatch(sizeof number,
                                         std::string_view{came->data}.substr(sizeof number)) !=
                size - sizeof number) {
            throw Unexpected{run.expected(), odd_datagram({}, *came)};
        }
        if (seen[number]++ != 0) {
            throw Unexpected{run.expected(), fmt::format("number {} came twice", number)};
        }
        ++arrived;
        return true;
    };
    const auto payload = [&](std::uint64_t number) {
        std::string result(size, '\0');
        run.pattern(number).fill(0, result);
        result.replace(0, sizeof number, reinterpret_cast<const char*>(&number),
                       sizeof number); // NOLINT(*-reinterpret-*)
        return result;
    };
    for (std::uint64_t number = 0; number < count; ++number) {
        flooding.send(payload(number));
        if (number % 8 == 0) {
            while (take(Deadline::now())) {
            }
        }
    }
    while (take(Deadline::unscaled(100ms))) {
    }
    constexpr std::size_t least = count / 100; // a queue of some hundred, filled once
    if (arrived < least) {
        throw Unexpected{run.expected(), fmt::format("{} arrived", arrived)};
    }
    if (arrived < count) {
        run.note("of what is sent faster than it can be carried, some is lost");
    }
    run.step("after the flood", "everybody is served after the flood", Party::client,
             Party::server);
    run.round_trip(flooding);
    if (other) {
        run.round_trip(*other);
        run.flow_sentinel();
    }
}

inline constexpr Check datagram_flood{
    .id = "datagram.flood",
    .title = "of 20,000 datagrams at once those that arrive are right; then everybody is served",
    .level = Level::strict,
    .needs = {.udp = true},
    .run = flood};

} // namespace test_tunnel::check
