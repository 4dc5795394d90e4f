#pragma once

#include <poll.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/datagram/datagram_clients.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/connection.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has a line go each way on a connection while datagrams come without a pause.
inline void round_trip_in_flood(PairRun& run, Connection& connection, Flow& flooding) {
    run.step("TCP in the flood", "what is said on a connection arrives while datagrams flood in",
             Party::client, Party::server);
    constexpr int at_once = 16;
    const std::string word = "in the flood\n";
    const std::string filler(100, 'x');
    run.expect_again(filler); // it is no matter whether these arrive
    const auto deadline = Deadline::after(run.config().timeouts.io);
    const auto say = [&](Socket& from, Socket& to) {
        from.write(word);
        while (!run.wait_for(to.event(POLLIN), Deadline::now(), "a line")) {
            if (deadline.passed()) {
                throw TimedOut{fmt::format("nothing of it came within {}",
                                           text_of(scaled(run.config().timeouts.io)))};
            }
            for (int i = 0; i < at_once; ++i) {
                flooding.send(filler);
            }
        }
        const auto came = to.read(word.size());
        if (came != word) {
            throw Unexpected{run.expected(), bytes_around(came, 0)};
        }
    };
    say(connection.client, connection.server);
    say(connection.server, connection.client);
}

/// Has a client send at a pace that leaves time: nothing may be lost. Where the tool gets no CPU it
/// is waited for, so that no buffer is ever full.
inline void send_at_a_pace(PairRun& run, Flow& flow) {
    constexpr std::size_t count = 500;
    constexpr std::size_t under_way = 32;
    constexpr std::size_t most_lost = 2;
    run.step("pace", fmt::format("{} datagrams arrive that are sent one each millisecond", count),
             Party::client, Party::server);
    std::set<std::string> missing;
    std::size_t lost = 0;
    const auto await_all_but = [&](std::size_t most) {
        auto wait = run.begin_wait(run.patience_for(1));
        while (missing.size() > lost + most) {
            const auto came = run.receive_at_server(wait);
            if (!came) {
                lost = missing.size();
                break;
            }
            if (missing.erase(came->data) == 0 && !run.has_been_sent_twice(came->data)) {
                throw Unexpected{run.expected(), odd_datagram({}, *came)};
            }
        }
        if (lost > most_lost) {
            throw Unexpected{run.expected(), fmt::format("{} of them did not arrive", lost)};
        }
    };
    for (std::uint64_t i = 0; i < count; ++i) {
        const auto word = "pace " + hex(run.pattern(100'000 + i).bytes(0, 8));
        missing.insert(word);
        flow.send(word);
        run.pause(std::chrono::milliseconds{1}, "the next datagram's time");
        await_all_but(under_way);
    }
    await_all_but(0);
    for (const auto& word : missing) {
        run.expect_again(word); // it may come late
    }
}

/// Has a client send as fast as the system takes it: what is too much may be lost, but what arrives
/// is as it was, no more than once, and then everybody is served, and also those by TCP meanwhile.
/// Then at a pace that leaves time: nothing may be lost.
inline void flood(PairRun& run) {
    using namespace std::chrono_literals;
    constexpr std::size_t count = 20'000;
    constexpr std::size_t size = 1'200;
    auto flooding = run.flow();
    auto other = run.traits().concurrent == false ? std::optional<Flow>{} : run.flow();
    std::optional<Connection> connection;
    if (run.transports().tcp && other) {
        connection.emplace(run.connect());
        run.round_trip(*connection);
    }
    run.step("flood", "of 20,000 datagrams sent without a pause some arrive, each as it was",
             Party::client, Party::server);
    std::vector<char> seen(count);
    std::size_t arrived = 0;
    const auto take = [&](const std::optional<Datagram>& came) {
        if (!came) {
            return false;
        }
        if (run.has_been_sent_twice(came->data)) {
            return true;
        }
        std::uint64_t number = 0;
        if (came->data.size() == size) {
            std::memcpy(&number, came->data.data(), sizeof number);
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
        std::memcpy(result.data(), &number, sizeof number);
        return result;
    };
    constexpr std::uint64_t between = 2'000;
    for (std::uint64_t number = 0; number < count; ++number) {
        if (connection && number % between == between / 2) {
            const auto steps = run.steps();
            round_trip_in_flood(run, *connection, flooding);
            run.forget_steps(steps);
        }
        flooding.send(payload(number));
        if (number % 8 == 0) {
            while (take(run.receive_at_server(Deadline::now()))) {
            }
        }
    }
    auto wait = run.begin_wait(run.patience_of_at_least(100ms));
    while (take(run.receive_at_server(wait))) {
    }
    // A buffer of the usual size (212,992 bytes, and some 2.3 KB for each of these), filled once,
    // has room for 92.
    constexpr std::size_t least = 50;
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
    send_at_a_pace(run, flooding);
}

inline constexpr Check datagram_flood{
    .id = "datagram.flood",
    .title = "of 20,000 datagrams at once those that arrive are right; then everybody is served",
    .level = Level::strict,
    .needs = {.udp = true},
    .run = flood};

} // namespace test_tunnel::check
