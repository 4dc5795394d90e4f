#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/net/socket.hpp"

namespace test_tunnel {

/// Reads exactly `expected.size()` bytes, however they are cut up, and compares the first
/// `compare_len` of them (default: all). An empty `expected` demands the end of the stream; a
/// reset is none. Returns what was read. Throws Unexpected, with what came until then, also where
/// the rest does not come; `tag` says whose bytes they are ("server → client"). Throws
/// InvalidConfig for a `compare_len` above the size.
/// Where nothing comes for the socket's timeout, or the tool ends meanwhile, that is an Unexpected
/// too; where the end of the stream was awaited, TimedOut or ToolEnded.
std::string expect_read(Socket& socket, std::string_view expected, std::string_view tag,
                        std::optional<std::size_t> compare_len = std::nullopt);

/// Reads once what has come in place of what was expected, and tells it: the bytes as a hexdump,
/// "the end of the stream", or the error of the system, such as a reset. Waits for at most the
/// socket's timeout; throws TimedOut, ToolEnded.
std::string what_came(Socket& socket);

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/net/detail/expect.ipp" // IWYU pragma: export
#endif
