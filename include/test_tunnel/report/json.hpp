#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/report/report.hpp"

namespace test_tunnel {

/// The version of the schema that `to_json` writes. A member that is added does not change it; one
/// that is removed, or means something else, does.
inline constexpr int json_schema_version = 1;

/// Returns all reports as one JSON text (RFC 8259) for other programs: in ASCII, but for what is
/// UTF-8 in the reports. All members are always there:
///
///     schema        "test-tunnel-report"
///     version       1
///     library       the library's version, "0.1.0"
///     passed        whether there is a run and all passed
///     runs          array, in the order in which they began
///       tool        its name (`TestTunnel::slug`)
///       program     the program under test, a path or a name
///       tool_version
///                   its version (`TestTunnel::version`); null where it is not known
///       command     the command line by which the run can be made again; null where that is not
///                   known
///       level       "hello", "standard" or "strict"
///       passed      whether there was a pair and all passed
///       error       what ended the run before its end; null where nothing did
///       began       "2026-01-31T12:34:56.789Z" (RFC 3339, UTC)
///       duration_ms number
///       traits      object: what the tool is declared to do its own way, by the trait's name:
///                   {"half_close": "timed"}, as `declare` (trait_names.hpp) takes it; what is
///                   declared of one direction only has its own name: "half_close.up"
///       pairs       array, in the order in which they were tested
///         name      "4→6": the family on which the tool listens, and the one on which it connects
///         passed    whether a check passed, none failed and none was skipped
///         seed      what the data was made from: a decimal number of 64 bits, in a string
///         rounds    how often it was tested
///         failed_seeds
///                   array of such strings: the seeds of the rounds that failed, where there
///                   were several
///         client, listen, source, target
///                   objects, each with `address` and `port`: from where the client connects, where
///                   the tool listens, from where the tool connects and to where. Checks that
///                   start the tool again use other ports
///         duration_ms
///         start_ms  from the tool's start until it accepted its first connection; null where it
///                   accepted none
///         stop_ms   until the idle tool had ended when it was told to; null where it was not
///         cpu_ms    the time that processors spent on the tool, as often as it was started
///         peak_memory
///                   the most bytes that the tool, or a companion, had resident at once; or that
///                   all of its processes had together whenever that was looked at, where that was
///                   more; 0 where that is not known
///         peak_descriptors
///                   the most descriptors that all of its processes had together whenever that was
///                   looked at; 0 where that is not known
///         soak      null where none was asked for, or a check failed before it; else an object:
///           duration_ms
///           rounds, connections
///                   how many there were
///           trends  array: what the tool held; empty where that is not known
///             name  "descriptors", "threads", "processes" or "bytes of memory"
///             first, last
///                   how much it was after the first rounds that count, and after the last ones
///             per_thousand
///                   how much has come with each 1,000 connections: the median of all slopes
///           times   array: how long clients were kept waiting
///             name  "connect" or "round trip"
///             count how often it was done
///             p50_ms, p90_ms, p99_ms, max_ms
///         checks    array, in the order in which they were run
///           id      stable from one version to the next: "data.bulk.up"
///           title   one line for a reader
///           outcome "passed", "failed", "skipped", "not_applicable" or "known_failure"
///           duration_ms
///           reason  why it was skipped or is not applicable; else null
///           failure null where it did not fail, known or not, else an object:
///             step, expected, actual
///                   where it failed, what was expected and what came instead
///             same_as
///                   the name of the pair that failed in the same way before; null where none did
///             account
///                   the whole text of the failure, lines ending in \n
///             steps array: what was done before, and at last what failed
///               name, expected
///               from, to   who acts on whom: "client", "tool" or "server"
///               begin_ms   since the check began
///           notes   array: what was observed and is no failure
///             trait the member of Traits that it is about; null where there is none
///             text
///           shown   array: what the tool has shown of its traits, noted or not, each value once
///             trait, value
///                   as in `traits`
///
/// Control characters are escaped. A byte that is no valid UTF-8 becomes the four characters
/// "\x9b", whose backslash is written twice in JSON.
[[nodiscard]] std::string to_json(const std::vector<Report>& reports);

namespace detail {

/// Returns the text as a JSON string, in quotes.
[[nodiscard]] std::string json_string(std::string_view text);

} // namespace detail
} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/report/detail/json.ipp" // IWYU pragma: export
#endif
