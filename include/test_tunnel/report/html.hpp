#pragma once

#include <string>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/report/report.hpp"

namespace test_tunnel {

/// Returns all reports as one page of HTML for a browser. The page has no script and loads nothing,
/// follows the reader's choice of light or dark, and can be printed. For each run it has a table of
/// pairs and checks, the account of each failure with its steps as a picture, what was noted, and
/// how long every check took.
[[nodiscard]] std::string to_html(const std::vector<Report>& reports);

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/report/detail/html.ipp" // IWYU pragma: export
#endif
