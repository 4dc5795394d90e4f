#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "../detail/inline.hpp"
#include "../report.hpp"

namespace test_tunnel {

/// Which schema `to_json` writes. A member that is added leaves it as it is; one that is removed,
/// or means something else, does not.
inline constexpr int json_schema_version = 1;

/// All of the reports as one JSON text (RFC 8259, ASCII but for what is UTF-8 in the reports
/// themselves), for other programs. All members are always there:
///
///     schema        "test-tunnel-report"
///     version       1
///     library       the library's version, "0.1.0"
///     passed        whether there is a run and all passed
///     runs          array, in the order in which they began
///       tool        its name (`TestTunnel::slug`)
///       program     the program under test, a path or a name
///       level       "hello", "standard" or "strict"
///       passed      whether there was a pair and all passed
///       error       what ended the run before its end, a fault of the set-up; null where nothing
///                   did
///       began       "2026-01-31T12:34:56.789Z" (RFC 3339, UTC)
///       duration_ms number
///       traits      object: what the tool is declared to do its own way, by name:
///                   {"half_close": "timed"}, as `declare` (trait_names.hpp) takes it
///       pairs       array, in the order in which they were tested
///         name      "4→6": the family on which the tool listens, and the one on which it connects
///         passed    whether a check passed and none failed
///         seed      from what the data was made, a decimal number of 64 bits, thus a string
///         client, listen, source, target
///                   objects, each with `address` and `port`: from where the client connects, where
///                   the tool listens, from where the tool connects and to where. The checks use
///                   other ports than these, too
///         duration_ms
///         checks    array, in the order in which they were run
///           id      stable from one version to the next: "data.bulk.up"
///           title   one line for a reader
///           outcome "passed", "failed", "skipped" or "not_applicable"
///           duration_ms
///           reason  why it was skipped or is not applicable; else null
///           failure null where it did not fail, else an object:
///             step, expected, actual
///                   where it failed, what was expected and what came instead
///             account
///                   the whole text of the failure, lines ending in \n
///             steps array: what was done before, and at last what failed
///               name, expected
///               from, to   who acts on whom: "client", "tool" or "server"
///               begin_ms   since the check began
///           notes   array: what was observed and is no failure
///             trait the member of Traits that it is about; null where there is none
///             text
///
/// Control characters are escaped; bytes that are no valid UTF-8 become "\x9b" in the text (in the
/// JSON a backslash is written twice), as in all that the library prints.
[[nodiscard]] std::string to_json(const std::vector<Report>& reports);

namespace detail {

/// The text as a JSON string, in quotes.
[[nodiscard]] std::string json_string(std::string_view text);

} // namespace detail
} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "../detail/impl/report_json.hpp" // IWYU pragma: export
#endif
