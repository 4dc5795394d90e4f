// What observers are told, and the files of a process.

#include <test_tunnel/process/temp_dir.hpp>
#include <test_tunnel/report/files.hpp>
#include <test_tunnel/report/json.hpp>
#include <test_tunnel/run/tunnel.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "support/programs.hpp"
#include "support/recording_log.hpp"
#include "support/reports.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using namespace std::string_view_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;
using support::ask_python;
using support::run_program;

namespace {

std::string content(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

/// A test of a tool that can't be started.
class Unstartable : public TestTunnel {
public:
    using TestTunnel::TestTunnel;

    std::string slug() const override { return "unstartable"; }
    Server spawn_server(const AddrPort& /*here*/, const AddrPort& /*there*/) override {
        return spawn({"/nonexistent/tool"});
    }
};

/// Ends at once, so that `hello` fails.
class Ending : public TestTunnel {
public:
    using TestTunnel::TestTunnel;

    std::string slug() const override { return "ending"; }
    Server spawn_server(const AddrPort& /*here*/, const AddrPort& /*there*/) override {
        return spawn({"false"});
    }
};

/// Keeps what it is told.
class Witness : public Observer {
public:
    void check_begins(const Progress& progress) override {
        told.push_back(fmt::format("{} {} {} {}/{}", progress.slug, progress.pair, progress.id,
                                   progress.index, progress.count));
    }
    void pair_ended(const Report& report) override {
        told.push_back(
            fmt::format("{} ended: {} pairs, {}", report.slug, report.pairs.size(), report.error));
    }

    std::vector<std::string> told;
};

ConfigProg observed_config(const support::RecordingLog& log, std::shared_ptr<Observer> observer) {
    ConfigProg config;
    static_cast<Config&>(config) = log.config();
    config.observers = {std::move(observer)};
    return config;
}

} // namespace

// --- What observers are told, and the files

TEST_CASE("observers are told of each check that is tried, and of each pair", "[report]") {
    const support::RecordingLog log;
    const auto witness = std::make_shared<Witness>();
    Ending tunnel{observed_config(log, witness)};
    const auto report = tunnel.run_all();
    REQUIRE(report.pairs.size() == 4);
    CHECK(report.duration >= report.pairs[0].duration);
    CHECK_FALSE(report.pairs[0].checks[0].title.empty());
    const auto count = report.pairs[0].checks.size();
    std::vector<std::string> expected;
    for (const auto& entry : report.pairs) {
        expected.push_back(fmt::format("ending {} hello 0/{}", entry.pair.name(), count));
        expected.emplace_back("ending ended: 1 pairs, ");
    }
    CHECK(witness->told == expected);
}

TEST_CASE("observers are told what ends a run before its end", "[report]") {
    const support::RecordingLog log;
    const auto files = std::make_shared<ReportFiles>(ReportFiles::Options{});
    Unstartable tunnel{observed_config(log, files)};
    CHECK_THROWS_AS(tunnel.run_all(), ToolMissing);
    REQUIRE(files->reports().size() == 1);
    CHECK(files->reports()[0].pairs.empty());
    CHECK_THAT(files->reports()[0].error, ContainsSubstring("/nonexistent/tool"));
    CHECK_FALSE(files->reports()[0].passed());
    CHECK_THAT(to_json(files->reports()), ContainsSubstring("\"passed\": false"));
}

TEST_CASE("pairs that come one by one make up their run", "[report]") {
    const auto whole = support::report();
    const auto part = [&](std::size_t index) {
        auto result = whole;
        result.pairs = {whole.pairs.at(index)};
        result.duration = result.pairs[0].duration;
        return result;
    };
    ReportFiles files{{}};
    files.pair_ended(part(0));
    auto other = part(0);
    other.traits.reset = ResetShows::as_end;
    files.pair_ended(other);
    files.pair_ended(part(1));
    REQUIRE(files.reports().size() == 2);
    CHECK(files.reports()[0].pairs.size() == 2);
    CHECK(files.reports()[0].duration == 500ms);
    CHECK(files.reports()[1].pairs.size() == 1);
    // The same again is another run, and so is what comes after one that was stopped.
    files.pair_ended(part(0));
    auto stopped = part(0);
    stopped.pairs.clear();
    stopped.error = "stopped";
    files.pair_ended(stopped);
    files.pair_ended(part(1));
    REQUIRE(files.reports().size() == 4);
    CHECK(files.reports()[2].error == "stopped");
    CHECK(files.reports()[2].pairs.size() == 1);
    CHECK(files.reports()[3].error.empty());
}

TEST_CASE("the files hold what was reported, and nothing of what was there", "[report]") {
    TempDir directory;
    const auto json = directory.write("report.json", std::string(1'000'000, 'x'));
    const auto html = directory.path() + "/report.html";
    ReportFiles files{{.json = json, .html = html}};
    files.pair_ended(support::report());
    CHECK(content(json).empty());
    files.write();
    CHECK(content(json) == to_json({support::report()}));
    CHECK_THAT(content(html), StartsWith("<!DOCTYPE html>") && EndsWith("</html>\n"));
}

TEST_CASE("a file that can't be written is told at once, or when it is full", "[report]") {
    try {
        ReportFiles files{{.json = "/nonexistent/report.json"}};
        FAIL("it was opened");
    } catch (const InvalidConfig& error) {
        CHECK(error.what() ==
              "the report can't be written to '/nonexistent/report.json': "
              "No such file or directory"sv);
    }
    ReportFiles full{{.json = "/dev/full"}};
    try {
        full.write();
        FAIL("it was written");
    } catch (const SystemError& error) {
        CHECK_THAT(error.what(), ContainsSubstring("'/dev/full'"));
    }
}

// --- In a program

TEST_CASE("a test's program writes its report, whatever comes of it", "[report]") {
    TempDir directory;
    const auto path = directory.path() + "/report.json";
    auto environment = utf8_environment();
    environment["BEHAVIOUR"] = "corrupts-late-up";
    const auto [code, text] = run_program(
        {SECTIONS_PROGRAM, "--json", path, "--check", "hello", "--check", "data.bulk.*"},
        environment);
    INFO(text);
    CHECK(code != 0);
    CHECK(ask_python(content(path),
                     "for run in document['runs']:\n"
                     "    for pair in run['pairs']:\n"
                     "        print(run['tool'], ascii(pair['name']),\n"
                     "              *(check['outcome'] for check in pair['checks']))") ==
          "faulty '4\\u21924' passed failed passed\nfaulty '4\\u21926' passed failed passed\n"
          "faulty '6\\u21924' passed failed passed\nfaulty '6\\u21926' passed failed passed\n");
}

TEST_CASE("a report that can't be written keeps a test's program from running", "[report]") {
    auto environment = utf8_environment();
    environment["BEHAVIOUR"] = "none";
    const auto [code, text] =
        run_program({SECTIONS_PROGRAM, "--html", "/nonexistent/report.html"}, environment);
    CHECK(code == 1);
    CHECK_THAT(text, ContainsSubstring("'/nonexistent/report.html'") &&
                         !ContainsSubstring("combinations to test"));
}

TEST_CASE("progress is shown on a terminal, and is gone at the end", "[report]") {
    auto environment = utf8_environment();
    environment["BEHAVIOUR"] = "none";
    environment["TERM"] = "xterm";
    const auto arguments = std::string{" --check hello --check 'data.*'"};
    const auto on_terminal = [&](const std::string& command) {
        return run_program({"script", "--quiet", "--return", "--command", command, "/dev/null"},
                           environment)
            .text;
    };
    const auto shown = on_terminal(SECTIONS_PROGRAM + arguments);
    INFO(shown);
    CHECK_THAT(shown, ContainsSubstring("\r\x1b[Kfaulty [....................] 1/8 4→4 hello") &&
                          ContainsSubstring("\r\x1b[Kfaulty [#################...] 8/8 6→6 data."));
    // After the last one nothing is left of it.
    const auto last = shown.rfind("8/8 6→6 data.");
    CHECK(shown.find("\r\x1b[K", last) < shown.find('\n', last));
    CHECK_THAT(on_terminal(SECTIONS_PROGRAM + arguments + " --verbose"),
               !ContainsSubstring("[....................]"));
    CHECK_THAT(run_program({"sh", "-c", SECTIONS_PROGRAM + arguments}, environment).text,
               !ContainsSubstring("[....................]"));
}
