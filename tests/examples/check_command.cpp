// check_command as a user runs it: a whole program, on real tools and on one that is faulty.

#include <test_tunnel/private_network/host_names.hpp>
#include <test_tunnel/process/process.hpp>
#include <test_tunnel/process/temp_dir.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/network.hpp"
#include "support/program_result.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Arguments = std::vector<std::string>;

namespace {

using Result = support::ProgramResult;

Result run(Arguments arguments) {
    auto environment = utf8_environment();
    environment["TEST_TUNNEL_NETWORK"] = "host"; // this test's
    arguments.insert(arguments.begin(), CHECK_COMMAND);
    return support::run_program(std::move(arguments), std::move(environment), 100s);
}

/// On a tool that is installed: `arguments`, "--", `command`.
Result run_tool(Arguments arguments, Arguments command) {
    arguments.emplace_back("--");
    arguments.insert(arguments.end(), command.begin(), command.end());
    auto result = run(std::move(arguments));
    if (result.code == 77) {
        SKIP(result.err);
    }
    return result;
}

Arguments faulty(const std::string& behaviour) {
    return {FAULTY_TUNNEL,      "{listen.address}", "{listen.port}", "{source.address}",
            "{target.address}", "{target.port}",    behaviour,       "forward"};
}

const Arguments socat{"socat",
                      "TCP{listen.family}-LISTEN:{listen.port},bind={listen.bracketed},fork,"
                      "reuseaddr",
                      "TCP{target.family}:{target.bracketed}:{target.port}"};
const Arguments microsocks{"microsocks",    "-i", "{listen.address}", "-p",
                           "{listen.port}", "-b", "{source.address}"};

std::string text_of(const std::string& path) {
    std::ifstream file{path};
    return {std::istreambuf_iterator<char>{file}, {}};
}

void check_usage(const Arguments& arguments, const std::string& text) {
    const auto [code, out, err] = run(arguments);
    INFO(err);
    CHECK(code == 2);
    CHECK_THAT(err, ContainsSubstring(text));
}

} // namespace

TEST_CASE("a forwarder passes, and what it does its own way is told as options",
          "[check_command]") {
    const auto [code, out, err] = run_tool({}, socat);
    INFO(err);
    CHECK(code == 0);
    CHECK_THAT(err, ContainsSubstring("socat: 4 of 4 combinations passed") &&
                        ContainsSubstring("is declared by --trait") &&
                        ContainsSubstring(" --trait reset=as_end") &&
                        ContainsSubstring(" --trait refuses=by_end"));
}

TEST_CASE("what is declared is not told again", "[check_command]") {
    const auto [code, out, err] = run_tool(
        {"--check", "hello", "--trait", "reports_source=null", "--handshake=socks5"}, microsocks);
    INFO(err);
    CHECK(code == 0);
    CHECK_THAT(err, ContainsSubstring("declared: --trait reports_source=null") &&
                        !ContainsSubstring("is declared by --trait"));
}

TEST_CASE("a SOCKS server passes, with users and by name", "[check_command]") {
    const Arguments options{"--handshake", "socks5", "--level", "hello"};
    auto with_user = options;
    with_user.insert(with_user.end(), {"--user", "u", "--password", "p"});
    auto command = microsocks;
    command.insert(command.end(), {"-u", "u", "-P", "p"});
    CHECK(run_tool(with_user, command).code == 0);
    const auto refused = run_tool(options, command);
    CHECK(refused.code == 1);
    CHECK_THAT(refused.err, ContainsSubstring("no acceptable methods"));
    if (host_name_of(Address::parse("192.0.2.1"))) {
        auto by_name = options;
        by_name.emplace_back("--by-name");
        CHECK(run_tool(by_name, microsocks).code == 0);
    }
}

TEST_CASE("a fault is found, and the reports tell it", "[check_command]") {
    const TempDir files;
    const auto path = files.path() + "/junit.xml";
    const auto json = files.path() + "/report.json";
    const auto html = files.path() + "/report.html";
    Arguments arguments{"--check", "hello", "--check", "data.bulk.*", "--pair",          "4-6",
                        "--seed",  "7",     "--name",  "mine",        "--timeout-scale", "0.5",
                        "--junit", path,    "--json",  json,          "--html",          html,
                        "--"};
    const auto command = faulty("corrupts-late-up");
    arguments.insert(arguments.end(), command.begin(), command.end());
    const auto [code, out, err] = run(arguments);
    INFO(err);
    CHECK(code == 1);
    CHECK_THAT(err, ContainsSubstring("mine 4→6 / data.bulk.up: failed") &&
                        ContainsSubstring("mine: 0 of 1 combinations passed") &&
                        ContainsSubstring("again:    ") && ContainsSubstring("seed:     7"));
    CHECK_THAT(text_of(path),
               ContainsSubstring("<testsuite name=\"mine 4→6\" tests=\"3\" failures=\"1\"") &&
                   ContainsSubstring("<failure message=\""));
    CHECK_THAT(text_of(json),
               ContainsSubstring("\"tool\": \"mine\"") || ContainsSubstring("\"tool\":\"mine\""));
    CHECK_THAT(text_of(html), ContainsSubstring("data.bulk.up"));
}

TEST_CASE("a tool that is not there is a skip", "[check_command]") {
    const TempDir files;
    const auto path = files.path() + "/junit.xml";
    const auto json = files.path() + "/report.json";
    for (const auto& arguments :
         {Arguments{"--junit", path, "--json", json, "--", "/nonexistent/tool"},
          {"--", "no-such-tool-at-all"},
          {"--companion", "/nonexistent/half", "--", "socat"}}) {
        const auto [code, out, err] = run(arguments);
        CHECK(code == 77);
        CHECK_THAT(err, ContainsSubstring("skipped: "));
    }
    CHECK_THAT(text_of(path), ContainsSubstring("<skipped message=\"/nonexistent/tool: "));
    CHECK_THAT(text_of(json), ContainsSubstring("/nonexistent/tool: No such file"));
}

TEST_CASE("a report that can't be written does not cost the others", "[check_command]") {
    const TempDir files;
    const auto path = files.path() + "/junit.xml";
    const auto html = files.path() + "/report.html";
    for (const auto* const behaviour : {"none", "changes-up"}) {
        auto arguments = Arguments{"--junit", path,    "--json", "/dev/full", "--html", html,
                                   "--check", "hello", "--pair", "4-4",       "--"};
        const auto command = faulty(behaviour);
        arguments.insert(arguments.end(), command.begin(), command.end());
        const auto [code, out, err] = run(arguments);
        CHECK(code == (behaviour == std::string_view{"none"} ? 2 : 1));
        CHECK_THAT(err, ContainsSubstring("writing the report to '/dev/full'"));
        CHECK_THAT(text_of(path), ContainsSubstring("</testsuites>"));
        CHECK_THAT(text_of(html), ContainsSubstring("</html>"));
    }
}

TEST_CASE("a run that can't go on after a failure has failed", "[check_command]") {
    TempDir files;
    const auto path = files.path() + "/junit.xml";
    // A tool that is gone when the second combination is to be tested.
    const auto tool = files.write("tool", "#!/bin/sh\nrm \"$0\"\nexit 3\n");
    std::filesystem::permissions(tool, std::filesystem::perms::owner_all);
    const auto [code, out, err] =
        run({"--jobs", "1", "--junit", path, "--check", "hello", "--", tool});
    INFO(err);
    CHECK(code == 1);
    CHECK_THAT(err, ContainsSubstring("tool: No such file"));
    CHECK_THAT(text_of(path),
               ContainsSubstring("<failure") && ContainsSubstring("<error message="));
}

TEST_CASE("a run whose time is over tells what was done, and has neither passed nor failed",
          "[check_command]") {
    const TempDir directory;
    const auto path = directory.path() + "/report.json";
    const auto [code, out, err] = run_tool({"--time-limit", "1", "--level", "strict", "--check",
                                            "hello", "--check", "idle", "--json", path},
                                           faulty("none"));
    INFO(err);
    CHECK(code == 2);
    const auto report = text_of(path);
    CHECK_THAT(report, ContainsSubstring("\"error\": \"the 1 s for the whole run are over\""));
    CHECK_THAT(report, ContainsSubstring("\"name\": \"4→4\""));
    CHECK_THAT(report, ContainsSubstring("\"outcome\": \"skipped\""));
}

TEST_CASE("a signal leaves the reports, and ends the program", "[check_command]") {
    const TempDir directory;
    const auto path = directory.path() + "/report.json";
    // The tool sends it when it is started: with one job, check_command is its parent.
    const auto [code, out, err] = run({"--jobs", "1", "--pair", "4-4", "--json", path, "--", "sh",
                                       "-c", "kill -TERM $PPID; exec sleep 60"});
    INFO(err);
    CHECK(code == 128 + SIGTERM);
    CHECK_THAT(text_of(path), ContainsSubstring("\"error\": \"interrupted by SIGTERM\"") &&
                                  ContainsSubstring("\"name\": \"4→4\""));
}

TEST_CASE("rounds are counted, with the seeds of those that failed", "[check_command]") {
    Arguments arguments{"--repeat", "3", "--seed", "7", "--pair", "4-4", "--check", "data.bulk.up"};
    const auto [code, out, err] = run_tool(arguments, faulty("corrupts-late-up"));
    CHECK(code == 1);
    CHECK_THAT(err, ContainsSubstring("3 of 3 rounds failed: 100 %") &&
                        ContainsSubstring("seeds: 7, 8, 9"));
    arguments.emplace_back("--until-failure");
    CHECK_THAT(run_tool(arguments, faulty("corrupts-late-up")).err,
               ContainsSubstring("1 of 1 rounds failed") && ContainsSubstring("seeds: 7\n"));
}

TEST_CASE("a machine without the combination that is asked for is a skip", "[check_command]") {
    if (!support::in_private_network()) {
        SKIP("this is no private network");
    }
    support::disable_ipv6();
    // Nor is less tested than what is asked for.
    for (auto arguments :
         {Arguments{"--pair", "6-6", "--"}, Arguments{"--pair", "4-4", "--pair", "6-6", "--"}}) {
        const auto command = faulty("none");
        arguments.insert(arguments.end(), command.begin(), command.end());
        const auto [code, out, err] = run(arguments);
        CHECK(code == 77);
        CHECK_THAT(err, ContainsSubstring("this machine has no addresses for 6→6: "));
    }
}

TEST_CASE("wrong usage is refused with what would be right", "[check_command]") {
    check_usage({}, "no command was given");
    check_usage({"--"}, "no command was given");
    check_usage({"--", ""}, "without a program");
    check_usage({"--hlep"}, "did you mean --help?");
    check_usage({"--handshake", "sock5", "--", "x"}, "did you mean socks5?");
    check_usage({"--handshake", "socks5", "--handshake", "proxy-v1", "--", "x"}, "once, and first");
    check_usage({"--handshake", "socks5", "--handshake", "socks4", "--", "x"},
                "there is socks5 already");
    check_usage({"--server-header", "proxy", "--", "x"}, "did you mean proxy-v1?");
    check_usage({"--trait", "half_clos=none", "--", "x"}, "did you mean half_close?");
    check_usage({"--trait", "half_close=non", "--", "x"}, "full, timed, none");
    check_usage({"--trait", "half_close", "--", "x"}, "half_close=timed");
    check_usage({"--level", "stric", "--", "x"}, "did you mean strict?");
    check_usage({"--network", "own", "--", "x"}, "auto, private, host");
    check_usage({"--pair", "4-5", "--", "x"}, "4→4, 4→6, 6→4, 6→6");
    check_usage({"--check", "data.x", "--", "/nonexistent/x"}, "'data.x' matches no check");
    check_usage({"--seed", "x", "--", "x"}, "--seed takes a number");
    check_usage({"--idle", "+5", "--", "x"}, "takes a number");
    check_usage({"--idle", "-1", "--", "x"}, "0 to 86400");
    for (const auto* const time : {"", "0", "-1", "m", "10x", "10min", "1e9h", "nan"}) {
        check_usage({"--soak", time, "--", "x"},
                    fmt::format("--soak takes a time, such as 90s, 10m or 2h, not '{}'", time));
    }
    for (const auto* const size : {"", "0", "-1", "G", "5X", "5GG", "1.5G", "99999999999G"}) {
        check_usage({"--volume", size, "--", "x"},
                    fmt::format("--volume takes a number of bytes, such as 4096, 500M or 5G, not "
                                "'{}'",
                                size));
    }
    check_usage({"--timeout-scale", "0", "--", "x"}, "--timeout-scale takes a number above 0");
    check_usage({"--user", "u", "--", "x"}, "--user needs --handshake");
    check_usage({"--user", "u", "--handshake", "socks5", "--", "x"}, "both or neither");
    check_usage({"--offer-no-auth", "--", "x"}, "--offer-no-auth needs --handshake socks5");
    check_usage({"--header", "a: b", "--", "x"}, "--header needs --handshake http-connect");
    check_usage({"--header", "ab", "--", "x"}, "'Name: value'");
    check_usage({"--by-name", "--", "x"}, "only in a handshake");
    check_usage({"--config", "/nonexistent", "--", "x"}, "--config /nonexistent: it can't be read");
    check_usage({"--config", "/etc", "--", "x"}, "--config /etc: it can't be read");
    check_usage({"--broken-config", "/etc", "--", "x"}, "--broken-config /etc: it can't be read");
    check_usage({"--broken-config", "/etc/hosts", "--", "x"}, "a configuration file, and reloads");
    check_usage({"--junit", "/nonexistent/x", "--", "x"}, "can't be written to '/nonexistent/x'");
    check_usage({"--json", "/nonexistent/x", "--", "x"}, "/nonexistent/x");
    const TempDir files;
    check_usage({"--json", files.path() + "/x", "--html", files.path() + "/./x", "--", "x"},
                "two reports can't be written to one file");
    check_usage({"--junit", files.path() + "/y", "--json", files.path() + "/y", "--", "x"},
                "two reports can't be written to one file");
    check_usage({"--companion", "'a", "--", "x"}, "is not closed");
    check_usage({"--await", "none", "--", "x"}, "behind the --companion");
    check_usage({"--companion", "a", "--await", "line:x", "--", "x"}, "output, tcp, udp, none");
    check_usage({"--companion", "a", "--await", "output", "--", "x"}, "not 'output'");
    check_usage({"--companion", "a", "--await", "none:x", "--", "x"}, "not 'none:x'");
    check_usage({"--companion", "a", "--await", "tcp:x", "--", "x"}, "'x' is no endpoint");
    check_usage({"--reload", "HOP", "--", "x"}, "--reload HOP: 'HOP' is no signal");
    check_usage({"--reload", "KILL", "--", "x"}, "KILL ends or stops a process");
    check_usage({"--reload", "HUP", "--reload-command", "y", "--", "x"}, "reloads in one way");
    check_usage({"--reload-command", "y {pidd}", "--", "x"}, "did you mean {pid}?");
    check_usage({"--reload-successor", "'y", "--", "x"}, "is not closed");
    check_usage({"--env", "A", "--", "x"}, "--env takes NAME=VALUE, not 'A'");
    check_usage({"--env", "=A", "--", "x"}, "--env takes NAME=VALUE, not '=A'");
    check_usage({"--env", "A=1", "--env", "A=2", "--", "x"}, "A has a value already");
    check_usage({"--env", "A={dri}", "--", "x"}, "did you mean {dir}?");
    check_usage({"--copy", "/nonexistent/x", "--", "x"}, "copy '/nonexistent/x'");
    check_usage({"--trait", "binds_source=true", "--", "x"}, "{source.address} is used nowhere");
    check_usage({"--", "x", "{client.port}"}, "{inner.port} is");
    check_usage({"--", "x", "{listen.prot}"}, "did you mean {listen.port}?");
    check_usage({"--keep=1", "--", "x"}, "--keep takes no value");
    check_usage({"--handshake"}, "--handshake takes a value");
    check_usage({"--", "/etc"}, "/etc is a directory");
}

TEST_CASE("what follows from the command line is told", "[check_command]") {
    const Arguments quick{"--check", "hello", "--pair", "4-4"};
    const auto told = run_tool(quick, faulty("none"));
    CHECK(told.code == 0);
    CHECK_THAT(told.err, ContainsSubstring("{source.…} is used: the tool has to connect from") &&
                             !ContainsSubstring("is not used"));
    auto anywhere = faulty("none");
    anywhere[3] = "0.0.0.0";
    const auto untold = run_tool(quick, anywhere);
    CHECK(untold.code == 0);
    CHECK_THAT(untold.err, ContainsSubstring("the tool may connect from any address") &&
                               !ContainsSubstring("declared"));
    const auto nothing = run_tool(quick, {"false"});
    CHECK(nothing.code == 1);
    CHECK_THAT(nothing.err, ContainsSubstring("{listen.port} is not used: nothing tells") &&
                                ContainsSubstring("{target.port} is not used, and there is no"));
}

TEST_CASE("a tool without IPv6 is told how it can be tested", "[check_command]") {
    const auto with = [](const std::string& name) {
        auto command = faulty("none");
        command.insert(command.begin(), {"sh", "-c", name + "; exec \"$@\"", "sh"});
        return run_tool({"--check", "hello"}, command).err;
    };
    CHECK_THAT(with("test {listen.family} = 4 || exit 9"),
               ContainsSubstring("wherever it listens on IPv6; a tool that does not have that is "
                                 "tested by --pair 4-4 --pair 4-6\n"));
    CHECK_THAT(with("test {target.family} = 4 || exit 9"),
               ContainsSubstring("wherever it connects on IPv6; ") &&
                   ContainsSubstring("tested by --pair 4-4 --pair 6-4\n"));
    CHECK_THAT(with("test {listen.family}{target.family} = 44 || exit 9"),
               ContainsSubstring("wherever it listens or connects on IPv6; ") &&
                   ContainsSubstring("tested by --pair 4-4\n"));
    CHECK_THAT(with("exit 9"), !ContainsSubstring("it fails wherever"));
    CHECK_THAT(with("test {listen.family}{target.family} = 46 && exit 9"),
               !ContainsSubstring("it fails wherever"));
}

TEST_CASE("a tool gets companions, an environment and files as it is asked for",
          "[check_command]") {
    TempDir files;
    const auto script = files.write("run.sh", "test -e {dir}/made || exit 9; exec $TOOL\n");
    const auto copy = files.write("data", "{listen.port}"); // no template
    std::string tool;
    for (const auto& word : faulty("none")) {
        tool += (tool.empty() ? "" : " ") + word;
    }
    const auto [code, out, err] =
        run({"--check", "hello", "--config", script, "--copy", copy, "--env", "TOOL=" + tool,
             "--companion",
             "sh -c 'grep -q listen.port {dir}/data && touch {dir}/made && echo I am ready; "
             "exec sleep 60'",
             "--await", "output:I am ready", "--", "sh", "{config}"});
    INFO(err);
    CHECK(code == 0);
}

TEST_CASE("what there is can be listed", "[check_command]") {
    const auto expect = [](const std::string& option, const std::string& text) {
        const auto [code, out, err] = run({option});
        CHECK(code == 0);
        CHECK_THAT(out, ContainsSubstring(text));
    };
    expect("--list", "data.bulk.up ");
    expect("--list-pairs", "4→4  client ");
    expect("--list-traits", "half_close               full, timed, none");
    expect("--help", "Exit status: 0 passed, 1 failed, 2 wrong usage");
    expect("--help", "--known-failure ID=TEXT ");
    expect("--version", "check_command of test-tunnel ");
}

TEST_CASE("files are kept for whoever looks into a failure", "[check_command]") {
    TempDir files;
    const auto script = files.write("tool.sh", "echo {dir}; exit 3\n");
    const auto [code, out, err] =
        run({"--keep", "--pair", "4-4", "--config", script, "--", "sh", "{config}"});
    INFO(err);
    CHECK(code == 1);
    const auto begin = err.find("output:   ") + 10;
    const auto path = err.substr(begin, err.find('\n', begin) - begin);
    CHECK(text_of(path + "/tool.sh") == "echo " + path + "; exit 3\n");
    std::filesystem::remove_all(path);
}
