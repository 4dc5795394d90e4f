#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "deadline.hpp"
#include "level.hpp"
#include "log.hpp"
#include "observer.hpp"
#include "report/console_style.hpp"
#include "utf8_env.hpp"

namespace test_tunnel {

/// What a run is given: all members have defaults that serve.
struct Config {
    /// Never null. At `info` it gets the story of a run.
    std::shared_ptr<Logger> log = stderr_logger();

    /// Added to the first port number that is tried (6374). May be negative.
    int offset = 0;

    /// Tell the details too: `TestTunnel` sets the logger to `debug`.
    bool verbose = false;

    /// Leave the files of a tool that has failed where they are (see TempDir).
    bool keep = false;

    /// How thoroughly a run tests.
    Level level = Level::standard;

    /// Which of the level's checks are run: those whose id matches one of `only` (all, where that
    /// is empty) and none of `except`. A `*` stands for any characters: "data.*". A pattern that
    /// matches no check at all is an InvalidConfig.
    std::vector<std::string> only{};
    /// Which are not run, by the same patterns.
    std::vector<std::string> except{};

    /// Which combinations of address families are tested: "4→6", or "4-6", for a tool that listens
    /// on IPv4 and connects on IPv6. PairsMissing where this machine lacks one. Empty: all that it
    /// has.
    std::vector<std::string> pairs{};

    /// From what all data is made that goes through the tunnel. Nothing: a new one each time; it is
    /// in the report.
    std::optional<std::uint64_t> seed{};

    /// How long the check `idle` stays silent at `Level::strict`.
    Duration idle = std::chrono::seconds{70};

    /// How long each kind of wait may take.
    Timeouts timeouts;

    /// Are told of the runs while they go on; none is null.
    std::vector<std::shared_ptr<Observer>> observers{};

    /// How the summary of a run is written to the log.
    ConsoleStyle console{};
};

/// The same, and the program under test.
struct ConfigProg : Config {
    /// A path, or a name that is looked up in the `PATH` of `utf8_env`, as by
    /// `SpawnOptions::argv`.
    std::string prog;

    /// The environment for it.
    Environment utf8_env = utf8_environment();
};

} // namespace test_tunnel
