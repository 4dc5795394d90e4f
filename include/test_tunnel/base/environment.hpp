#pragma once

#include <map>
#include <string>

#include "test_tunnel/base/detail/inline.hpp"

namespace test_tunnel {

/// The environment of a process: names and values.
using Environment = std::map<std::string, std::string>;

/// Returns the environment of this process.
Environment current_environment();

/// Returns the first of C.UTF-8, en_US.UTF-8 and some other common ones that this system really has
/// and whose encoding is UTF-8; "C" where it has none of them. Looks only once. Starts no process.
std::string utf8_locale();

/// Returns the environment of this process with `LC_ALL` set to `utf8_locale()` and `LANGUAGE`
/// empty, so that the messages of a tool are in one language and one encoding on every machine.
Environment utf8_environment();

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/base/detail/environment.ipp" // IWYU pragma: export
#endif
