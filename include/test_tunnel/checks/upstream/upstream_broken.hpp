#pragma once

#include "test_tunnel/checks/detail/odd_upstream.hpp"
#include "test_tunnel/checks/detail/refusing_upstream.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has the upstream proxy say what is no answer, or not all of it.
inline void break_as_upstream(PairRun& run) {
    static_cast<void>(need_upstream(run));
    const auto all = broken_answers_of(run);
    give_answers(run, all, all.size());
}

inline constexpr Check upstream_broken{
    .id = "upstream.broken",
    .title = "when the upstream says nonsense, or half of its reply, the client is told",
    .level = Level::strict,
    .presumes = {"upstream.refusals"},
    .run = break_as_upstream};

} // namespace test_tunnel::check
