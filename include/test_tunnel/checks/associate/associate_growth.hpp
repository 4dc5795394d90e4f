#pragma once

#include <string>
#include <vector>

#include "test_tunnel/checks/detail/associations.hpp"
#include "test_tunnel/checks/detail/growth.hpp"
#include "test_tunnel/discovery/bind.hpp"

namespace test_tunnel::check {

/// Has clients send to several targets each, and leave: nothing is left of them.
inline void associate_many(PairRun& run) {
    using namespace std::chrono_literals;
    need_several_associations(run); // of one at a time, each would be a new tool's first
    constexpr int targets = 8;
    std::vector<DatagramSocket> servers;
    servers.reserve(targets);
    for (int i = 0; i < targets; ++i) {
        servers.push_back(bind_supervised(run, {run.pair().svc_listen.listen().address, 0}));
    }
    std::uint64_t said = 0;
    demand_no_growth(run, "associations that have sent to several targets", [&] {
        auto flow = run.flow();
        for (auto& server : servers) {
            const auto word = run.pattern(++said).bytes(0, 16);
            flow.send(word, server.local());
            const auto came = server.receive(Deadline::after(run.config().timeouts.answer));
            if (came && came->data != word) {
                throw Unexpected{fmt::format("what the client sends arrives at {}", server.local()),
                                 described(*came)};
            }
        }
    });
}

inline constexpr Check associate_growth{
    .id = "associate.growth",
    .title = "SOCKS5 associations with several targets each leave nothing behind",
    .level = Level::strict,
    .needs = {.udp = true},
    .run = associate_many};

} // namespace test_tunnel::check
