// What a tool that is given by its command line has around it: companions, files, an environment.

#include <test_tunnel/private_network/host_names.hpp>
#include <test_tunnel/process/temp_dir.hpp>
#include <test_tunnel/run/command_tunnel.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "support/quiet_config.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Sign = Readiness::Sign;
namespace fs = std::filesystem;

namespace {

ConfigProg quick(std::vector<std::string> pairs = {"4-4"}) {
    auto config = support::quiet_config();
    config.only = {"hello"};
    config.pairs = std::move(pairs);
    return config;
}

/// A forwarder between two of the names of endpoints: "listen", "target", "inner".
Command forwarder(const std::string& from, const std::string& to) {
    return {FAULTY_TUNNEL,
            "{" + from + ".address}",
            "{" + from + ".port}",
            "{source.address}",
            "{" + to + ".address}",
            "{" + to + ".port}",
            "none",
            "forward"};
}

/// A shell that does `before`, and then becomes the whole tunnel.
Command script(const std::string& before) {
    std::string words;
    for (const auto& word : forwarder("listen", "target")) {
        words += " " + word;
    }
    return {"sh", "-c", before + "; exec" + words};
}

std::string text_of_run(const ConfigProg& config, CommandOptions options) {
    const auto report = CommandTunnel{config, std::move(options)}.run_all();
    return report.passed() ? "passed" : report.text();
}

} // namespace

TEST_CASE("variables of the environment have their placeholders replaced", "[command_tunnel]") {
    const CommandOptions options{
        .command = {"sh", "-c",
                    fmt::format("exec '{}' $HERE $FROM $THERE none forward", FAULTY_TUNNEL)},
        .environment = {{"HERE", "{listen.address} {listen.port}"},
                        {"FROM", "{source.address}"},
                        {"THERE", "{target.address} {target.port}"}}};
    CHECK(text_of_run(quick({}), options) == "passed");
}

TEST_CASE("the program is looked for in the PATH that the tool gets", "[command_tunnel]") {
    TempDir own;
    fs::create_symlink(FAULTY_TUNNEL, own.path() + "/tool-of-its-own");
    auto command = forwarder("listen", "target");
    command.front() = "tool-of-its-own";
    CommandOptions options{.command = command, .environment = {{"PATH", own.path()}}};
    CHECK_NOTHROW(CommandTunnel{quick(), options}.require_programs());
    CHECK(text_of_run(quick(), options) == "passed");
    options.environment = {{"PATH", "/nonexistent"}};
    CHECK_THROWS_AS((CommandTunnel{quick(), options}.require_programs()), ToolMissing);
}

TEST_CASE("files and directories are copied for each tool anew", "[command_tunnel]") {
    TempDir own;
    const auto tree = own.path() + "/tree";
    fs::create_directories(tree + "/in/it");
    std::ofstream{tree + "/in/it/tool.sh"} << "#!/bin/sh\n"
                                              "test -e \"$(dirname \"$0\")/used\" && exit 9\n"
                                              "touch \"$(dirname \"$0\")/used\"\n"
                                              "exec \"$@\"\n";
    fs::permissions(tree + "/in/it/tool.sh", fs::perms::owner_all);
    fs::create_symlink("in/it", tree + "/short");
    const auto file = own.write("some.key", "secret");
    auto command = forwarder("listen", "target");
    command.insert(command.begin(), "{dir}/tree/short/tool.sh");
    CHECK(text_of_run(quick({}), {.command = command, .copies = {tree + "/", file}}) == "passed");
    CHECK_FALSE(fs::exists(tree + "/in/it/used"));

    const auto text = text_of_run(
        quick(), {.command = {"sh", "-c", "cat {dir}/some.key; exit 3"}, .copies = {tree, file}});
    CHECK_THAT(text, ContainsSubstring("secret") && ContainsSubstring("/some.key") &&
                         ContainsSubstring("/tree"));
}

TEST_CASE("a directory that has nothing in it is not told", "[command_tunnel]") {
    const auto text = text_of_run(quick(), {.command = {"sh", "-c", "echo {dir}; exit 3"}});
    CHECK_THAT(text, ContainsSubstring("/test-tunnel-") && !ContainsSubstring("files:"));
}

TEST_CASE("halves of a tool can meet at two endpoints", "[command_tunnel]") {
    const auto text = text_of_run(
        quick({}), {.command = forwarder("listen", "inner2"),
                    .companions = {forwarder("inner", "target"), forwarder("inner2", "inner")}});
    CHECK(text == "passed");
    // The ports are others than that of {source.…}.
    const auto ports = text_of_run(
        quick(), {.command = {"sh", "-c",
                              "for port in {source.port} {inner.port} {inner2.port} {target.port} "
                              "{listen.port}; do echo $port; done | sort -u | wc -l; exit 3"},
                  .companions = {{"sleep", "60"}},
                  .readiness = {{.sign = Sign::none}}});
    CHECK_THAT(ports, ContainsSubstring("output:   5\n"));
}

TEST_CASE("a tool can be told a name of its target", "[command_tunnel]") {
    auto command = forwarder("listen", "target");
    std::replace(command.begin(), command.end(), std::string{"{target.address}"},
                 std::string{"{target.name}"});
    std::replace(command.begin(), command.end(), std::string{"forward"}, std::string{"by-name"});
    if (!host_name_of(Address::parse("192.0.2.1"))) {
        SKIP("this private network has no names");
    }
    CHECK(text_of_run(quick({}), {.command = command}) == "passed");
}

TEST_CASE("a tool may listen for other purposes where it is told to", "[command_tunnel]") {
    auto config = quick({"4-6"});
    config.only = {"address.binding"};
    const auto notes_of = [&](const std::string& port) {
        Command command{CHILD_PROGRAM, "fork",   "bind", "{inner.address}", port, "listen",
                        "wait",        "parent", "exec"};
        const auto rest = forwarder("listen", "target");
        command.insert(command.end(), rest.begin(), rest.end());
        const auto report = CommandTunnel{config, {.command = command}}.run_all();
        INFO(report.text());
        CHECK(report.passed());
        return report.notes().size();
    };
    CHECK(notes_of("{inner.port}") == 0);
    CHECK(notes_of("{inner2.port}") == 0);
    CHECK(notes_of("{source.port}") == 0);
    CHECK(notes_of("0") == 1); // one that the system chooses
}

TEST_CASE("a companion is awaited by what it writes", "[command_tunnel]") {
    const auto tool = script("test -e {dir}/made || exit 9");
    const std::vector<Command> companions{
        {"sh", "-c", "sleep 0.3; touch {dir}/made; echo is {listen.port} ready; exec sleep 60"}};
    const std::vector<Readiness> readiness{{.text = "is {listen.port} ready"}};
    CHECK(
        text_of_run(quick(), {.command = tool, .companions = companions, .readiness = readiness}) ==
        "passed");
    auto impatient = quick();
    impatient.timeouts.start = 200ms;
    const auto text = text_of_run(
        impatient,
        {.command = tool, .companions = {{"sleep", "60"}}, .readiness = {{.text = "ready"}}});
    CHECK_THAT(text, ContainsSubstring("sleep did not write 'ready' for " +
                                       text_of(scaled(impatient.timeouts.start))));
}

TEST_CASE("a companion is awaited where it receives UDP", "[command_tunnel]") {
    const auto tool = script("test -e {dir}/made || exit 9");
    const std::vector<Readiness> readiness{{.sign = Sign::udp, .text = "{inner.endpoint}"}};
    for (const auto* const address : {"{inner.address}", "{inner.4=0.0.0.0}{inner.6=::}"}) {
        const std::vector<Command> companions{{CHILD_PROGRAM, "sleep", "300", "create",
                                               "{dir}/made", "bind-udp", address, "{inner.port}",
                                               "wait"}};
        CHECK(text_of_run(quick({"4-4", "4-6"}),
                          {.command = tool, .companions = companions, .readiness = readiness}) ==
              "passed");
    }
    auto impatient = quick();
    impatient.timeouts.start = 300ms;
    const std::vector<Command> elsewhere{
        {CHILD_PROGRAM, "bind-udp", "{inner.address}", "{inner2.port}", "wait"}};
    CHECK_THAT(
        text_of_run(impatient, {.command = tool, .companions = elsewhere, .readiness = readiness}),
        ContainsSubstring("child did not receive UDP at "));
}

TEST_CASE("each companion is awaited before the next one is started", "[command_tunnel]") {
    const auto slow = [](const std::string& before, const std::string& file,
                         const Command& command) {
        std::string words = before + " sleep 0.2; touch {dir}/" + file + "; exec";
        for (const auto& word : command) {
            words += " " + word;
        }
        return Command{"sh", "-c", words};
    };
    const CommandOptions options{
        .command = forwarder("listen", "inner2"),
        .companions = {slow("", "first", forwarder("inner", "target")),
                       slow("test -e {dir}/first || exit 9;", "second",
                            forwarder("inner2", "inner"))},
        .readiness = {{.companion = 0, .sign = Sign::tcp, .text = "{inner.endpoint}"},
                      {.companion = 1, .sign = Sign::tcp, .text = "{inner2.endpoint}"}}};
    CHECK(text_of_run(quick(), options) == "passed");
}

TEST_CASE("a companion need not be awaited", "[command_tunnel]") {
    // The tool itself uses the endpoint; its companion never listens there.
    CommandOptions options{.command = script(": {inner.port}"),
                           .companions = {{"sleep", "60"}},
                           .readiness = {{.sign = Sign::none}}};
    CHECK(text_of_run(quick(), options) == "passed");
    options.readiness.clear();
    auto impatient = quick();
    impatient.timeouts.start = 200ms;
    CHECK_THAT(text_of_run(impatient, options),
               ContainsSubstring("since {inner.port} or {inner.endpoint} is used, a companion has "
                                 "to listen there for TCP") &&
                   ContainsSubstring("sleep did not listen at "));
    // An address alone is no endpoint.
    options.command = script(": {inner.address}");
    CHECK(text_of_run(impatient, options) == "passed");
}

TEST_CASE("where a companion listens instead is told", "[command_tunnel]") {
    auto impatient = quick();
    impatient.timeouts.start = 500ms;
    const auto text =
        text_of_run(impatient, {.command = forwarder("listen", "inner"),
                                .companions = {{CHILD_PROGRAM, "bind", "{inner.address}",
                                                "{inner2.port}", "listen", "wait"}}});
    CHECK_THAT(text, ContainsSubstring("child did not listen at ") &&
                         ContainsSubstring("; the tool listens at "));
}
