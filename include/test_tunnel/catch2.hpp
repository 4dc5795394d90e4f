#pragma once

// The one header that knows Catch2 (v3). It is not part of test_tunnel.hpp.

#include <catch2/catch_test_macros.hpp>
#include <source_location>
#include <string>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/config/config.hpp"
#include "test_tunnel/run/tunnel.hpp"

/// What tests with Catch2 take: a configuration from the command line, a section for each check,
/// and `main`.
namespace test_tunnel::catch2 {

/// Returns the configuration that the command line asked for. Its program is the one that `--prog`
/// names, else `default_prog`. Call it first in a test case, before any section, since it may skip
/// the test case:
///
/// - where there was no `--prog`, and `default_prog` is not installed;
/// - where this machine lacks one of the pairs that `--pair` asks for.
///
/// A run with this configuration makes an assertion of each pair that passes, and skips the test
/// case where the tool can't do one of the pairs that were asked for. Throws ToolMissing where the
/// program that `--prog` names is not there, ToolNotExecutable for a program that the system can't
/// run.
ConfigProg config_for(const std::string& default_prog);

/// Tests the tunnel as `tunnel.run()` does, with a section for each pair ("4→6") and in it one for
/// each check ("data.bulk.up"). So each check has its own result in every reporter, and one failure
/// does not hide the others. What is noted is a warning. To be called in a test case, once for each
/// tunnel.
///
/// Each pair is tested once, when its first section is entered. Throws what `run` throws, except
/// for TunnelFailure.
void check_all(TestTunnel& tunnel,
               const std::source_location& where = std::source_location::current());

/// Tests a tunnel that is made in the call: `check_all(Socat{config_for("socat")})`.
void check_all(TestTunnel&& tunnel,
               const std::source_location& where = std::source_location::current());

/// A `main` for tests of tunnels. To Catch2's own options it adds `--prog`, `--list-pairs`,
/// `--list-tunnel-checks` and those that `run_options` has. It enters the network that is asked
/// for, runs the tests, and writes the reports that are asked for.
///
/// Returns the exit status, which is Catch2's, but for one case: 4, which CTest takes for a skipped
/// test (`test_tunnel_add_test`), also where only some of the test cases were skipped and none has
/// failed.
int main(int argc, char** argv);

} // namespace test_tunnel::catch2

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/catch2/detail/main.ipp"     // IWYU pragma: export
#include "test_tunnel/catch2/detail/sections.ipp" // IWYU pragma: export
#endif
