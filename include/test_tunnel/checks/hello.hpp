#pragma once

#include <array>

#include "../check.hpp"
#include "../detail/fmt.hpp"
#include "../pair_run.hpp"
#include "sides.hpp"

namespace test_tunnel::check {

/// One conversation, in which `first` speaks first, and the other side closes.
inline void converse(PairRun& run, Party first) {
    auto connection = run.connect();
    const auto view = view_from(first, connection);
    const auto hello = [&](const char* speaker, const char* reader, Party from, Party to) {
        run.step(fmt::format("hello from the {}", speaker),
                 fmt::format("the {} reads what the {} wrote", reader, speaker), from, to);
    };
    hello(view.self, view.other, view.here, view.there);
    run.say(view.near, view.far, view.forth);
    hello(view.other, view.self, view.there, view.here);
    run.require_silence({&view.near});
    run.say(view.far, view.near, view.back);
    run.step("no further bytes", "nothing arrives that the other side did not write", Party::client,
             Party::client);
    run.require_silence({&view.near, &view.far});
    run.step(
        "end of stream",
        fmt::format("the {} sees a clean end of stream when the {} closes", view.self, view.other),
        view.there, view.here);
    view.far.close();
    run.demand_end(view.near, view.back);
    view.near.close();
}

/// Each side speaks first once, and closes once: a tunnel that waits for the one or the other to
/// speak is caught.
inline void hello(PairRun& run) {
    converse(run, Party::server);
    converse(run, Party::client);
    run.require_no_stranger();
}

inline constexpr std::array hello_checks{Check{
    .id = "hello",
    .title = "a few bytes each way, each side speaking first once, then the end of the stream",
    .level = Level::hello,
    .trait = "passes_eof",
    .run = hello}};

} // namespace test_tunnel::check
