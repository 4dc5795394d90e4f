#include <spdlog/sinks/ostream_sink.h>
#include <test_tunnel/tunnel.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

#include <sys/resource.h>

#include "support/any_program.hpp"
#include "support/child.hpp"
#include "support/faulty_tunnel.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using support::AnyProgram;
using support::FaultyTunnel;
using support::has_children;

namespace {

ConfigProg quiet_config() {
    ConfigProg config;
    config.level = Level::hello;
    config.log->set_level(spdlog::level::off);
    return config;
}

ConfigProg impatient_config() {
    auto config = quiet_config();
    config.timeouts.connect = 300ms;
    config.timeouts.io = 300ms;
    config.timeouts.stop = 300ms;
    config.timeouts.linger = 300ms;
    return config;
}

Pair any_pair(const Config& config) {
    return discover_pairs(config).front();
}

/// A tool that never connects does not say from where, either.
std::string mode_for(std::string_view fault) {
    return fault == "never-connects" ? "forward" : "announce";
}

CheckResult result_of(FaultyTunnel& tunnel) {
    const auto result = tunnel.run_pair(any_pair(tunnel.config()));
    const auto failed =
        std::find_if(result.checks.begin(), result.checks.end(),
                     [](const CheckResult& check) { return check.outcome == Outcome::failed; });
    REQUIRE(failed != result.checks.end());
    return *failed;
}

std::vector<std::string> notes_of(const PairResult& result) {
    std::vector<std::string> texts;
    for (const auto& check : result.checks) {
        for (const auto& note : check.notes) {
            texts.push_back(note.text);
        }
    }
    return texts;
}

std::string failure_text(TestTunnel& tunnel) {
    try {
        tunnel.run();
    } catch (const TunnelFailure& failure) {
        return failure.what();
    }
    return "(it passed)";
}

/// A correct tunnel whose handshake is replaced.
class HookedTunnel : public FaultyTunnel {
public:
    explicit HookedTunnel(std::function<void(Socket&)> hook)
        : FaultyTunnel{impatient_config(), "none"}, hook_{std::move(hook)} {}

    std::optional<Endpoint> handshake(Socket& client, const AddrPort& /*svc_listen*/) override {
        hook_(client);
        return std::nullopt;
    }

private:
    std::function<void(Socket&)> hook_;
};

std::ptrdiff_t open_descriptors() {
    const std::filesystem::directory_iterator entries{"/proc/self/fd"};
    return std::distance(begin(entries), end(entries));
}

/// Both ends of a connection that no tunnel is in.
struct Direct {
    Socket client;
    Socket server;
};

Direct direct_connection() {
    const Endpoint any_port{Address::parse("127.0.0.1"), 0};
    auto listener = bind_to(impatient_config(), any_port);
    listener.listen();
    Socket client{Family::ipv4, 300ms};
    client.connect(listener.local());
    return {std::move(client), listener.accept()};
}

} // namespace

TEST_CASE("a correct tunnel passes on all four combinations", "[tunnel]") {
    const auto behaviour = GENERATE("none", "slow-start", "slow-stop", "single-bytes", "noisy",
                                    "no-newline", "slow-child", "wildcard", "serves-once");
    INFO(behaviour);
    FaultyTunnel tunnel{quiet_config(), behaviour};
    const auto report = tunnel.run_all();
    INFO(report.text());
    CHECK(report.passed());
    REQUIRE(report.pairs.size() == 4);
    CHECK(report.pairs[0].pair.name() == "4→4");
    CHECK(report.pairs[1].pair.name() == "4→6");
    CHECK(report.pairs[2].pair.name() == "6→4");
    CHECK(report.pairs[3].pair.name() == "6→6");
    CHECK_FALSE(has_children());
}

namespace {

struct Fault {
    std::string name;
    std::string step;
    std::string actual;
};

} // namespace

TEST_CASE("every fault is caught, at its step and for its reason", "[tunnel]") {
    const auto fault = GENERATE(
        Fault{"exits", "connect", "faulty_tunnel exited with status 4, "},
        Fault{"daemonizes", "", "; a tool under test must stay in the foreground"},
        Fault{"crashes-at-start", "connect", "faulty_tunnel was killed by signal 11 (Segmentation"},
        Fault{"bound-but-not-listening", "connect", "every connection was refused for "},
        Fault{"never-listens", "connect", "every connection was refused for "},
        Fault{"closes-client", "handshake", "0 bytes, then end of stream"},
        Fault{"resets-client", "", "Connection reset by peer"},
        Fault{"never-connects", "accept", "waiting for the tool to connect to the server"},
        Fault{"wrong-source", "source", "a connection from "},
        Fault{"lying-address", "source", "a connection from "},
        Fault{"lying-port", "source", "a connection from "},
        Fault{"changes-down", "hello from the server", "different from offset 38 on"},
        Fault{"changes-up", "hello from the client", "different from offset 38 on"},
        Fault{"loses-down", "hello from the server", "38 bytes, then: nothing for "},
        Fault{"loses-up", "hello from the client", "38 bytes, then: nothing for "},
        Fault{"adds-down", "", "1 byte\n00000000  21"},
        Fault{"adds-up", "", "1 byte\n00000000  21"},
        Fault{"doubles-up", "", "39 bytes\n00000000  48 65 6c 6c 6f"},
        Fault{"reorders-down", "hello from the server", "different from offset 0 on"},
        Fault{"stalls-down", "hello from the server", "0 bytes, then: nothing for "},
        Fault{"stalls-up", "hello from the client", "0 bytes, then: nothing for "},
        Fault{"crashes-in-transfer", "hello from the client",
              "faulty_tunnel was killed by signal 11"},
        Fault{"exits-in-transfer", "hello from the client", "faulty_tunnel exited with status 7"},
        Fault{"adds-at-end", "end of stream", "1 byte\n00000000  21"},
        Fault{"resets-at-end", "end of stream", "Connection reset by peer"},
        Fault{"never-ends", "end of stream", "nothing for "},
        Fault{"exits-after-transfer", "", "faulty_tunnel exited with status 5"},
        Fault{"crashes-after-transfer", "", "faulty_tunnel was killed by signal 11"},
        Fault{"leaves-child", "stop", "faulty_tunnel left 1 behind: faulty_tunnel ("},
        Fault{"alarms", "stop", "==1==ERROR: AddressSanitizer: heap-use-after-free"},
        Fault{"ignores-sigterm", "stop", "faulty_tunnel had to be killed by SIGKILL"},
        Fault{"crashes-on-sigterm", "stop", "faulty_tunnel was killed by signal 11"});
    INFO(fault.name);
    FaultyTunnel tunnel{impatient_config(), fault.name, mode_for(fault.name)};
    const auto result = result_of(tunnel);
    INFO(result.account);
    CHECK(result.outcome == Outcome::failed);
    if (!fault.step.empty()) { // else it depends on who is faster
        CHECK(result.step == fault.step);
    }
    CHECK_THAT(result.actual, ContainsSubstring(fault.actual));
    CHECK_FALSE(has_children());
}

TEST_CASE("a greeting that nobody asked for is caught", "[tunnel]") {
    FaultyTunnel tunnel{impatient_config(), "greets-early", "forward"};
    const auto result = result_of(tunnel);
    CHECK(result.outcome == Outcome::failed);
    // Seen while the tool's connection is awaited, or as what should have been the server's.
    CHECK_THAT(result.actual, ContainsSubstring("32 32 30 20"));
}

TEST_CASE("a tool that breaks in mid-transfer is told from a broken connection", "[tunnel]") {
    const auto [fault, status] = GENERATE(
        std::pair{"crashes-in-transfer", "was killed by signal 11 (Segmentation fault) by itself"},
        std::pair{"exits-in-transfer", "exited with status 7 by itself"});
    FaultyTunnel tunnel{impatient_config(), fault};
    CHECK_THAT(result_of(tunnel).account, ContainsSubstring(status));
}

TEST_CASE("an odd exit status after SIGTERM is noted", "[tunnel]") {
    FaultyTunnel tunnel{impatient_config(), "status-3-on-sigterm"};
    const auto result = tunnel.run_pair(any_pair(tunnel.config()));
    CHECK(result.passed());
    CHECK(notes_of(result) == std::vector<std::string>{"faulty_tunnel exited with status 3 after "
                                                       "SIGTERM (undeclared: "
                                                       "Traits::exit_statuses)"});
    auto config = impatient_config();
    config.level = Level::strict;
    config.only = {"stop.idle"};
    FaultyTunnel strict{config, "status-3-on-sigterm"};
    CHECK_THAT(result_of(strict).actual, ContainsSubstring("status 3 after SIGTERM (undeclared: "));
}

TEST_CASE("an exit status that is declared is not noted, another one is a failure", "[tunnel]") {
    class Declared : public FaultyTunnel {
    public:
        using FaultyTunnel::FaultyTunnel;
        Traits traits() const override { return {.exit_statuses = {3}}; }
    };
    Declared declared{impatient_config(), "status-3-on-sigterm"};
    CHECK(notes_of(declared.run_pair(any_pair(declared.config()))).empty());
    Declared other{impatient_config(), "none"};
    const auto failed = result_of(other);
    CHECK_THAT(failed.expected, ContainsSubstring("that is declared (Traits::exit_statuses): 3"));
    CHECK_THAT(failed.actual, ContainsSubstring("exited with status 0 after SIGTERM"));
    CHECK_THAT(failed.account, ContainsSubstring("status:   exited with status 0"));
}

TEST_CASE("a tool that listens where it was not told to is reported", "[tunnel]") {
    auto config = impatient_config();
    config.level = Level::standard;
    config.only = {"address.binding"};
    FaultyTunnel tunnel{config, "wildcard"};
    const auto pair = any_pair(tunnel.config());
    const auto result = tunnel.run_pair(pair);
    CHECK(result.passed());
    REQUIRE(notes_of(result).size() == 1);
    CHECK_THAT(notes_of(result).front(),
               ContainsSubstring("listening only where it was told to, not at 0.0.0.0") &&
                   ContainsSubstring("no (undeclared: Traits::binds_listener = false)"));
}

TEST_CASE("a stranger on the tool's port is not taken for the tool", "[tunnel]") {
    FaultyTunnel tunnel{impatient_config(), "never-listens"};
    const auto pair = any_pair(tunnel.config());
    auto stranger = bind_to(tunnel.config(), pair.proxy_listen.listen());
    stranger.listen();
    const auto result = tunnel.run_pair(pair).checks.at(0);
    CHECK(result.outcome == Outcome::failed);
    CHECK(result.step == "connect");
    CHECK_THAT(result.actual, ContainsSubstring(fmt::format("(process {}) at ", ::getpid())) &&
                                  ContainsSubstring(", which is another process"));
}

TEST_CASE("a source address that is declared as not bound is reported, not demanded", "[tunnel]") {
    class Declared : public FaultyTunnel {
    public:
        using FaultyTunnel::FaultyTunnel;
        Traits traits() const override { return {.binds_source = false}; }
    };
    SECTION("and it is not bound") {
        Declared tunnel{impatient_config(), "wrong-source"};
        const auto result = tunnel.run_pair(any_pair(tunnel.config()));
        CHECK(result.passed());
        CHECK(notes_of(result) ==
              std::vector<std::string>{"connecting from the address that it was given: no "
                                       "(declared: Traits::binds_source = false)"});
    }
    SECTION("but it is bound") {
        Declared tunnel{impatient_config(), "none"};
        const auto result = tunnel.run_pair(any_pair(tunnel.config()));
        CHECK(result.passed());
        CHECK(notes_of(result) ==
              std::vector<std::string>{"connecting from the address that it was given: yes, better "
                                       "than declared (Traits::binds_source = false)"});
    }
}

TEST_CASE("data without end can't outlast the time for the check", "[tunnel]") {
    auto config = impatient_config();
    config.timeouts.check = 500ms;
    FaultyTunnel tunnel{config, "floods"};
    const auto result = result_of(tunnel);
    CHECK(result.step == "handshake");
    CHECK_THAT(result.actual, ContainsSubstring(" for one check were over while waiting for data"));
}

TEST_CASE("a program that ends at once fails every pair, with its status", "[tunnel]") {
    const auto [program, status] = GENERATE(std::pair{"/bin/false", 1}, std::pair{"/bin/true", 0});
    AnyProgram tunnel{quiet_config(), {program}};
    const auto text = failure_text(tunnel);
    CHECK_THAT(text, ContainsSubstring("any: 0 of 4 combinations passed"));
    CHECK_THAT(text, ContainsSubstring(fmt::format("exited with status {}, ", status)));
    CHECK_THAT(text, ContainsSubstring(fmt::format("command:  {}\n", program)));
}

TEST_CASE("a program that never listens fails at the connect deadline", "[tunnel]") {
    auto config = impatient_config();
    config.timeouts.connect = 50ms;
    SECTION("a silent one") {
        AnyProgram tunnel{config, {"sleep", "100"}};
        CHECK_THAT(failure_text(tunnel), ContainsSubstring("every connection was refused for ") &&
                                             ContainsSubstring("output:   (nothing)"));
    }
    SECTION("one that prints without end") {
        AnyProgram tunnel{config, {"yes"}};
        CHECK_THAT(failure_text(tunnel),
                   ContainsSubstring("every connection was refused for ") &&
                       ContainsSubstring(" bytes before ...]\n            y\n"));
    }
    CHECK_FALSE(has_children());
}

TEST_CASE("a program that can't be run is an error of the set-up that names it", "[tunnel]") {
    const auto directory =
        std::filesystem::temp_directory_path() / fmt::format("test-tunnel-{}", ::getpid());
    std::filesystem::create_directory(directory);
    const auto text_file = (directory / "notes.txt").string();
    std::ofstream{text_file} << "no program\n";

    AnyProgram missing{quiet_config(), {"/no/such/tool"}};
    CHECK_THROWS_AS(missing.run(), ToolMissing);
    AnyProgram unknown{quiet_config(), {"no-such-tool"}};
    CHECK_THROWS_WITH(unknown.run(), ContainsSubstring("no-such-tool: no such program in "));
    AnyProgram a_directory{quiet_config(), {directory.string()}};
    CHECK_THROWS_WITH(a_directory.run(), directory.string() + " is a directory, not a program");
    AnyProgram a_text{quiet_config(), {text_file}};
    CHECK_THROWS_WITH(a_text.run(), ContainsSubstring(text_file + " is not executable (mode 0"));
    CHECK_THROWS_AS(a_text.run(), ToolNotExecutable);
    std::filesystem::remove_all(directory);
}

TEST_CASE("a failure tells the whole story", "[tunnel]") {
    FaultyTunnel tunnel{impatient_config(), "exits"};
    const auto account = result_of(tunnel).account;
    CHECK_THAT(account, ContainsSubstring("faulty 4→4 / hello: failed at step \"connect\"\n"));
    CHECK_THAT(account, ContainsSubstring("expected: the tool accepts a connection at "));
    CHECK_THAT(account, ContainsSubstring("actual:   faulty_tunnel exited with status 4, "));
    CHECK_THAT(account, ContainsSubstring("pair:     client "));
    CHECK_THAT(account, ContainsSubstring("ms  client      tool        server\n"));
    CHECK_THAT(account, ContainsSubstring("  ------------>                  connect  <==\n"));
    CHECK_THAT(account, ContainsSubstring("again:    "));
    CHECK_THAT(account, ContainsSubstring(fmt::format("command:  {} ", FAULTY_TUNNEL)));
    CHECK_THAT(account, ContainsSubstring("status:   exited with status 4 by itself"));
    CHECK_THAT(account, ContainsSubstring("stderr:   can't do it"));
}

TEST_CASE("a failure with a telling pattern comes with a guess", "[tunnel]") {
    const auto [fault, guess] = GENERATE(
        std::pair{"wrong-source", "it did not bind its outgoing side at all"},
        std::pair{"listen-source", "it bound its outgoing side to the address on which it listens"},
        std::pair{"never-connects", "the tool took the connection, but never connected onwards"},
        std::pair{"never-speaks", "each of the two may be waiting for the other to speak"},
        std::pair{"never-ends", "the tool does not pass the end of a stream on"},
        std::pair{"port-in-use", "the port is already in use by another process"},
        std::pair{"daemonizes", "faulty_tunnel went into the background"});
    INFO(fault);
    FaultyTunnel tunnel{impatient_config(), fault, mode_for(fault)};
    const auto pairs = discover_pairs(tunnel.config());
    CHECK_THAT(tunnel.run_pair(pairs.at(0)).checks.at(0).account,
               ContainsSubstring(fmt::format("\n  guess:    {}", guess)));
}

TEST_CASE("a failure names the files of the tool, and keeps them on request", "[tunnel]") {
    class Configured : public FaultyTunnel {
    public:
        using FaultyTunnel::FaultyTunnel;
        Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override {
            TempDir directory;
            file = directory.write("tool.conf", "x = 1\n");
            auto server = FaultyTunnel::spawn_server(proxy_listen, svc_listen);
            server.add(std::move(directory));
            return server;
        }
        std::string file;
    };
    auto config = impatient_config();
    config.keep = GENERATE(false, true);
    Configured tunnel{config, "changes-up"};
    const auto result = result_of(tunnel);
    CHECK_THAT(result.account, ContainsSubstring("\n  files:    " + tunnel.file + "\n"));
    CHECK((result.account.find("(removed; Config::keep leaves them)") == std::string::npos) ==
          config.keep);
    CHECK(std::filesystem::exists(tunnel.file) == config.keep);
    std::filesystem::remove_all(std::filesystem::path{tunnel.file}.parent_path());
    Configured working{config, "none"};
    CHECK(working.run_pair(any_pair(config)).passed());
    CHECK_FALSE(std::filesystem::exists(working.file));
}

TEST_CASE("run throws what run_all reports", "[tunnel]") {
    FaultyTunnel tunnel{impatient_config(), "changes-down"};
    try {
        tunnel.run();
        FAIL("it passed");
    } catch (const TunnelFailure& failure) {
        CHECK(failure.report().pairs.size() == 4);
        CHECK(failure.report().passed_pairs() == 0);
        CHECK(failure.report().text() == failure.what());
    }
}

TEST_CASE("what a hook throws fails the pair", "[tunnel]") {
    HookedTunnel tunnel{[](Socket&) { throw std::runtime_error{"no such dance"}; }};
    const auto result = result_of(tunnel);
    CHECK(result.outcome == Outcome::failed);
    CHECK(result.step == "handshake");
    CHECK(result.actual == "no such dance");
}

TEST_CASE("a tool that serves one connection and ends passes, and that is noted", "[tunnel]") {
    FaultyTunnel tunnel{impatient_config(), "serves-once"};
    for (int i = 0; i < 5; ++i) { // not by chance
        const auto result = tunnel.run_pair(any_pair(tunnel.config()));
        CHECK(result.passed());
        CHECK(notes_of(result) ==
              std::vector<std::string>{"a further connection when the first one has ended: no "
                                       "(undeclared: Traits::serves_again = false)"});
        CHECK(result.count(Outcome::not_applicable) == 1); // it can't be stopped
    }
}

TEST_CASE("a tool that connects onwards only when the client has spoken can be tested",
          "[tunnel]") {
    class LazyTunnel : public FaultyTunnel {
    public:
        LazyTunnel() : FaultyTunnel{impatient_config(), "lazy"} {}

    protected:
        Connection connect(PairRun& run) override {
            auto client = connect_client(run);
            client.write("Hello");
            auto server = accept(run, client);
            verify_source(run, server.peer(), handshake(client, run.pair().svc_listen));
            expect_read(server, "Hello", "client → server");
            return {std::move(client), std::move(server)};
        }
    };
    LazyTunnel lazy;
    CHECK(lazy.run_all().passed());
    FaultyTunnel hasty{impatient_config(), "lazy"};
    CHECK_FALSE(hasty.run_all().passed());
}

TEST_CASE("a check of one's own can be added, and make many connections", "[tunnel]") {
    class ManyTunnel : public FaultyTunnel {
    public:
        ManyTunnel() : FaultyTunnel{impatient_config(), "none"} {}

        std::vector<Check> checks() const override {
            auto result = FaultyTunnel::checks();
            result.insert(result.begin() + 1, {.id = "own.five",
                                               .title = "five connections in a row",
                                               .level = Level::hello,
                                               .run = [](PairRun& run) {
                                                   const int before = run.connections();
                                                   for (int i = 0; i < 5; ++i) {
                                                       auto connection = run.connect();
                                                       run.round_trip(connection);
                                                   }
                                                   CHECK(run.connections() == before + 5);
                                               }});
            return result;
        }
    };
    ManyTunnel tunnel;
    const auto report = tunnel.run_all();
    INFO(report.text());
    CHECK(report.passed());
    CHECK(report.pairs.at(0).checks.at(1).id == "own.five");
}

TEST_CASE("an answer that can't be understood fails the pair", "[tunnel]") {
    HookedTunnel tunnel{[](Socket&) { Address::parse("garbage"); }};
    const auto result = result_of(tunnel);
    CHECK(result.outcome == Outcome::failed);
    CHECK(result.step == "handshake");
    CHECK_THAT(result.account, ContainsSubstring("'garbage' is no IPv4 or IPv6 address"));
}

TEST_CASE("what a tool has said can't reach the terminal through the account", "[tunnel]") {
    HookedTunnel tunnel{[](Socket&) { throw Unexpected{"a reply", "\x1b[2J"}; }};
    CHECK_THAT(result_of(tunnel).account, ContainsSubstring("actual:   \\x1b[2J"));
}

#ifndef __SANITIZE_ADDRESS__ // the sanitizers need descriptors of their own
TEST_CASE("a lack of descriptors is not the tool's failure", "[tunnel]") {
    FaultyTunnel tunnel{quiet_config(), "none"};
    const auto pair = any_pair(tunnel.config());
    rlimit usual{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &usual) == 0);
    auto limit = usual;
    limit.rlim_cur = static_cast<rlim_t>(open_descriptors() + 2);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK_THROWS_WITH(tunnel.run_pair(pair), ContainsSubstring("Too many open files"));
    CHECK_THROWS_AS(tunnel.run_pair(pair), SetupError);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &usual) == 0);
}
#endif

TEST_CASE("a stranger on the server's port is not the tool's failure", "[tunnel]") {
    FaultyTunnel tunnel{quiet_config(), "none"};
    const auto pair = any_pair(tunnel.config());
    auto squatter = bind_to(tunnel.config(), pair.svc_listen.listen());
    squatter.listen();
    CHECK_THROWS_AS(tunnel.run_pair(pair), SetupError);
}

TEST_CASE("a pair of which nothing was checked has not passed", "[tunnel]") {
    PairResult result{};
    CHECK_FALSE(result.passed());
    result.checks.push_back({.id = "hello", .outcome = Outcome::skipped});
    CHECK_FALSE(result.passed());
    CHECK_FALSE(Report{"tool", {result}}.passed());
    CHECK_FALSE(Report{"tool", {}}.passed());
    result.checks.push_back({.id = "hello", .outcome = Outcome::passed});
    CHECK(Report{"tool", {result}}.passed());
}

TEST_CASE("what is not the tool's fault passes through, and the tool is gone", "[tunnel]") {
    struct NotAnException {};
    HookedTunnel foreign{[](Socket&) { throw NotAnException{}; }};
    CHECK_THROWS_AS(foreign.run(), NotAnException);
    HookedTunnel setup{[](Socket&) { throw ToolMissing{"the other half"}; }};
    CHECK_THROWS_AS(setup.run(), ToolMissing);
    CHECK_FALSE(has_children());
}

TEST_CASE("runs leave no descriptor open", "[tunnel]") {
    FaultyTunnel working{quiet_config(), "none"};
    FaultyTunnel broken{impatient_config(), "changes-up"};
    working.run(); // what is opened once and for all is open now
    const auto before = open_descriptors();
    for (int i = 0; i < 10; ++i) {
        CHECK(working.run_all().passed());
        CHECK_FALSE(broken.run_all().passed());
    }
    CHECK(open_descriptors() == before);
}

TEST_CASE("a configuration without a logger is refused", "[tunnel]") {
    ConfigProg config;
    config.log = nullptr;
    CHECK_THROWS_AS(FaultyTunnel(config, "none"), InvalidConfig);
}

TEST_CASE("the log tells the story, and all details when verbose", "[tunnel]") {
    std::ostringstream story;
    auto config = quiet_config();
    config.log =
        std::make_shared<Logger>("story", std::make_shared<spdlog::sinks::ostream_sink_st>(story));
    config.log->set_pattern("%L %v");
    config.verbose = GENERATE(false, true);
    FaultyTunnel tunnel{config, "no-newline"};
    tunnel.run();
    const auto text = story.str();
    CHECK_THAT(text, ContainsSubstring("I 127.0.0.1 can be reached from "));
    CHECK_THAT(text, ContainsSubstring("I 4 combinations to test\n"));
    CHECK_THAT(text, ContainsSubstring("I faulty 6→4: client "));
    CHECK_THAT(text, ContainsSubstring("I faulty 6→4: passed: 2 checks, "));
    CHECK_THAT(text, ContainsSubstring("I faulty: 4 of 4 combinations passed (hello, 8 checks, "));
    CHECK((text.find("D faulty_tunnel: ready\n") != std::string::npos) == config.verbose);
    CHECK((text.find("D faulty 6→4 / hello: end of stream: ") != std::string::npos) ==
          config.verbose);
    CHECK((text.find("D started ") != std::string::npos) == config.verbose);
}

TEST_CASE("expect_read puts pieces together", "[tunnel]") {
    FaultyTunnel tunnel{impatient_config(), "none"};
    auto [client, server] = direct_connection();
    std::thread writer{[&server = server] {
        for (const char character : std::string_view{"Hello!"}) {
            server.write({&character, 1});
        }
    }};
    CHECK(tunnel.expect_read(client, "Hello", "server → client") == "Hello");
    writer.join();
    CHECK(client.read(1) == "!"); // not one byte further
}

TEST_CASE("expect_read compares as much as it is told", "[tunnel]") {
    FaultyTunnel tunnel{impatient_config(), "none"};
    auto [client, server] = direct_connection();
    server.write("Hello World");
    CHECK(tunnel.expect_read(client, "Hellish", "server → client", 4) == "Hello W");
    CHECK_THROWS_AS(tunnel.expect_read(client, "ab", "server → client", 3), InvalidConfig);
    CHECK(client.read(4) == "orld");
}

TEST_CASE("expect_read shows both sides around the first difference", "[tunnel]") {
    FaultyTunnel tunnel{impatient_config(), "none"};
    auto [client, server] = direct_connection();
    server.write("Hellish World");
    try {
        tunnel.expect_read(client, "Hello, World!", "server → client");
        FAIL("it passed");
    } catch (const Unexpected& error) {
        CHECK(error.expected() ==
              "server → client: 13 bytes\n"
              "00000000  48 65 6c 6c 6f 2c 20 57 6f 72 6c 64 21           |Hello, World!|");
        CHECK(error.actual() ==
              "13 bytes, different from offset 4 on\n"
              "00000000  48 65 6c 6c 69 73 68 20 57 6f 72 6c 64           |Hellish World|");
    }
}

TEST_CASE("expect_read tells an early end from wrong bytes", "[tunnel]") {
    FaultyTunnel tunnel{impatient_config(), "none"};
    auto [client, server] = direct_connection();
    server.write("Hel");
    server.close();
    CHECK_THROWS_WITH(tunnel.expect_read(client, "Hello", "server → client"),
                      ContainsSubstring("got 3 bytes, then end of stream\n00000000  48 65 6c "));
}

TEST_CASE("expect_read of nothing demands the end of the stream", "[tunnel]") {
    FaultyTunnel tunnel{impatient_config(), "none"};
    auto [client, server] = direct_connection();
    SECTION("a clean end") {
        server.close();
        CHECK(tunnel.expect_read(client, {}, "server → client").empty());
    }
    SECTION("a further byte") {
        server.write("x");
        CHECK_THROWS_WITH(tunnel.expect_read(client, {}, "server → client"),
                          ContainsSubstring("got 1 byte"));
    }
    SECTION("a reset") {
        server.reset();
        CHECK_THROWS_WITH(tunnel.expect_read(client, {}, "server → client"),
                          ContainsSubstring("Connection reset by peer"));
    }
}
