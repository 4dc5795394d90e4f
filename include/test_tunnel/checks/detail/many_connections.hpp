#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "test_tunnel/checks/detail/socket_options.hpp"
#include "test_tunnel/net/stream.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Returns the name of a direction of one of several connections: "connection 3, client → server".
inline std::string numbered(std::size_t number, const char* direction) {
    return fmt::format("connection {}, {}", number + 1, direction);
}

/// Makes `count` connections at once: fewer, but `least`, where that takes a slow tool more than a
/// second, and fewer still where the tool serves no more.
inline std::vector<Connection> connect_many(PairRun& run, std::size_t count, std::size_t least) {
    const auto enough = run.soft_end();
    std::vector<Connection> result;
    result.reserve(count); // streams will refer to its elements
    while (result.size() < count && (result.size() < least || !enough || !enough->passed())) {
        constexpr std::size_t known = 2; // are served at once
        if (result.size() < known) {
            result.push_back(run.connect());
        } else if (!run.add_connection(result)) {
            break;
        }
    }
    return result;
}

/// Why a check is not applicable to a tool that serves only `count` connections at once.
inline std::string serves_only(PairRun& run, std::size_t count) {
    return fmt::format("it serves only {} connections at once ({})", count,
                       run.wording(trait::concurrent.name));
}

/// Throws NotApplicable where there are not as many connections as the check needs.
inline void need_connections(PairRun& run, const std::vector<Connection>& connections,
                             std::size_t count) {
    if (connections.size() < count) {
        throw NotApplicable{serves_only(run, connections.size())};
    }
}

/// Returns streams, of `size` bytes each, that the server of the first connection and the client of
/// the second one do not read yet.
inline std::vector<Stream> for_stopped_readers(PairRun& run, std::vector<Connection>& connections,
                                               std::uint64_t size) {
    auto& slow_server = connections.at(0);
    auto& slow_client = connections.at(1);
    limit_send_buffer(slow_server.client);
    limit_send_buffer(slow_client.server);
    return {{.from = slow_server.client,
             .to = slow_server.server,
             .name = numbered(0, run.up),
             .pattern = run.pattern(0),
             .size = size,
             .reads = false},
            {.from = slow_client.server,
             .to = slow_client.client,
             .name = numbered(1, run.down),
             .pattern = run.pattern(1),
             .size = size,
             .reads = false}};
}

} // namespace test_tunnel::check
