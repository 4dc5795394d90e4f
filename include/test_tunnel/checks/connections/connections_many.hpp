#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <vector>

#include "test_tunnel/checks/detail/descriptor_limits.hpp"
#include "test_tunnel/checks/detail/many_connections.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/net/expect.hpp"
#include "test_tunnel/process/detail/settle.hpp"
#include "test_tunnel/process/tool_usage.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/detail/ends_soon.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// A tool that serves so many connections at once serves many.
inline constexpr std::size_t many_at_once = 100;

/// Whether the tool has a process for each of `count` connections: then none of them has many
/// descriptors, however many connections there are.
inline bool has_process_for_each(PairRun& run, std::size_t count) {
    return processes_of(run.tool()).size() >= count;
}

/// Makes connections until there are `count`, or the tool serves no more: it may refuse a client
/// then, or have it wait.
inline std::vector<Connection> connect_until_refused(PairRun& run, std::size_t count) {
    std::vector<Connection> result;
    result.reserve(count);
    const auto steps = run.steps();
    const auto enough = Deadline::after(run.config().timeouts.check / 4); // of a slow one
    try {
        while (result.size() < count && !enough.passed()) {
            if (result.size() == many_at_once && has_process_for_each(run, many_at_once)) {
                break;
            }
            run.forget_steps(steps);
            result.push_back(run.connect());
        }
    } catch (const SetupError&) {
        throw;
    } catch (const ToolEnded&) {
        throw;
    } catch (const std::exception& error) { // whatever a hook makes of it
        if (result.size() < 2) {
            throw;
        }
        run.expect_arrival(); // when others have gone
        run.note(fmt::format("the next connection is refused then: {}", error.what()));
    }
    return result;
}

/// Whether the tool has ended the first `count` connections, at both sides, to make room for
/// others: those that have been silent for longest.
inline bool has_evicted(std::vector<Connection>& connections, std::size_t count) {
    return std::all_of(connections.begin(), connections.begin() + std::ptrdiff_t(count),
                       [](Connection& each) {
                           return detail::ends_soon(each.client) && detail::ends_soon(each.server);
                       });
}

/// Each connection carries its own words, both ways, but those that the tool has ended to make
/// room.
inline void carry_a_word_each(PairRun& run, std::vector<Connection>& connections) {
    constexpr std::size_t size = 16;
    const auto say = [](Socket& from, const std::string& word) {
        try {
            from.write(word);
        } catch (const SystemError&) { // it has ended: the reader will tell
        }
    };
    for (std::size_t i = 0; i < connections.size(); ++i) {
        say(connections[i].client, run.pattern(0).bytes(i * size, size));
        say(connections[i].server, run.pattern(1).bytes(i * size, size));
    }
    for (std::size_t i = connections.size(); i-- > 0;) {
        try {
            expect_read(connections[i].server, run.pattern(0).bytes(i * size, size),
                        numbered(i, run.up));
            expect_read(connections[i].client, run.pattern(1).bytes(i * size, size),
                        numbered(i, run.down));
        } catch (const Error&) {
            const auto served = connections.size() - i - 1;
            if (served < many_at_once || !has_evicted(connections, i + 1)) {
                throw;
            }
            run.note(
                fmt::format("it keeps {} connections, and ends those that were silent for "
                            "longest when more come",
                            served));
            return;
        }
    }
}

/// Has more connections at once than select(2) can look after: a tool that uses it writes past the
/// end of a set (FD_SETSIZE is 1,024) unless it refuses some. Each has a word of its own.
inline void serve_a_thousand(PairRun& run) {
    constexpr std::size_t count = 1100;
    constexpr std::uint64_t descriptors = 8192; // two for each connection, and for some tools more
    run.need_concurrency();
    if (const auto most = run.most_at_once()) {
        throw NotApplicable{serves_only(run, *most)};
    }
    const ManyDescriptors limit{descriptors};
    if (limit.allowed() < descriptors) {
        throw NotApplicable{
            fmt::format("this user may have {} descriptors only, which is less "
                        "than {} connections take (ulimit -Hn)",
                        limit.allowed(), count)};
    }
    run.kill_after_check(); // the limit holds for what is started now
    run.settle();
    auto connections = connect_until_refused(run, count);
    if (connections.size() < count && !has_process_for_each(run, connections.size())) {
        run.note(fmt::format("it had {} connections at once", connections.size()));
    }
    run.step(
        "a word each",
        fmt::format("each of {} connections carries its own words, both ways", connections.size()),
        Party::client, Party::server);
    carry_a_word_each(run, connections);
    connections.clear();
    detail::wait_until_idle(run.tool(), scaled(run.config().timeouts.io)); // much is tidied up
    run.sentinel();
}

inline constexpr Check connections_many{
    .id = "connections.many",
    .title = "1,100 connections at once carry their own bytes, or the tool refuses some",
    .level = Level::strict,
    .trait = trait::concurrent.name,
    .presumes = {"connections.burst", "connections.isolation"},
    .run = serve_a_thousand};

} // namespace test_tunnel::check
