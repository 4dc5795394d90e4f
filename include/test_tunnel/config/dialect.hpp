#pragma once

namespace test_tunnel {

/// In which words a text names what its reader may declare or set.
enum class Dialect {
    /// C++ and its members: `Traits::passes_eof = false`, `Config::keep`.
    cpp,
    /// The options of a command line: `--trait passes_eof=false`, `--keep`.
    options
};

} // namespace test_tunnel
