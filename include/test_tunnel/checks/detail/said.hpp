#pragma once

// What has been said on a connection before one side leaves it: nothing, one byte or much, by each.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/detail/carrying.hpp"
#include "test_tunnel/checks/detail/view.hpp"
#include "test_tunnel/net/stream.hpp"
#include "test_tunnel/process/detail/settle.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// How much one side has said.
enum class Said { nothing, one_byte, much };

/// How much both sides have said: `near`, the one that acts then, and `far`, the other one.
struct Before {
    Said near = Said::nothing;
    Said far = Said::nothing;
};

/// All that may have been said before. The first ones differ most: a slow tool is tried with these
/// only.
inline constexpr std::array all_before{
    Before{Said::nothing, Said::nothing},  Before{Said::nothing, Said::one_byte},
    Before{Said::one_byte, Said::nothing}, Before{Said::nothing, Said::much},
    Before{Said::much, Said::nothing},     Before{Said::one_byte, Said::one_byte},
    Before{Said::one_byte, Said::much},    Before{Said::much, Said::one_byte},
    Before{Said::much, Said::much}};

/// Returns how many bytes that are. Much is more than a tool's buffer usually holds.
constexpr std::uint64_t size_of(Said said) {
    return said == Said::nothing ? 0 : said == Said::one_byte ? 1 : 80U << 10U;
}

/// Returns that in words: "nothing", "1 byte" or "80 KiB".
constexpr std::string_view amount_of(Said said) {
    return said == Said::nothing ? "nothing" : said == Said::one_byte ? "1 byte" : "80 KiB";
}

/// Returns what has been said, in words: "client said nothing, server said 1 byte".
inline std::string said_in_words(PairRun& run, const View& view, Before before) {
    // Without its first word there would be no connection.
    const auto* const word = run.speaks_first() ? " after the client's first word" : "";
    if (before.near == Said::nothing && before.far == Said::nothing) {
        return fmt::format("nobody said anything{}", word);
    }
    return fmt::format("{} said {}, {} said {}{}", view.self, amount_of(before.near), view.other,
                       amount_of(before.far), word);
}

/// Has both sides of a connection say so much, and demands that all of it arrives. `number` tells
/// connections of one check apart, so that no two carry the same. Where nobody says anything, waits
/// until the tool is idle, for 100 ms at most: it may not have noticed yet that the server has
/// taken its connection, and haproxy, rightly, gives one up whose client has gone by then.
inline void say_before(PairRun& run, const View& view, Before before, std::uint64_t number) {
    const auto pattern = run.pattern(number);
    std::array<Stream, 2> streams{Stream{.from = view.near,
                                         .to = view.far,
                                         .name = view.forth,
                                         .pattern = pattern.derive(view.forth),
                                         .size = size_of(before.near)},
                                  Stream{.from = view.far,
                                         .to = view.near,
                                         .name = view.back,
                                         .pattern = pattern.derive(view.back),
                                         .size = size_of(before.far)}};
    if (before.near == Said::nothing && before.far == Said::nothing) {
        detail::wait_until_idle(run.tool(), std::chrono::milliseconds{100});
        return;
    }
    run.step(
        "said before",
        fmt::format("all arrives of what is said before: {}", said_in_words(run, view, before)),
        view.here, view.there);
    for (auto& stream : streams) {
        if (stream.size > 0) {
            carry(run, {&stream, 1}, {.patience = run.config().timeouts.io});
        }
    }
}

/// Calls `attempt(before, number)` for what may have been said before; each call makes a connection
/// of its own. Only the last one stays in the account. At `Level::standard` these are the first
/// five, in which a side has said nothing: that both have said something is what other checks
/// begin with. A tool that takes more than two seconds for them is tried with three, or with as
/// many as it was tried with by then. A tool that need not pass the end of a stream on
/// (`expects_end` is false) is tried with the first one only.
template <typename Attempt>
void try_each(PairRun& run, bool expects_end, Attempt attempt) {
    constexpr std::size_t usual = 5;
    constexpr std::size_t least = 3;
    constexpr auto enough = std::chrono::seconds{2};
    const auto soft_end = Deadline::unscaled(enough);
    const auto steps = run.steps();
    const auto count = !expects_end ? 1 : run.strict() ? all_before.size() : usual;
    for (std::size_t i = 0; i < count; ++i) {
        if (i >= least && !run.strict() && soft_end.passed()) {
            return;
        }
        run.forget_steps(steps);
        attempt(all_before.at(i), static_cast<std::uint64_t>(i));
    }
}

} // namespace test_tunnel::check
