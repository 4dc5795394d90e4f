#pragma once

#include <string>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/report/report.hpp"

namespace test_tunnel {

/// Returns all reports as one document of JUnit's XML, as CI systems read it: a test suite for each
/// pair, "socat 4→6", and in it a test case for each check, "data.bulk.up", of the class
/// "socat.4→6". A failure has its whole account. A check that was not tried, or is not applicable,
/// is skipped and says why. What was noted stands in the case's `system-out`.
///
/// A run that was stopped ends with a test case "setup", which is an error; or skipped, where
/// nothing was tested since this machine lacks what it takes: the tool, an address, a pair, a
/// private network.
[[nodiscard]] std::string to_junit(const std::vector<Report>& reports);

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/report/detail/junit.ipp" // IWYU pragma: export
#endif
