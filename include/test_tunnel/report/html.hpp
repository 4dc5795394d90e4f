#pragma once

#include <string>
#include <vector>

#include "../detail/inline.hpp"
#include "../report.hpp"

namespace test_tunnel {

/// All of the reports as one page of HTML for a browser, complete in itself: it has no script and
/// loads nothing, follows the reader's choice of light or dark, and can be printed. For each run a
/// table of pairs and checks, the account of each failure with its steps as a picture, what was
/// noted, and how long every check took.
[[nodiscard]] std::string to_html(const std::vector<Report>& reports);

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "../detail/impl/report_html.hpp" // IWYU pragma: export
#endif
