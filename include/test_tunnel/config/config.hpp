#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/environment.hpp"
#include "test_tunnel/base/log.hpp"
#include "test_tunnel/config/console_style.hpp"
#include "test_tunnel/config/dialect.hpp"
#include "test_tunnel/config/known_failure.hpp"
#include "test_tunnel/config/level.hpp"
#include "test_tunnel/config/observer.hpp"

namespace test_tunnel {

/// What else is tried of a combination on which a check has failed. What fails on one combination
/// is tried on the others nevertheless.
enum class OnFailure {
    /// Nothing, on no combination.
    stop,
    /// What can be told soon. When a check has failed since it waited in vain, others that would
    /// wait for the same thing are not tried, and the tool is given less time from then on; when
    /// the failures have taken `Timeouts::failures`, nothing more is tried.
    hurry,
    /// Everything, with as much patience as before.
    go_on
};

/// How to run tests. Every member has a default that works.
struct Config {
    /// The logger that is told how a run goes: at the level `info`, what is tested and what has
    /// come of it. Must not be null.
    std::shared_ptr<Logger> log = stderr_logger();

    /// A number that is added to the first port number that is tried, 6374. It may be negative.
    int offset = 0;

    /// Whether to log details, too: then `TestTunnel` sets the level of `log` to `debug`.
    bool verbose = false;

    /// Whether to keep the temporary files of a tool that has failed (see TempDir).
    bool keep = false;

    /// How thoroughly to test.
    Level level = Level::standard;

    /// Which of the level's checks to run: those whose id matches one of these patterns; all of
    /// them, where there is no pattern. A `*` stands for any characters: "data.*". A run throws
    /// InvalidConfig where a pattern matches no check.
    std::vector<std::string> only{};
    /// Which checks to leave out, though `only` selects them: by patterns such as those of `only`.
    std::vector<std::string> except{};

    /// The failures that the tool is known for. Where there are several of one check and
    /// combination, it has to fail in one of these ways. A run throws InvalidConfig where one names
    /// no check of the library or tool, or has no text. Where it is hello, nothing else is tried.
    std::vector<KnownFailure> known_failures{};

    /// Which combinations of address families to test: "4→6", or "4-6", is a tool that listens on
    /// IPv4 and connects onwards on IPv6. Empty means all that this machine has. A run throws
    /// PairsMissing where the machine lacks one of them.
    std::vector<std::string> pairs{};

    /// The seed of all data that goes through the tunnel: a run with the same seed sends the same
    /// data. By default, each run takes a new seed. The report tells which it was.
    std::optional<std::uint64_t> seed{};

    /// For how long the check `idle` sends nothing at `Level::strict`. The default is 70 seconds.
    Duration idle = std::chrono::seconds{70};

    /// For how long each combination is tested again and again when it has passed: with one tool,
    /// which is given those checks of data, closing, resets and resources that are selected, as at
    /// `Level::standard`, and hundreds of clients more in each round. A check after
    /// which the tool has to be started anew is tried once only. The first failure ends it. The
    /// report tells how long connections took, and what the tool held; that it comes to hold more
    /// and more is a failure, too. 0, the default: not at all.
    Duration soak{};

    /// How many bytes the check `data.volume` carries each way in one connection: tunnels have come
    /// to a stop at 2 and at 4 GiB, where a counter overflows or a key is made anew. It takes as
    /// long as the tool does for them. 0, the default: the check is not run.
    std::uint64_t volume = 0;

    /// How long each kind of wait may take before it is a failure.
    Timeouts timeouts;

    /// What else is tried where a check has failed.
    OnFailure on_failure = OnFailure::hurry;

    /// How many combinations are tested at once. With more than 1, each is tested in a process that
    /// is forked from this one: what a hook changes in its object stays there, and an assertion of
    /// a test framework that it makes is not counted. One after the other where this process has
    /// more than one thread. The default is 1.
    std::size_t jobs = 1;

    /// How often a run tests each combination, with another seed each time. What is reported of a
    /// combination is the first time that it failed, or else the last time. The default, and the
    /// least, is once.
    std::size_t rounds = 1;

    /// Whether a run ends after the round in which a combination has failed. Where `rounds` is 1,
    /// it has up to a million.
    bool until_failure = false;

    /// What is to be called while runs go on, in this order. None of them may be null.
    std::vector<std::shared_ptr<Observer>> observers{};

    /// How the summary of a run looks in the log.
    ConsoleStyle console{};

    /// In which words texts name what a reader may declare or set. The default is C++;
    /// a program that is told everything by its command line sets `Dialect::options`.
    Dialect dialect = Dialect::cpp;
};

/// A Config with the program that is to be tested.
struct ConfigProg : Config {
    /// The program under test: a path, or a name that is looked up in the `PATH` of `utf8_env`.
    std::string prog;

    /// The environment that the program gets. The default is this process's own, with a UTF-8
    /// locale where the machine has one (see `utf8_environment`).
    Environment utf8_env = utf8_environment();
};

} // namespace test_tunnel
