#pragma once

// The one header that knows Catch2 (v3). It is not part of test_tunnel.hpp.

#include <catch2/catch_test_macros.hpp>
#include <source_location>
#include <string>

#include "config.hpp"
#include "detail/inline.hpp"
#include "tunnel.hpp"

/// What tests with Catch2 take: a configuration from the command line, a section for each check,
/// and `main`.
namespace test_tunnel::catch2 {

/// The configuration that the command line asked for, with `default_prog` as the program where
/// there was no `--prog`. Skips the test case where that default is not installed: call it first in
/// a test case, before any section. A program that was asked for must be there: throws ToolMissing.
/// Skips it, too, where this machine lacks one of the pairs that `--pair` asks for, and later where
/// the tool can't do one of them. Each pair that passes is an assertion. Throws ToolNotExecutable
/// for a program that the system can't run.
ConfigProg config_for(const std::string& default_prog);

/// The same as `tunnel.run()`, with a section for each pair and, in it, one for each check:
/// "4→6", "data.bulk.up". So each has its own result in every reporter, and one failure does not
/// hide the others. What is noted is a warning. To be called in a test case, once for each tunnel.
///
/// Each pair is tested once, when its first section is entered. Throws as `run` does, but no
/// TunnelFailure.
void check_all(TestTunnel& tunnel,
               const std::source_location& where = std::source_location::current());

/// The same for a tunnel that is made in the call: `check_all(Socat{config_for("socat")})`.
void check_all(TestTunnel&& tunnel,
               const std::source_location& where = std::source_location::current());

/// A `main` for tests of tunnels: adds `--prog`, `--level`, `--check`, `--not-check`, `--pair`,
/// `--seed`, `--idle`, `--timeout-scale`, `--offset`, `--keep`, `--verbose`, `--network`, `--json`,
/// `--html`, `--list-pairs` and `--list-tunnel-checks` to Catch2's own options, enters the network
/// that is asked for (default: the environment variable `TEST_TUNNEL_NETWORK`, else `auto`), and
/// runs the tests. Returns the exit status: 4, which CTest takes for a skipped test
/// (`test_tunnel_add_test`), where nothing has failed and a test case was skipped, if only one;
/// else Catch2's.
int main(int argc, char** argv);

} // namespace test_tunnel::catch2

#if TEST_TUNNEL_DEFINES
#include "detail/impl/catch2.hpp" // IWYU pragma: export
#endif
