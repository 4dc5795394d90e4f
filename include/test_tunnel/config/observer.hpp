#pragma once

#include <cstddef>
#include <string_view>

namespace test_tunnel {

struct Report;

/// A class to derive from, whose functions are called while runs go on (`Config::observers`): it
/// can show their progress, or collect the reports of all runs of a process. The functions are
/// called on the thread that runs the test; an exception that one of them throws ends the run, and
/// reaches its caller.
class Observer {
public:
    /// Which check begins, and how many there are.
    struct Progress {
        /// The name of the tool (`TestTunnel::slug`).
        std::string_view slug;
        /// The name of the pair (`Pair::name`): "4→6".
        std::string_view pair;
        /// The id of the check (`Check::id`): "data.bulk.up".
        std::string_view id;
        /// How many checks of this pair came before it.
        std::size_t index = 0;
        /// How many checks this pair has, with this one.
        std::size_t count = 0;
    };

    Observer() = default;
    Observer(const Observer&) = delete;
    Observer& operator=(const Observer&) = delete;
    virtual ~Observer() = default;

    /// Called before each check that is tried. By default, does nothing.
    virtual void check_begins(const Progress& /*progress*/) {}

    /// Called when a pair has been tested: `report` has this one pair and no other. Called, too,
    /// when a SetupError has ended the run or the search for pairs: `report` has an `error` and no
    /// pair then. By default, does nothing.
    virtual void pair_ended(const Report& /*report*/) {}
};

} // namespace test_tunnel
