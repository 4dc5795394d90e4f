#pragma once

#include <cstddef>
#include <string_view>

namespace test_tunnel {

struct Report;

/// Is told of runs while they go on (`Config::observers`): to show their progress, or to collect
/// their reports where a process has several. Called on the thread that runs the test; what it
/// throws goes through to the caller of the run.
class Observer {
public:
    /// A check that begins.
    struct Progress {
        /// The tool (`TestTunnel::slug`).
        std::string_view slug;
        /// The pair (`Pair::name`): "4→6".
        std::string_view pair;
        /// The check (`Check::id`).
        std::string_view id;
        /// How many checks come before it on this pair.
        std::size_t index = 0;
        /// How many there are on this pair, this one among them.
        std::size_t count = 0;
    };

    Observer() = default;
    Observer(const Observer&) = delete;
    Observer& operator=(const Observer&) = delete;
    virtual ~Observer() = default;

    /// Before each check that is tried. The default: nothing.
    virtual void check_begins(const Progress& /*progress*/) {}

    /// A pair has been tested: `report` is of this one pair alone; or a SetupError has ended its
    /// run, or the search for pairs: then it has an `error` and no pair. The default: nothing.
    virtual void pair_ended(const Report& /*report*/) {}
};

} // namespace test_tunnel
