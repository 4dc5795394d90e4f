#pragma once

#include <string>

namespace test_tunnel {

/// A failure that a tool is known for. Where the check fails in this way, it is told and does not
/// count (`Outcome::known_failure`); where it fails in another way, or passes although it always
/// fails, it has failed.
struct KnownFailure {
    /// The id of the check: "data.duplex".
    std::string check;
    /// A part of what a failure tells as its step, as expected or as actual, upper and lower case
    /// as it stands there. Blanks and ends of lines are all the same. It must not be empty, and
    /// should have nothing that is another one each time: ports, times, numbers of bytes.
    std::string text;
    /// The only combination where it is known, "4→6" or "4-6". Empty: it is known on all.
    std::string pair{};
    /// Whether it comes each time. False: in some runs only, as a race does; then the check may
    /// pass.
    bool comes_always = true;
};

} // namespace test_tunnel
