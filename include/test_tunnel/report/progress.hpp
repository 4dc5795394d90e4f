#pragma once

#include "../config.hpp"
#include "../detail/inline.hpp"

namespace test_tunnel {

/// While runs with this configuration go on, shows on one line of the terminal at standard error
/// which check is being run; the line is gone when a pair has been tested, and before the log's
/// next one. Does nothing where standard error is no terminal, or `config.verbose` is set.
/// `config.log` must be a logger that writes there, as the default does: its pattern is set.
void show_progress(Config& config);

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "../detail/impl/report_progress.hpp" // IWYU pragma: export
#endif
