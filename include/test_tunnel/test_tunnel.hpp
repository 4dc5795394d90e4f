#pragma once

// All that the test of a tunnel includes, room by room from the ground up. What needs Catch2 or
// OpenSSL stands apart (catch2.hpp, tls.hpp).
#include "test_tunnel/base/deadline.hpp"    // IWYU pragma: export
#include "test_tunnel/base/environment.hpp" // IWYU pragma: export
#include "test_tunnel/base/error.hpp"       // IWYU pragma: export
#include "test_tunnel/base/log.hpp"         // IWYU pragma: export
#include "test_tunnel/base/text.hpp"        // IWYU pragma: export

#include "test_tunnel/net/address.hpp"         // IWYU pragma: export
#include "test_tunnel/net/datagram_socket.hpp" // IWYU pragma: export
#include "test_tunnel/net/expect.hpp"          // IWYU pragma: export
#include "test_tunnel/net/layer.hpp"           // IWYU pragma: export
#include "test_tunnel/net/pattern.hpp"         // IWYU pragma: export
#include "test_tunnel/net/socket.hpp"          // IWYU pragma: export
#include "test_tunnel/net/stream.hpp"          // IWYU pragma: export
#include "test_tunnel/net/supervisor.hpp"      // IWYU pragma: export
#include "test_tunnel/net/wait.hpp"            // IWYU pragma: export

#include "test_tunnel/config/config.hpp"        // IWYU pragma: export
#include "test_tunnel/config/console_style.hpp" // IWYU pragma: export
#include "test_tunnel/config/dialect.hpp"       // IWYU pragma: export
#include "test_tunnel/config/level.hpp"         // IWYU pragma: export
#include "test_tunnel/config/observer.hpp"      // IWYU pragma: export
#include "test_tunnel/config/per_direction.hpp" // IWYU pragma: export
#include "test_tunnel/config/trait_names.hpp"   // IWYU pragma: export
#include "test_tunnel/config/trait_table.hpp"   // IWYU pragma: export
#include "test_tunnel/config/traits.hpp"        // IWYU pragma: export
#include "test_tunnel/config/transports.hpp"    // IWYU pragma: export

#include "test_tunnel/kernel/processes.hpp"   // IWYU pragma: export
#include "test_tunnel/kernel/tcp_socket.hpp"  // IWYU pragma: export
#include "test_tunnel/kernel/tcp_sockets.hpp" // IWYU pragma: export
#include "test_tunnel/kernel/udp_sockets.hpp" // IWYU pragma: export
#include "test_tunnel/kernel/usage.hpp"       // IWYU pragma: export

#include "test_tunnel/discovery/addresses.hpp" // IWYU pragma: export
#include "test_tunnel/discovery/bind.hpp"      // IWYU pragma: export
#include "test_tunnel/discovery/pairs.hpp"     // IWYU pragma: export
#include "test_tunnel/discovery/ports.hpp"     // IWYU pragma: export

#include "test_tunnel/private_network/host_names.hpp"      // IWYU pragma: export
#include "test_tunnel/private_network/private_network.hpp" // IWYU pragma: export

#include "test_tunnel/handshakes/asked.hpp"             // IWYU pragma: export
#include "test_tunnel/handshakes/handshake_refused.hpp" // IWYU pragma: export
#include "test_tunnel/handshakes/http_accept.hpp"       // IWYU pragma: export
#include "test_tunnel/handshakes/http_connect.hpp"      // IWYU pragma: export
#include "test_tunnel/handshakes/protocol.hpp"          // IWYU pragma: export
#include "test_tunnel/handshakes/proxy_datagram.hpp"    // IWYU pragma: export
#include "test_tunnel/handshakes/proxy_protocol.hpp"    // IWYU pragma: export
#include "test_tunnel/handshakes/socks4.hpp"            // IWYU pragma: export
#include "test_tunnel/handshakes/socks4_accept.hpp"     // IWYU pragma: export
#include "test_tunnel/handshakes/socks5.hpp"            // IWYU pragma: export
#include "test_tunnel/handshakes/socks5_accept.hpp"     // IWYU pragma: export
#include "test_tunnel/handshakes/socks5_bind.hpp"       // IWYU pragma: export
#include "test_tunnel/handshakes/socks5_udp.hpp"        // IWYU pragma: export

#include "test_tunnel/process/exit_status.hpp"  // IWYU pragma: export
#include "test_tunnel/process/find_program.hpp" // IWYU pragma: export
#include "test_tunnel/process/listening.hpp"    // IWYU pragma: export
#include "test_tunnel/process/process.hpp"      // IWYU pragma: export
#include "test_tunnel/process/server.hpp"       // IWYU pragma: export
#include "test_tunnel/process/temp_dir.hpp"     // IWYU pragma: export
#include "test_tunnel/process/tool_usage.hpp"   // IWYU pragma: export

#include "test_tunnel/report/files.hpp"    // IWYU pragma: export
#include "test_tunnel/report/html.hpp"     // IWYU pragma: export
#include "test_tunnel/report/json.hpp"     // IWYU pragma: export
#include "test_tunnel/report/junit.hpp"    // IWYU pragma: export
#include "test_tunnel/report/progress.hpp" // IWYU pragma: export
#include "test_tunnel/report/report.hpp"   // IWYU pragma: export

#include "test_tunnel/run/check.hpp"          // IWYU pragma: export
#include "test_tunnel/run/command_line.hpp"   // IWYU pragma: export
#include "test_tunnel/run/command_tunnel.hpp" // IWYU pragma: export
#include "test_tunnel/run/flow.hpp"           // IWYU pragma: export
#include "test_tunnel/run/flow_run.hpp"       // IWYU pragma: export
#include "test_tunnel/run/pair_run.hpp"       // IWYU pragma: export
#include "test_tunnel/run/placeholders.hpp"   // IWYU pragma: export
#include "test_tunnel/run/tunnel.hpp"         // IWYU pragma: export

#include "test_tunnel/version.hpp" // IWYU pragma: export
