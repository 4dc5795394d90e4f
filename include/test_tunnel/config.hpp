#pragma once

#include <memory>
#include <string>

#include "deadline.hpp"
#include "log.hpp"
#include "utf8_env.hpp"

namespace test_tunnel {

/// What a run is given: all members have defaults that serve.
struct Config {
    /// Never null. At `info` it gets the story of a run.
    std::shared_ptr<Logger> log = stderr_logger();

    /// Added to the first port number that is tried (6374). May be negative.
    int offset = 0;

    /// Tell the details too: `TestTunnel` sets the logger to `debug`.
    bool verbose = false;

    /// Leave the files of a tool that has failed where they are (see TempDir).
    bool keep = false;

    Timeouts timeouts;
};

/// The same, and the program under test.
struct ConfigProg : Config {
    /// A path, or a name that is looked up in `PATH`.
    std::string prog;

    /// The environment for it.
    Environment utf8_env = utf8_environment();
};

} // namespace test_tunnel
