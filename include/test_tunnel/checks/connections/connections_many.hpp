#pragma once

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
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

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
    constexpr std::size_t some = 100;
    try {
        while (result.size() < count && !enough.passed()) {
            if (result.size() == some && has_process_for_each(run, some)) {
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

/// Has more connections at once than select(2) can look after: a tool that uses it writes past the
/// end of a set (FD_SETSIZE is 1,024) unless it refuses some. Each has a word of its own.
inline void serve_a_thousand(PairRun& run) {
    constexpr std::size_t count = 1100;
    constexpr std::size_t word_size = 16;
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
    for (std::size_t i = 0; i < connections.size(); ++i) {
        connections[i].client.write(run.pattern(0).bytes(i * word_size, word_size));
        connections[i].server.write(run.pattern(1).bytes(i * word_size, word_size));
    }
    for (std::size_t i = 0; i < connections.size(); ++i) {
        expect_read(connections[i].server, run.pattern(0).bytes(i * word_size, word_size),
                    numbered(i, run.up));
        expect_read(connections[i].client, run.pattern(1).bytes(i * word_size, word_size),
                    numbered(i, run.down));
    }
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
