#include <test_tunnel/private_network/host_names.hpp>
#include <test_tunnel/run/command_tunnel.hpp>
#include <test_tunnel/run/placeholders.hpp>

#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "support/network.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

/// A command that is a tunnel: the forwarder of tests/faulty with one of its behaviours.
Command forwarder(const std::string& behaviour = "none", const std::string& mode = "forward") {
    return {FAULTY_TUNNEL,      "{listen.address}", "{listen.port}", "{source.address}",
            "{target.address}", "{target.port}",    behaviour,       mode};
}

ConfigProg quick() {
    ConfigProg config;
    config.only = {"hello"};
    return config;
}

void check_refused(CommandOptions options, const std::string& text) {
    CHECK_THROWS_MATCHES(CommandTunnel(quick(), std::move(options)), InvalidConfig,
                         MessageMatches(ContainsSubstring(text)));
}

} // namespace

TEST_CASE("a command line is taken apart as a shell does", "[command_tunnel]") {
    CHECK(split_command("a  b\tc\n") == Command{"a", "b", "c"});
    CHECK(split_command(R"(a 'b c' "d e"f '' "")") == Command{"a", "b c", "d ef", "", ""});
    CHECK(split_command(R"(a\ b \'c "d\"e\\f\g" '\h')") ==
          Command{"a b", "'c", "d\"e\\f\\g", "\\h"});
    CHECK(split_command("$HOME;x|y *") == Command{"$HOME;x|y", "*"});
    CHECK(split_command(R"("\$a \`b")") == Command{"$a `b"});
    // A backslash at the end of a line continues it, within double quotes, too.
    CHECK(split_command("a \\\n  b\\\nc \"d\\\ne\" 'f\\\ng'") ==
          Command{"a", "bc", "de", "f\\\ng"});
    for (const auto* const text : {"", "  ", "'a", "\"a", "a\\", "\"a\\", "\\\n"}) {
        CHECK_THROWS_AS(split_command(text), InvalidConfig);
    }
}

TEST_CASE("what can't be is refused before anything is started", "[command_tunnel]") {
    check_refused({}, "there is no command");
    check_refused({.command = {"x"}, .companions = {{}}}, "without a program");
    check_refused({.command = {""}}, "without a program");
    check_refused({.command = {"x"}, .companions = {{"", "y"}}}, "without a program");
    check_refused({.command = {"x", "{listen.prt}"}}, "did you mean {listen.port}?");
    check_refused({.command = {"x"}, .companions = {{"y", "{dri}"}}}, "did you mean {dir}?");
    check_refused({.command = {"x"}, .files = {{"a.conf", "port = {listen.prt}"}}},
                  "a.conf: {listen.prt} is no placeholder");
    check_refused({.command = {"x", "{config}"}}, "there is no configuration file");
    check_refused({.command = {"x", "{config}"},
                   .companions = {{"y", "{config}"}},
                   .files = {{"a", ""}, {"b", ""}}},
                  "{config} is {dir}/a in all command lines");
    check_refused({.command = {"x"}, .files = {{"a", ""}}, .copies = {"/etc/a"}}, "/etc/a");
    check_refused({.command = {"x"}, .copies = {"/nonexistent/a"}},
                  "copy '/nonexistent/a': No such file or directory");
    check_refused({.command = {"x"}, .copies = {"/dev/null"}}, "'/dev/null': it is no file");
    check_refused({.command = {"x"}, .copies = {"/"}}, "copy '/'");
    check_refused({.command = {"x"}, .copies = {"/usr/bin", "/bin/"}}, "both be {dir}/bin");
    check_refused({.command = {"x"}, .environment = {{"", "y"}}}, "'' is no name of a variable");
    check_refused({.command = {"x"}, .environment = {{"A=B", "y"}}}, "'A=B' is no name");
    check_refused({.command = {"x"}, .environment = {{"A", "{listen.prt}"}}},
                  "A: {listen.prt} is no placeholder");
    check_refused({.command = {"{listen.4=x}", "y"}}, "starts nothing");
    check_refused({.command = {"x"}, .readiness = {{.text = "ready"}}}, "number 1 of 0");
    const std::vector<Command> companions{{"y"}};
    check_refused({.command = {"x"}, .companions = companions, .readiness = {{.companion = 1}}},
                  "number 2 of 1");
    check_refused({.command = {"x"}, .companions = companions, .readiness = {{.text = ""}}},
                  "an empty text can't be awaited");
    for (const auto* const text : {"", "80", "::1", "127.0.0.1:", "127.0.0.1:0", "x:80", "[::1:80",
                                   "127.0.0.1:65536", "{inner.address}"}) {
        check_refused({.command = {"x"},
                       .companions = companions,
                       .readiness = {{.sign = Readiness::Sign::tcp, .text = text}}},
                      "is no endpoint");
    }
    check_refused({.command = {"x"}, .files = {{"a", ""}, {"a", ""}}}, "both be {dir}/a");
    check_refused({.command = {"x"}, .by_name = true}, "by name only in a handshake");
    check_refused({.command = {"x", "{pid}"}}, "{pid} is no placeholder");
    check_refused({.command = {"x"}, .reload_command = {"y", "{dri}"}}, "did you mean {dir}?");
    check_refused({.command = {"x"}, .reload_successor = {"", "{pid}"}}, "without a program");
    check_refused({.command = {"x"}, .reload_signal = 1, .reload_command = {"y"}}, "in one way");
}

TEST_CASE("a tool is named by its program", "[command_tunnel]") {
    const CommandTunnel tunnel{{}, {.command = {"/usr/bin/tool", "{listen.port}"}}};
    CHECK(tunnel.slug() == "tool");
    CHECK(tunnel.config().prog == "/usr/bin/tool");
    CHECK(CommandTunnel{{}, {.command = forwarder(), .name = "mine"}}.slug() == "mine");
}

TEST_CASE("a tool that is not told from where to connect may connect from anywhere",
          "[command_tunnel]") {
    const auto is_told = [](CommandOptions options) {
        return CommandTunnel{{}, std::move(options)}.is_told_source();
    };
    CHECK(is_told({.command = forwarder()}));
    CHECK(is_told({.command = {"x", "{source.endpoint}"}}));
    CHECK(is_told({.command = {"x"}, .companions = {{"y", "{source.bracketed}"}}}));
    CHECK(is_told({.command = {"x"}, .files = {{"c", "from {source.address}"}}}));
    CHECK(is_told({.command = {"x"}, .environment = {{"FROM", "{source.address}"}}}));
    // A port, or a family, is no address.
    CHECK_FALSE(is_told({.command = {"x", "{source.port}", "{source.family}", "{source.4=-4}"}}));

    // What the system chooses.
    auto command = forwarder();
    command[3] = "{target.4=0.0.0.0}{target.6=::}";
    const auto report = CommandTunnel{quick(), {.command = command}}.run_all();
    INFO(report.text());
    CHECK(report.passed());
    REQUIRE(report.notes().size() == 1);
    CHECK(report.notes()[0].first ==
          "nothing tells it from which address to connect, so that it may be any");
    CHECK(report.undeclared().empty());
    CHECK(declared_traits(report.traits).empty());

    // What is declared is judged by that.
    const auto declared =
        CommandTunnel{quick(), {.command = command, .traits = {.binds_source = false}}}.run_all();
    CHECK(declared.passed());
    REQUIRE(declared.notes().size() == 1);
    CHECK_THAT(declared.notes()[0].first, ContainsSubstring("declared"));
}

TEST_CASE("SOCKS4 without a name is asked for IPv4 only", "[command_tunnel]") {
    const auto pairs = [&](const Socks4Options& socks4, bool by_name,
                           std::vector<std::string> wanted = {}) {
        ConfigProg config = quick();
        config.pairs = std::move(wanted);
        CommandTunnel tunnel{config, {.command = {"x"}, .protocol = socks4, .by_name = by_name}};
        std::vector<std::string> names;
        for (const auto& pair : tunnel.pairs()) {
            names.push_back(pair.name());
        }
        return names;
    };
    using Names = std::vector<std::string>;
    CHECK(pairs({}, false) == Names{"4→4", "6→4"});
    CHECK(pairs({}, true).size() == 4);
    CHECK(pairs({.name = "localhost"}, false).size() == 4);
    CHECK(pairs({}, false, {"6-4"}) == Names{"6→4"});
    CHECK_THROWS_MATCHES(
        pairs({}, false, {"6-4", "4-6"}), PairsMissing,
        MessageMatches(ContainsSubstring("has no IPv6 targets: 4→6 can't be tested")));
    if (support::in_private_network()) {
        support::disable_ipv6();
        CHECK(pairs({}, false) == Names{"4→4"});
    }
}

TEST_CASE("a tool that is given by its command line is tested on every pair", "[command_tunnel]") {
    const auto report = CommandTunnel{quick(), {.command = forwarder()}}.run_all();
    INFO(report.text());
    CHECK(report.passed());
    CHECK(report.pairs.size() == 4);
}

TEST_CASE("only the combinations that are asked for are tested", "[command_tunnel]") {
    auto config = quick();
    config.pairs = {"6-4", "4→4"};
    const auto report = CommandTunnel{config, {.command = forwarder()}}.run_all();
    CHECK(report.passed());
    REQUIRE(report.pairs.size() == 2);
    CHECK(report.pairs[0].pair.name() == "4→4");
    CHECK(report.pairs[1].pair.name() == "6→4");
    config.pairs = {"4-5"};
    CHECK_THROWS_MATCHES((CommandTunnel{config, {.command = forwarder()}}.run_all()), InvalidConfig,
                         MessageMatches(ContainsSubstring("'4-5' is no combination") &&
                                        ContainsSubstring("4→4, 4→6, 6→4, 6→6")));
}

TEST_CASE("a handshake is done as the options say, by name too", "[command_tunnel]") {
    const CommandOptions socks5{.command = forwarder("none", "socks5"),
                                .protocol = Socks5Options{}};
    CHECK(CommandTunnel{quick(), socks5}.run_all().passed());
    auto wrong = socks5;
    wrong.protocol = HttpConnectOptions{};
    auto config = quick();
    config.timeouts.io = 1s;
    config.pairs = {"4-4"};
    CHECK_FALSE(CommandTunnel{config, wrong}.run_all().passed());

    if (!host_name_of(Address::parse("192.0.2.1"))) {
        SKIP("this network has no names");
    }
    auto by_name = socks5;
    by_name.by_name = true;
    CommandTunnel tunnel{quick(), by_name};
    CHECK(std::get<Socks5Options>(tunnel.protocol()).name == ""); // one that is not known yet
    CHECK(tunnel.run_all().passed());
    CHECK(std::get<Socks5Options>(tunnel.protocol()).name == "ip6-1.test-tunnel.test");
}

TEST_CASE("a tool that is asked by name must find the target that was meant", "[command_tunnel]") {
    if (!host_name_of(Address::parse("192.0.2.1"))) {
        SKIP("this network has no names");
    }
    const auto report = CommandTunnel{
        quick(),
        {.command = {"microsocks", "-i", "{listen.address}", "-p", "{listen.port}", "-b",
                     "{source.address}"},
         .protocol = Socks5Options{},
         .by_name = true}}.run_all();
    INFO(report.text());
    CHECK(report.passed());
}

TEST_CASE("files are written with their placeholders, and removed with the tool",
          "[command_tunnel]") {
    auto config = quick();
    config.pairs = {"6-6"};
    // The tool is a script that is written, too; it says where it stands.
    CommandOptions options{
        .command = {"sh", "{config}"},
        .files = {{"run.sh", fmt::format("echo path {{dir}}; test -r {{dir}}/second || exit 9\n"
                                         "exec '{}' {{listen.address}} {{listen.port}} "
                                         "{{source.address}} {{target.address}} {{target.port}} "
                                         "changes-up forward\n",
                                         FAULTY_TUNNEL)},
                  {"second", "x"}}};
    const auto report = CommandTunnel{config, options}.run_all();
    REQUIRE(report.pairs.size() == 1);
    const auto& account = report.pairs[0].checks[0].account;
    const auto begin = account.find("path ") + 5;
    const auto path = account.substr(begin, account.find('\n', begin) - begin);
    INFO(account);
    CHECK_THAT(path, ContainsSubstring("/test-tunnel-"));
    CHECK_THAT(account, ContainsSubstring(path + "/second") && !ContainsSubstring("status 9"));
    struct stat status {};
    CHECK(::stat(path.c_str(), &status) == -1);
}

TEST_CASE("a companion is started first, and awaited where the halves meet", "[command_tunnel]") {
    auto config = quick();
    // One half listens where the other one connects; it takes its time.
    const Command inner{"sh", "-c",
                        fmt::format("for i in 1 2 3 4 5 6 7 8 9; do kill -0 $$; done; exec '{}' "
                                    "{{inner.address}} {{inner.port}} {{source.address}} "
                                    "{{target.address}} {{target.port}} none forward",
                                    FAULTY_TUNNEL)};
    const Command outer{FAULTY_TUNNEL,     "{listen.address}", "{listen.port}", "{source.address}",
                        "{inner.address}", "{inner.port}",     "none",          "forward"};
    const auto report = CommandTunnel{config, {.command = outer, .companions = {inner}}}.run_all();
    INFO(report.text());
    CHECK(report.passed());

    config.timeouts.start = 200ms;
    config.pairs = {"4-4"};
    const auto deaf =
        CommandTunnel{config, {.command = outer, .companions = {{"sleep", "60"}}}}.run_all();
    CHECK_THAT(deaf.text(), ContainsSubstring("sleep did not listen at "));
    const auto dead =
        CommandTunnel{config, {.command = outer, .companions = {{"false"}}}}.run_all();
    CHECK_THAT(dead.text(), ContainsSubstring("false exited with status 1"));
}

TEST_CASE("a PROXY header is demanded of a tool that is to send one", "[command_tunnel]") {
    auto config = quick();
    config.pairs = {"4-4"};
    auto impatient = config;
    impatient.timeouts.io = 1s;
    const auto none =
        CommandTunnel{impatient, {.command = forwarder(), .server_header = ProxyVersion::v2}}
            .run_all();
    INFO(none.text());
    CHECK_FALSE(none.passed());
    // A forwarder passes on what its client sends first: the client's own header is a true one.
    const auto passed_on = CommandTunnel{
        config,
        {.command = forwarder(),
         .client_header = ProxyVersion::v2,
         .server_header =
             ProxyVersion::v2}}.run_all();
    INFO(passed_on.text());
    CHECK(passed_on.passed());
    const auto other = CommandTunnel{impatient,
                                     {.command = forwarder(),
                                      .client_header = ProxyVersion::v1,
                                      .server_header = ProxyVersion::v2}}
                           .run_all();
    CHECK_FALSE(other.passed());
}
