#pragma once

// The one header that knows Catch2 (v3). It is not part of test_tunnel.hpp.

#include <fmt/core.h>

#include <catch2/catch_session.hpp>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <exception>
#include <optional>
#include <string>
#include <utility>

#include "config.hpp"
#include "error.hpp"
#include "private_network.hpp"
#include "process.hpp"

namespace test_tunnel::catch2 {

namespace detail {

/// What the command line asked for. Catch2's test cases take no arguments: so this is one object a
/// process, written by `main` before the first of them runs.
struct Options {
    std::optional<std::string> prog;
    int offset = 0;
    bool verbose = false;
    std::string network;
};

inline Options& options() {
    static Options instance;
    return instance;
}

} // namespace detail

/// The configuration that the command line asked for, with `default_prog` as the program where
/// there was no `--prog`. Skips the test case where that default is not installed: call it first in
/// a test case, before any section. A program that was asked for must be there: throws ToolMissing.
inline ConfigProg config_for(const std::string& default_prog) {
    const auto& options = detail::options();
    ConfigProg config;
    config.offset = options.offset;
    config.verbose = options.verbose;
    config.prog = options.prog.value_or(default_prog);
    try {
        test_tunnel::detail::find_program(config.prog, config.utf8_env);
    } catch (const ToolMissing& error) {
        if (options.prog) {
            throw;
        }
        SKIP(error.what());
    }
    return config;
}

/// A `main` for tests of tunnels: adds --prog, --offset, --verbose and --network to Catch2's own
/// options, enters the network that is asked for (default: the environment variable
/// `TEST_TUNNEL_NETWORK`, else `auto`), and runs the tests. Returns the exit status.
inline int main(int argc, char** argv) {
    auto& options = detail::options();
    Catch::Session session;
    using Catch::Clara::Opt;
    // Given but empty is not the same as not given: no other program than was meant must be tested.
    const auto set_prog = [&options](const std::string& prog) {
        options.prog = prog;
        return Catch::Clara::ParserResult::ok(Catch::Clara::ParseResultType::Matched);
    };
    session.cli(session.cli() | Opt(set_prog, "program")["--prog"]("the program under test") |
                Opt(options.offset, "number")["--offset"](
                    "added to the first port tried; --offset=-100 where it is negative") |
                Opt(options.verbose)["--verbose"]("log all details") |
                Opt(options.network, "network")["--network"]("auto, private or host"));
    if (const int status = session.applyCommandLine(argc, argv); status != 0) {
        return status;
    }
    const auto& data = session.configData();
    const bool runs_tests = !data.showHelp && !data.libIdentify && !data.listTests &&
                            !data.listTags && !data.listReporters && !data.listListeners;
    try {
        if (runs_tests) {
            // Inherited from whoever started the test, ignoring it would hide the end of the tools.
            std::signal(SIGCHLD, SIG_DFL);
            const auto network =
                enter_network(options.network.empty() ? network_mode_from_environment()
                                                      : parse_network_mode(options.network));
            stderr_logger()->info("the tests run in {}", network);
        }
    } catch (const std::exception& error) {
        stderr_logger()->error("{}", error.what());
        return 1;
    }
    return session.run();
}

} // namespace test_tunnel::catch2
