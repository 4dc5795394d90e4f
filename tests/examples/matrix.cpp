// tunnel_matrix as a user runs it, on reports that the library has written.

#include <test_tunnel/process/process.hpp>
#include <test_tunnel/process/temp_dir.hpp>
#include <test_tunnel/report/json.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "support/browser.hpp"
#include "support/program_result.hpp"
#include "support/reports.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
using Arguments = std::vector<std::string>;

namespace {

support::ProgramResult run(Arguments arguments) {
    arguments.insert(arguments.begin(), TUNNEL_MATRIX);
    return support::run_program(std::move(arguments), utf8_environment(), 30s);
}

/// What a tool could print to do harm to whoever reads the page.
constexpr const char* hostile = "</pre><script>document.title='taken'</script>\"'&amp;\x1b[2J\xff";

/// A tool of which one check fails on one combination; it has shown some of its ways.
Report failing(const std::string& slug) {
    auto report = support::report(hostile);
    report.slug = slug;
    report.command = "check_command -- " + slug;
    auto& pair = report.pairs.front();
    pair.checks[2].shown = {{"half_close.up", "none"}, {"half_close.down", "full"}};
    report.pairs.back().checks[2].shown = {{"reset.up", "as_end"}, {"reset.down", "as_end"}};
    return report;
}

Report passing(const std::string& slug) {
    auto report = failing(slug);
    report.pairs.erase(report.pairs.begin());
    return report;
}

} // namespace

TEST_CASE("reports become one table in Markdown", "[matrix]") {
    TempDir files;
    files.write("b.json", to_json({failing("beta")}));
    files.write("a.json", to_json({passing("alpha")}));
    files.write("notes.txt", "no report");
    const auto [code, out, err] = run({files.path()});
    INFO(err);
    CHECK(code == 0);
    CHECK_THAT(out,
               StartsWith("| tool | result | hello | data | idle | stop | half-close | reset"));
    CHECK_THAT(out, ContainsSubstring("| alpha 1.2-3 | passed | ok | ok | n/a | ok |"));
    CHECK_THAT(out, ContainsSubstring("| beta 1.2-3 | failed | ok | FAIL 4→4 | n/a | skipped 4→4 | "
                                      "up: none, down: full | as_end |"));
    CHECK_THAT(out, ContainsSubstring("| 12 ms | 3 ms |"));
    CHECK(run({"--only", "beta", files.path()}).out.find("alpha") == std::string::npos);
    CHECK_THAT(run({"--brief", files.path()}).out, StartsWith("| tool | result | half-close |"));
}

TEST_CASE("reports become a line a check in CSV", "[matrix]") {
    TempDir files;
    const auto report = files.write("a.json", to_json({failing("beta")}));
    const auto [code, out, err] = run({"--csv", "-", report});
    INFO(err);
    CHECK(code == 0);
    CHECK_THAT(out, StartsWith("tool,version,library,level,combination,check,outcome,"));
    CHECK_THAT(out, ContainsSubstring("4→4,hello,passed,5.000,,,\r\n"));
    CHECK_THAT(out, ContainsSubstring("data.bulk,FAILED,40.000,echo,the bytes that were written,"
                                      "\"</pre><script>document.title='taken'</script>\"\"'&amp;"));
}

TEST_CASE("reports become a page that is complete and can't be harmed", "[matrix]") {
    TempDir files;
    const auto report = files.write("a.json", to_json({failing("beta"), passing("alpha")}));
    const auto page = files.path() + "/page.html";
    const auto [code, out, err] = run({"--html", page, "--title", "Some <tools>", report});
    INFO(err);
    REQUIRE(code == 0);
    // As a browser sees it, with what its script has added.
    const auto document = support::browse(files, page + "#t0-data", {"--dump-dom"});
    CHECK_THAT(document, ContainsSubstring("<title>Some &lt;tools&gt;</title>"));
    CHECK_THAT(document, ContainsSubstring("2 set-ups: 1 passed, 1 failed."));
    CHECK_THAT(document, ContainsSubstring("href=\"#t0-data\""));
    CHECK_THAT(document, ContainsSubstring("id=\"t0-data\""));
    CHECK_THAT(document, ContainsSubstring("id=\"t0-idle\""));
    CHECK_THAT(document, ContainsSubstring("the whole account: &lt;/pre&gt;&lt;script&gt;"));
    CHECK_THAT(document, ContainsSubstring("check_command -- beta"));
    CHECK_THAT(document, ContainsSubstring("aria-sort=\"none\""));
    CHECK_THAT(document, ContainsSubstring("placeholder=\"part of a name\""));
}

TEST_CASE("what has changed between two sets of reports is told", "[matrix]") {
    TempDir files;
    auto slower = failing("beta");
    slower.version = "1.3-1";
    slower.pairs.front().checks[1].outcome = Outcome::passed;
    slower.pairs.front().checks[2].shown = {{"half_close.up", "full"}, {"half_close.down", "full"}};
    const auto before = files.write("old.json", to_json({failing("beta"), passing("gone")}));
    const auto after = files.write("new.json", to_json({slower, passing("come")}));
    const auto [code, out, err] = run({"--diff", before, after});
    INFO(err);
    CHECK(code == 1);
    CHECK(out ==
          "gone: no longer there\n"
          "beta 1.2-3 → 1.3-1\n"
          "  result: failed → not all tested\n"
          "  4→4 data.bulk: FAILED → passed\n"
          "  half-close: up: none, down: full → full\n"
          "come: new (passed)\n");
    const auto same = run({"--diff", before, before});
    CHECK(same.code == 0);
    CHECK(same.out == "nothing has changed\n");
}

TEST_CASE("what can't be read is told with its name", "[matrix]") {
    TempDir files;
    const auto check_error = [](const Arguments& arguments, const std::string& text) {
        const auto [code, out, err] = run(arguments);
        CHECK(code == 2);
        CHECK_THAT(err, ContainsSubstring(text));
    };
    check_error({}, "no report was given");
    check_error({"--htm", "x"}, "did you mean --html?");
    check_error({"/nowhere.json"}, "/nowhere.json: it can't be read");
    check_error({files.path()}, "there is no file whose name ends in .json");
    const auto other = files.write("other.json", "{\"schema\": \"other\"}");
    check_error({other}, "other.json: it is no report of test-tunnel");
    const auto broken = files.write("broken.json", "{\"schema\": ");
    check_error({broken}, "broken.json: ");
    const auto report = files.write("a.json", to_json({passing("alpha")}));
    check_error({"--only", "beta", report}, "--only beta: no report is of that tool");
    check_error({"--html", "/nowhere/page.html", report},
                "/nowhere/page.html: it can't be written");
}
