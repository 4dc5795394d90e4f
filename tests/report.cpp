// What is made of a run's results: the summary on a console, JSON, and the files of a process. The
// page of HTML has tests of its own.

#include <fcntl.h>
#include <unistd.h>
#include <test_tunnel/detail/find_program.hpp>
#include <test_tunnel/detail/ladder.hpp>
#include <test_tunnel/detail/report_text.hpp>
#include <test_tunnel/report/console_style.hpp>
#include <test_tunnel/report/files.hpp>
#include <test_tunnel/report/json.hpp>
#include <test_tunnel/temp_dir.hpp>
#include <test_tunnel/tunnel.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "support/recording_log.hpp"
#include "support/reports.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using namespace std::string_view_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

namespace {

std::string content(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

struct Result {
    int code = -1;
    std::string text;
};

Result run(std::vector<std::string> argv, Environment environment = utf8_environment()) {
    environment["TEST_TUNNEL_NETWORK"] = "host"; // this test's
    auto process = Process::spawn({.argv = std::move(argv), .environment = std::move(environment)});
    const auto status = process.wait(Deadline::after(60s));
    REQUIRE(status);
    return {status->code().value_or(-1), process.out() + process.err()};
}

/// What python's parser, which takes nothing but JSON in UTF-8, makes of a text: `program` prints
/// of `document`.
std::string ask_python(const std::string& json, const std::string& program) {
    try {
        detail::find_program("python3", utf8_environment());
    } catch (const ToolMissing& error) {
        SKIP(error.what());
    }
    TempDir directory;
    const auto path = directory.write("report.json", json);
    const auto [code, text] = run({"python3", "-c",
                                   "import json, sys\n"
                                   "def refuse(text): raise ValueError(text)\n"
                                   "document = json.loads(open(sys.argv[1], 'rb').read()"
                                   ".decode('utf-8', 'strict'), parse_constant=refuse)\n" +
                                       program,
                                   path});
    INFO(text);
    REQUIRE(code == 0);
    return text;
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

// --- The summary

TEST_CASE("the summary is a table of pairs and groups of checks", "[report]") {
    CHECK(support::report().summary() ==
          "tool: 1 of 2 combinations passed (standard, 7 checks, 512 ms)\n"
          "       hello  data  idle  stop      time\n"
          "  4→4  ok     FAIL  n/a   -       250 ms\n"
          "  6→4  ok     ok    n/a   ok      250 ms\n"
          "  failed: data.bulk (4→4)\n"
          "  slowest: data.bulk 80 ms (6→4), data.tiny 9 ms (4→4), hello 6 ms (6→4)\n"
          "  note: half-close: timed (4→4)\n"
          "  note: it is odd (4→4)\n"
          "  note: idle is not applicable: it waits for nobody (Traits::idle_timeout)");
}

TEST_CASE("what was not tried is not among the slowest", "[report]") {
    auto report = support::report();
    const auto not_tried = [](const char* id) {
        return support::other_check(id, Outcome::skipped, "not tried, since hello has failed");
    };
    report.pairs = {
        support::pair_result({support::failed_check("hello", "nothing"), not_tried("data.bulk"),
                              not_tried("data.tiny"), not_tried("idle")})};
    CHECK_THAT(report.summary(), !ContainsSubstring("slowest"));
}

TEST_CASE("what is not applicable for the same reason stands in one line", "[report]") {
    auto report = support::report();
    const auto excused = [](const char* id) {
        return support::other_check(id, Outcome::not_applicable, "it speaks none");
    };
    report.pairs = {support::pair_result(
        {support::passed_check("hello"), excused("data.bulk"), excused("data.tiny")})};
    CHECK_THAT(report.summary(),
               ContainsSubstring("data.bulk, data.tiny are not applicable: it speaks none"));
}

TEST_CASE("the summary has marks and colours on a terminal, in the same columns", "[report]") {
    const auto report = support::report();
    CHECK_THAT(report.summary({.colours = false, .marks = true}),
               ContainsSubstring("\n       hello  data  idle  stop      time"
                                 "\n  4→4  ✓      ✗     ○     ·       250 ms"
                                 "\n  6→4  ✓      ✓     ○     ✓       250 ms\n"));
    const auto coloured = report.summary({.colours = true, .marks = true});
    CHECK_THAT(coloured, StartsWith("tool: \x1b[1;31m1 of 2 combinations passed\x1b[0m (") &&
                             ContainsSubstring("  \x1b[32m✓\x1b[0m      \x1b[1;31m✗\x1b[0m     "));
    // Without the sequences it is the same.
    std::string plain;
    for (std::size_t i = 0; i < coloured.size(); ++i) {
        if (coloured[i] == '\x1b') {
            i = coloured.find('m', i);
        } else {
            plain += coloured[i];
        }
    }
    CHECK(plain == report.summary({.colours = false, .marks = true}));
}

TEST_CASE("a wide table moves together", "[report]") {
    Report report;
    std::vector<CheckResult> checks;
    for (const auto* const id : {"hello", "address.a", "data.a", "close.a", "target.a", "idle",
                                 "reset.a", "flow.a", "connections.a", "stop.a"}) {
        checks.push_back(support::passed_check(id));
    }
    report.pairs = {support::pair_result(checks)};
    CHECK_THAT(
        report.summary(),
        ContainsSubstring(
            "\n       hello address data close target idle reset flow connections stop     time"
            "\n  4→4  ok    ok      ok   ok    ok     ok   ok    ok   ok          ok     250 ms"));
}

TEST_CASE("a run that was stopped has not passed, and says why", "[report]") {
    auto report = support::report();
    report.pairs.erase(report.pairs.begin());
    REQUIRE(report.passed());
    report.error = "no descriptors are left";
    CHECK_FALSE(report.passed());
    CHECK_THAT(report.summary(), ContainsSubstring("\n  stopped: no descriptors are left\n"));
    report.pairs.clear();
    CHECK_THAT(report.summary(), EndsWith("\n  stopped: no descriptors are left"));
}

TEST_CASE("a console is a terminal with colours, unless the environment says otherwise",
          "[report]") {
    const detail::UniqueFd terminal{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
    REQUIRE(terminal);
    const detail::UniqueFd file{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
    // Each test has a process of its own.
    const auto set = [](const char* name, const char* value) { ::setenv(name, value, 1); };
    set("TERM", "xterm");
    set("NO_COLOR", "");
    set("LC_ALL", "C.UTF-8");
    CHECK(console_style(terminal.get()).colours);
    CHECK(console_style(terminal.get()).marks);
    CHECK_FALSE(console_style(file.get()).colours);
    CHECK_FALSE(console_style(file.get()).marks);
    set("NO_COLOR", "1");
    CHECK_FALSE(console_style(terminal.get()).colours);
    CHECK(console_style(terminal.get()).marks);
    set("NO_COLOR", "");
    set("LC_ALL", "C");
    CHECK(console_style(terminal.get()).colours);
    CHECK_FALSE(console_style(terminal.get()).marks);
    set("TERM", "dumb");
    CHECK_FALSE(console_style(terminal.get()).colours);
}

// --- The ladder

TEST_CASE("a ladder of many steps leaves out those in the middle", "[report]") {
    std::vector<Step> steps;
    for (int i = 0; i < 100; ++i) {
        steps.push_back({fmt::format("step {}", i), "", Party::client, Party::tool, i * 1ms});
    }
    const auto text = detail::ladder(steps);
    CHECK_THAT(text, ContainsSubstring("step 11\n         [... 52 steps ...]\n   64.0  ") &&
                         ContainsSubstring("step 64\n") && EndsWith("step 99  <=="));
    steps.resize(48);
    CHECK_THAT(detail::ladder(steps), !ContainsSubstring("...") && EndsWith("step 47  <=="));
}

// --- JSON

TEST_CASE("a JSON string holds whatever bytes there are", "[report]") {
    using detail::json_string;
    CHECK(json_string("") == R"("")");
    CHECK(json_string("plain → text") == R"("plain → text")");
    CHECK(json_string(R"("quoted" \ /)") == R"("\"quoted\" \\ /")");
    CHECK(json_string("\0\x01\t\n\r\x1b[2J\x7f"sv) ==
          R"("\u0000\u0001\u0009\n\u000d\u001b[2J\u007f")");
    // What is no UTF-8 becomes plain text, as everywhere.
    CHECK(json_string("a\xff\x80z") == R"("a\\xff\\x80z")");
    CHECK(json_string("\xe2\x86") == R"("\\xe2\\x86")");
    CHECK(json_string("\xc2\x9b"
                      "2J") == R"("\\xc2\\x9b2J")");
    CHECK(json_string("\xf0\x9f\x9a\x87\"") == "\"\xf0\x9f\x9a\x87\\\"\"");
}

TEST_CASE("all that is known of a run is in its JSON", "[report]") {
    const auto json = to_json({support::report()});
    // All members, with the types of their values: a change of it is a change of the schema.
    CHECK(ask_python(json,
                     "def walk(value, path):\n"
                     "    if isinstance(value, dict) and not path.endswith('traits'):\n"
                     "        for key in value: yield from walk(value[key], path+'.'+key)\n"
                     "    elif isinstance(value, list):\n"
                     "        for entry in value: yield from walk(entry, path+'[]')\n"
                     "    else: yield path[1:] + ' ' + type(value).__name__\n"
                     "print(*sorted(set(walk(document, ''))), sep='\\n')") ==
          R"(library str
passed bool
runs[].began str
runs[].duration_ms float
runs[].error NoneType
runs[].level str
runs[].pairs[].checks[].duration_ms float
runs[].pairs[].checks[].failure NoneType
runs[].pairs[].checks[].failure.account str
runs[].pairs[].checks[].failure.actual str
runs[].pairs[].checks[].failure.expected str
runs[].pairs[].checks[].failure.step str
runs[].pairs[].checks[].failure.steps[].begin_ms float
runs[].pairs[].checks[].failure.steps[].expected str
runs[].pairs[].checks[].failure.steps[].from str
runs[].pairs[].checks[].failure.steps[].name str
runs[].pairs[].checks[].failure.steps[].to str
runs[].pairs[].checks[].id str
runs[].pairs[].checks[].notes[].text str
runs[].pairs[].checks[].notes[].trait NoneType
runs[].pairs[].checks[].notes[].trait str
runs[].pairs[].checks[].outcome str
runs[].pairs[].checks[].reason NoneType
runs[].pairs[].checks[].reason str
runs[].pairs[].checks[].title str
runs[].pairs[].client.address str
runs[].pairs[].client.port int
runs[].pairs[].duration_ms float
runs[].pairs[].listen.address str
runs[].pairs[].listen.port int
runs[].pairs[].name str
runs[].pairs[].passed bool
runs[].pairs[].seed str
runs[].pairs[].source.address str
runs[].pairs[].source.port int
runs[].pairs[].target.address str
runs[].pairs[].target.port int
runs[].passed bool
runs[].program str
runs[].tool str
runs[].traits dict
schema str
version int
)");
}

TEST_CASE("the JSON says what came of each check", "[report]") {
    const auto json = to_json({support::report()});
    CHECK(ask_python(json,
                     "run = document['runs'][0]\n"
                     "print(document['schema'], document['version'], document['passed'])\n"
                     "print(run['tool'], run['program'], run['level'], run['passed'],\n"
                     "      run['error'], run['began'], run['duration_ms'], run['traits'])\n"
                     "for pair in run['pairs']:\n"
                     "    print(ascii(pair['name']), pair['passed'], pair['seed'],\n"
                     "          pair['client'], pair['target'])\n"
                     "    for check in pair['checks']:\n"
                     "        print(check['id'], check['outcome'], check['reason'])\n"
                     "failure = run['pairs'][0]['checks'][1]['failure']\n"
                     "print(failure['step'], failure['actual'], failure['steps'][-1])\n"
                     "print(run['pairs'][0]['checks'][2]['notes'])") ==
          R"(test-tunnel-report 1 False
tool /usr/bin/tool standard False None 2026-01-31T12:34:56.789Z 512.0 {'half_close': 'timed', 'exit_statuses': '0,1'}
'4\u21924' False 18446744073709551615 {'address': '192.0.2.1', 'port': 6375} {'address': '192.0.2.1', 'port': 6376}
hello passed None
data.bulk failed None
data.tiny passed None
idle not_applicable it waits for nobody (Traits::idle_timeout)
stop.busy skipped not tried, since so it is
'6\u21924' True 18446744073709551615 {'address': '2001:db8::1', 'port': 6375} {'address': '192.0.2.1', 'port': 6376}
hello passed None
data.bulk passed None
data.tiny passed None
idle not_applicable it waits for nobody (Traits::idle_timeout)
stop.busy passed None
echo other bytes {'name': 'echo', 'expected': 'it comes back', 'from': 'server', 'to': 'client', 'begin_ms': 2.5}
[{'trait': 'half_close', 'text': 'half-close: timed'}, {'trait': None, 'text': 'it is odd'}]
)");
}

TEST_CASE("whatever a tool prints, its report is JSON", "[report]") {
    std::string every_byte;
    for (int byte = 0; byte < 256; ++byte) {
        every_byte += static_cast<char>(byte);
    }
    for (const std::string& text :
         {every_byte, std::string{"\"},{\\u0000\\"}, std::string{"</script>\xed\xa0\x80"}}) {
        auto report = support::report(text);
        report.slug = report.program = report.error = text;
        const auto shown = ask_python(to_json({report}),
                                      "run = document['runs'][0]\n"
                                      "assert run['tool'] == run['program'] == run['error']\n"
                                      "failure = run['pairs'][0]['checks'][1]['failure']\n"
                                      "assert failure['actual'] == run['tool']\n"
                                      "print(ascii(run['tool']))");
        CHECK_THAT(shown, ContainsSubstring(text == every_byte ? "\\x00\\x01" : text.substr(0, 4)));
    }
}

TEST_CASE("the JSON of nothing is no pass", "[report]") {
    CHECK(ask_python(to_json({}), "print(document['passed'], document['runs'])") == "False []\n");
    Report untested;
    untested.slug = "tool";
    CHECK(ask_python(to_json({untested}), "print(document['passed'])") == "False\n");
}

TEST_CASE("a time is written in UTC, to the millisecond", "[report]") {
    using detail::utc_text;
    using Time = std::chrono::system_clock::time_point;
    CHECK(utc_text(Time{}) == "1970-01-01T00:00:00.000Z");
    CHECK(utc_text(Time{1709210096007ms}) == "2024-02-29T12:34:56.007Z");
    CHECK(utc_text(Time{-1ms}) == "1969-12-31T23:59:59.999Z");
}

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
    const auto [code, text] =
        run({SECTIONS_PROGRAM, "--json", path, "--check", "hello", "--check", "data.bulk.*"},
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
        run({SECTIONS_PROGRAM, "--html", "/nonexistent/report.html"}, environment);
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
        return run({"script", "--quiet", "--return", "--command", command, "/dev/null"},
                   environment)
            .text;
    };
    const auto shown = on_terminal(SECTIONS_PROGRAM + arguments);
    INFO(shown);
    CHECK_THAT(shown, ContainsSubstring("\r\x1b[Kfaulty 4→4 [....................] 1/8 hello") &&
                          ContainsSubstring("\r\x1b[Kfaulty 6→6 [#################...] 8/8 data."));
    // After the last one nothing is left of it.
    const auto last = shown.rfind("8/8 data.");
    CHECK(shown.find("\r\x1b[K", last) < shown.find('\n', last));
    CHECK_THAT(on_terminal(SECTIONS_PROGRAM + arguments + " --verbose"),
               !ContainsSubstring("[....................]"));
    CHECK_THAT(run({"sh", "-c", SECTIONS_PROGRAM + arguments}, environment).text,
               !ContainsSubstring("[....................]"));
}
