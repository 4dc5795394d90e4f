#pragma once

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/config/config.hpp"

namespace test_tunnel {

/// Has runs with this configuration show which checks are being run, on one line of the terminal at
/// standard error. The line is gone when a pair has been tested, and before the log writes. Does
/// nothing where standard error is no terminal, or where `config.verbose` is set.
///
/// Sets the pattern of `config.log`, which must write to standard error, as the default one does.
void show_progress(Config& config);

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/report/detail/progress.ipp" // IWYU pragma: export
#endif
