#pragma once

#include <cstddef>
#include <utility>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has clients reset their connection before the tool may have accepted it, as port scanners do. An
/// accept(2) that fails, or a question about that client that fails, is no reason to serve no
/// others.
inline void reset_early(PairRun& run) {
    if (serves_once(run)) {
        throw NotApplicable{serves_just_one(run)};
    }
    constexpr int count = 5;
    constexpr std::size_t tag_size = 16;
    for (int i = 0; i < count; ++i) {
        run.connect_client().reset();
    }
    auto client = run.connect_client();
    run.handshake(client);
    const auto tag = run.pattern().bytes(0, tag_size);
    client.write(tag);
    run.step("after early resets",
             fmt::format("a client is served after {} others have reset their connections at once",
                         count),
             Party::client, Party::server);
    const auto patience = run.config().timeouts.io;
    auto server = run.find_by_word(tag, Deadline::after(patience));
    if (!server) {
        throw Unexpected{run.expected(),
                         fmt::format("nothing of what the client wrote arrived for {}",
                                     text_of(scaled(patience))),
                         Cause::timed_out};
    }
    Connection connection{std::move(client), *std::move(server)};
    run.round_trip(connection);
    run.kill_after_check(); // what it makes of the others may still be on its way
}

inline constexpr Check reset_client_early{
    .id = "reset.client.early",
    .title = "clients that reset their connection at once do not keep others from being served",
    .trait = trait::serves_again.name,
    .run = reset_early};

} // namespace test_tunnel::check
