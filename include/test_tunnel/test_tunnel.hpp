#pragma once

// All that the test of a tunnel includes. What belongs to one test framework stands apart
// (catch2.hpp).
#include "address.hpp"         // IWYU pragma: export
#include "checks.hpp"          // IWYU pragma: export
#include "config.hpp"          // IWYU pragma: export
#include "deadline.hpp"        // IWYU pragma: export
#include "discovery.hpp"       // IWYU pragma: export
#include "error.hpp"           // IWYU pragma: export
#include "exit_status.hpp"     // IWYU pragma: export
#include "expect.hpp"          // IWYU pragma: export
#include "handshakes.hpp"      // IWYU pragma: export
#include "level.hpp"           // IWYU pragma: export
#include "names.hpp"           // IWYU pragma: export
#include "observer.hpp"        // IWYU pragma: export
#include "pair_run.hpp"        // IWYU pragma: export
#include "private_network.hpp" // IWYU pragma: export
#include "process.hpp"         // IWYU pragma: export
#include "protocol.hpp"        // IWYU pragma: export
#include "report.hpp"          // IWYU pragma: export
#include "report/files.hpp"    // IWYU pragma: export
#include "report/html.hpp"     // IWYU pragma: export
#include "report/json.hpp"     // IWYU pragma: export
#include "report/progress.hpp" // IWYU pragma: export
#include "server.hpp"          // IWYU pragma: export
#include "socket.hpp"          // IWYU pragma: export
#include "temp_dir.hpp"        // IWYU pragma: export
#include "trait_names.hpp"     // IWYU pragma: export
#include "traits.hpp"          // IWYU pragma: export
#include "tunnel.hpp"          // IWYU pragma: export
#include "utf8_env.hpp"        // IWYU pragma: export
#include "version.hpp"         // IWYU pragma: export
