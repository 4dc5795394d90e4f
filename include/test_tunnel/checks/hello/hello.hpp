#pragma once

#include "test_tunnel/checks/detail/view.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has one conversation, in which `first` speaks first, and the other side closes.
inline void converse(PairRun& run, Party first) {
    auto connection = run.connect();
    const auto view = view_from(first, connection);
    const auto hello = [&](const char* speaker, const char* reader, Party from, Party to) {
        run.step(fmt::format("hello from the {}", speaker),
                 fmt::format("the {} reads what the {} wrote", reader, speaker), from, to);
    };
    hello(view.self, view.other, view.here, view.there);
    run.say(view.near, view.far, view.here);
    hello(view.other, view.self, view.there, view.here);
    run.require_silence({&view.near});
    run.say(view.far, view.near, view.there);
    run.step("no further bytes", "nothing arrives that the other side did not write", Party::client,
             Party::client);
    run.require_silence({&view.near, &view.far});
    run.step(
        StepKind::end_of_stream,
        fmt::format("the {} sees a clean end of stream when the {} closes", view.self, view.other),
        view.there, view.here);
    view.far.close();
    run.demand_end(view.near, view.back);
    view.near.close();
}

/// Each side speaks first once, and closes once: so a tunnel is found that waits for one of them to
/// speak.
inline void say_hello(PairRun& run) {
    converse(run, Party::server);
    converse(run, Party::client);
    run.require_no_unasked_connection();
}

inline constexpr Check hello{
    .id = "hello",
    .title = "a few bytes go each way, whichever side speaks first; then the stream ends cleanly",
    .level = Level::hello,
    .trait = trait::passes_eof.name,
    .run = say_hello};

} // namespace test_tunnel::check
