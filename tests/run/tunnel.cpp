#include <test_tunnel/run/tunnel.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <filesystem>
#include <fstream>

#include <sys/resource.h>

#include "support/any_program.hpp"
#include "support/child.hpp"
#include "support/descriptors.hpp"
#include "support/faulty_tunnel.hpp"
#include "support/quiet_config.hpp"
#include "support/runs.hpp"

using namespace test_tunnel;
using Catch::Matchers::ContainsSubstring;
using support::any_pair;
using support::AnyProgram;
using support::FaultyTunnel;
using support::has_children;
using support::HookedTunnel;
using support::impatient_config;
using support::notes_of;
using support::open_descriptors;
using support::quiet_config;
using support::result_of;

TEST_CASE("a correct tunnel passes on all four combinations", "[tunnel]") {
    const auto behaviour = GENERATE("none", "slow-start", "slow-stop", "single-bytes", "noisy",
                                    "no-newline", "slow-child", "wildcard", "serves-once");
    INFO(behaviour);
    FaultyTunnel tunnel{quiet_config(Level::hello), behaviour};
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

TEST_CASE("a program that can't be run is an error of the set-up that names it", "[tunnel]") {
    const auto directory =
        std::filesystem::temp_directory_path() / fmt::format("test-tunnel-{}", ::getpid());
    std::filesystem::create_directory(directory);
    const auto text_file = (directory / "notes.txt").string();
    std::ofstream{text_file} << "no program\n";

    AnyProgram missing{quiet_config(Level::hello), {"/no/such/tool"}};
    CHECK_THROWS_AS(missing.run(), ToolMissing);
    AnyProgram unknown{quiet_config(Level::hello), {"no-such-tool"}};
    CHECK_THROWS_WITH(unknown.run(), ContainsSubstring("no-such-tool: no such program in "));
    AnyProgram a_directory{quiet_config(Level::hello), {directory.string()}};
    CHECK_THROWS_WITH(a_directory.run(), directory.string() + " is a directory, not a program");
    AnyProgram a_text{quiet_config(Level::hello), {text_file}};
    CHECK_THROWS_WITH(a_text.run(), ContainsSubstring(text_file + " is not executable (mode 0"));
    CHECK_THROWS_AS(a_text.run(), ToolNotExecutable);
    std::filesystem::remove_all(directory);
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

        Connection connect(PairRun& run) override {
            auto client = run.connect_client();
            client.write("Hello");
            auto server = run.accept(client);
            run.verify_source(server.peer(), handshake(client, run.pair().svc_listen));
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

#ifndef __SANITIZE_ADDRESS__ // the sanitizers need descriptors of their own
TEST_CASE("a lack of descriptors is not the tool's failure", "[tunnel]") {
    FaultyTunnel tunnel{quiet_config(Level::hello), "none"};
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
    FaultyTunnel tunnel{quiet_config(Level::hello), "none"};
    const auto pair = any_pair(tunnel.config());
    auto squatter = bind_to(tunnel.config(), pair.svc_listen.listen());
    squatter.listen();
    CHECK_THROWS_AS(tunnel.run_pair(pair), SetupError);
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
    FaultyTunnel working{quiet_config(Level::hello), "none"};
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
