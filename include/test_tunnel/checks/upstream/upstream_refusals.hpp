#pragma once

#include <cstddef>

#include "test_tunnel/checks/detail/odd_upstream.hpp"
#include "test_tunnel/checks/detail/refusing_upstream.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has the upstream proxy refuse what it is asked for, in each way that its protocol has.
inline void refuse_as_upstream(PairRun& run) {
    static_cast<void>(need_upstream(run));
    constexpr std::size_t some = 2;
    const auto all = refusals_of(run);
    give_answers(run, all, run.strict() ? all.size() : some);
}

inline constexpr Check upstream_refusals{
    .id = "upstream.refusals",
    .title = "what the upstream refuses, the client is told, and gets none of its words",
    .run = refuse_as_upstream};

} // namespace test_tunnel::check
