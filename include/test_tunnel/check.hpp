#pragma once

#include <memory>
#include <string_view>

#include "error.hpp"
#include "level.hpp"

namespace test_tunnel {

class PairRun;

/// Something that a tunnel must do: one function, and what is known of it.
struct Check {
    /// Stable from one version to the next: "data.bulk.up".
    std::string_view id;
    /// One line for a reader: "1 MiB from the client to the server arrives as it was written".
    std::string_view title;
    /// From which level on it is run.
    Level level = Level::standard;
    /// The member of Traits that may excuse it; empty where there is none.
    std::string_view trait{};
    /// Returns where the tunnel does it. Throws Unexpected, TimedOut, ToolEnded or another Error
    /// where it does not, NotApplicable where there is nothing to check.
    void (*run)(PairRun& run) = nullptr;
    /// For a check that has to wait for something not to happen: what it does before that, on a
    /// connection of its own, so that many checks wait at once. Called ahead of all of them where
    /// the tool is concurrent, else by `run`, which gets the result from `PairRun::prepared`.
    std::shared_ptr<void> (*prepare)(PairRun& run) = nullptr;
};

/// Thrown by a check that does not concern this tool, or can't be done on this machine.
class NotApplicable : public Error {
public:
    using Error::Error;
};

} // namespace test_tunnel
