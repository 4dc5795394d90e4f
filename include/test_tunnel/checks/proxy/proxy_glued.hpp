#pragma once

#include <cstddef>
#include <string_view>
#include <variant>

#include "test_tunnel/checks/detail/proxy_trials.hpp"
#include "test_tunnel/net/expect.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has `size` bytes follow the header in the same segment, or what the client says first where
/// something else comes behind the header.
inline void send_glued(PairRun& run, ProxyVersion version, std::size_t size) {
    const auto data = run.pattern(size).bytes(0, size);
    auto client = run.connect_client();
    run.step(StepKind::handshake,
             fmt::format("{} bytes that come in one segment with a header of version {} arrive",
                         size, static_cast<int>(version)),
             Party::client, Party::server);
    client.hold_back();
    client.write(detail::proxy_header_bytes(
        {.version = version, .source = client.local(), .destination = client.peer()}));
    run.handshake_behind_header(client);
    client.write(data);
    client.send_held_back();
    auto server = run.accept(client);
    expect_read(server, data, run.up);
    Connection connection{std::move(client), std::move(server)};
    run.round_trip(connection);
    run.require_silence({&connection.client, &connection.server});
}

/// Glues one byte, some, and more than a tool reads at once to the header.
inline void glue_to_header(PairRun& run) {
    constexpr std::size_t some = 1000;
    const auto version = need_client_header(run);
    const bool has_something_between = run.tls(Party::client) != nullptr ||
                                       !std::holds_alternative<std::monostate>(run.protocol());
    for (const auto size : {std::size_t{1}, some, std::size_t{20'000}}) {
        const auto steps = run.steps();
        send_glued(run, version, size);
        // Where something comes between the two, it is that which is glued, 200 ms later.
        if (has_something_between && size == some) {
            return;
        }
        run.forget_steps(steps);
    }
}

inline constexpr Check proxy_glued{
    .id = "proxy.glued",
    .title = "data that comes in one segment with the PROXY header arrives",
    .run = glue_to_header};

} // namespace test_tunnel::check
