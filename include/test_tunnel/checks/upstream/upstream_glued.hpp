#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "test_tunnel/checks/detail/odd_upstream.hpp"
#include "test_tunnel/handshakes/protocol.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has the server speak at once, so that its first bytes come together with the upstream proxy's
/// reply: behind all of it, and behind its last byte alone. A tool that reads more than the reply,
/// and throws away what is too much, loses them.
inline void glue_to_reply(PairRun& run) {
    const auto& upstream = need_upstream(run);
    if (run.connect().server.layer() != nullptr) {
        throw NotApplicable{"its server says nothing before it has shaken hands over TLS"};
    }
    for (const std::size_t size : {std::size_t{1}, std::size_t{1000}, std::size_t{20'000}}) {
        const auto greeting = run.pattern(size).bytes(0, size);
        for (const bool in_two : {false, true}) {
            demand_grant(
                run,
                fmt::format("in {}, with the server's first {} byte{} behind it",
                            in_two ? "two pieces" : "one piece", size, size == 1 ? "" : "s"),
                greeting, [&](Socket& tool) {
                    run.upstream().read_asked(tool);
                    const auto reply = detail::granting_reply(tool.local(), upstream);
                    const auto whole = reply + greeting;
                    const auto cut = in_two ? reply.size() - 1 : 0;
                    if (in_two) {
                        write_alone(run, tool, std::string_view{whole}.substr(0, cut));
                    }
                    tool.write(std::string_view{whole}.substr(cut));
                });
        }
    }
}

inline constexpr Check upstream_glued{
    .id = "upstream.glued",
    .title = "what the server says at once arrives, though it comes with the upstream's reply",
    .run = glue_to_reply};

} // namespace test_tunnel::check
