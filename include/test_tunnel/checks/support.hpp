#pragma once

#include <poll.h>

#include <array>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "../pair_run.hpp"

namespace test_tunnel::check {

/// Takes the connections that arrive at the server until there are `most`, or nothing has come by
/// `deadline`.
inline std::vector<Socket> arrivals(PairRun& run, std::size_t most, Deadline deadline) {
    std::vector<Socket> result;
    while (result.size() < most) {
        if (auto arrived = run.try_accept()) {
            result.push_back(*std::move(arrived));
            continue;
        }
        if (!detail::wait_for_socket(run.listener().event(POLLIN), deadline,
                                     run.watch().lock().get(), "connections to the server")) {
            break;
        }
    }
    return result;
}

/// For `duration` no connection arrives at the server: no client has asked for one.
inline void require_no_arrival(PairRun& run, Duration duration) {
    detail::wait_for_socket(run.listener().event(POLLIN), Deadline{Clock::now() + duration},
                            run.watch().lock().get(), "no connection to the server");
    run.require_no_stranger();
}

/// How a connection ends, as the one side sees it.
enum class Ending { end_of_stream, reset };

/// How the connection of `socket` ends; nothing where it has not by `deadline`. Throws Unexpected
/// where bytes come: nobody has written any.
inline std::optional<Ending> await_ending(PairRun& run, Socket& socket, Deadline deadline) {
    if (!detail::wait_for_socket(socket.event(POLLIN), deadline, run.watch().lock().get(),
                                 "the end of the connection")) {
        return std::nullopt;
    }
    std::array<char, 256> bytes{};
    std::size_t count = 0;
    try {
        count = socket.read_some(bytes.data(), bytes.size());
    } catch (const SystemError&) {
        return Ending::reset;
    }
    if (count > 0) {
        throw Unexpected{run.expected(), "bytes that nobody has written: " +
                                             detail::bytes_around({bytes.data(), count}, 0)};
    }
    return Ending::end_of_stream;
}

/// Whether the tool ends when its first connection has ended; where that is not declared, a
/// connection is made to learn it.
inline bool serves_once(PairRun& run) {
    if (run.traits().serves_again) {
        return !*run.traits().serves_again;
    }
    run.sentinel();
    run.settle();
    return !run.has_server();
}

} // namespace test_tunnel::check
