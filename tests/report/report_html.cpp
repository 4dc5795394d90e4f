// The page of HTML, as it is written, and as a browser reads it.

#include <test_tunnel/process/find_program.hpp>
#include <test_tunnel/report/html.hpp>

#include <test_tunnel/process/process.hpp>
#include <test_tunnel/process/temp_dir.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <filesystem>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "support/browser.hpp"
#include "support/reports.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

namespace {

std::size_t count(const std::string& text, std::string_view part) {
    std::size_t result = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
        ++result;
    }
    return result;
}

/// What a tool could print to do harm to whoever reads its report.
constexpr const char* hostile =
    "<script>document.title='taken'</script>\"'&amp;\x1b[2J\xff"
    "</pre></title></style><img src=x onerror=alert(1)>";

} // namespace

TEST_CASE("the page is complete in itself", "[report_html]") {
    const auto page = to_html({support::report()});
    CHECK_THAT(page, StartsWith("<!DOCTYPE html>") &&
                         ContainsSubstring("<title>tool: failed</title>") &&
                         ContainsSubstring("default-src 'none'"));
    // No script, and nothing that is loaded from somewhere.
    CHECK_FALSE(std::regex_search(
        page, std::regex{"<script|<iframe|<object|<embed|\\bsrc=|@import|url\\(|https?:|//[a-z]",
                         std::regex::icase}));
    CHECK_FALSE(std::regex_search(page, std::regex{"href=\"[^#d]"}));
}

TEST_CASE("the page has the table, each failure with its steps, and what was noted",
          "[report_html]") {
    const auto page = to_html({support::report()});
    CHECK_THAT(page, ContainsSubstring("1 of 2 combinations passed") &&
                         ContainsSubstring("<th scope=\"row\">4→4</th>") &&
                         ContainsSubstring("<a href=\"#run0-44-data.bulk\">") &&
                         ContainsSubstring("id=\"run0-44-data.bulk\"") &&
                         ContainsSubstring("<code>half_close = timed</code>") &&
                         ContainsSubstring("it is odd <span class=\"weak\">(4→4)</span>") &&
                         ContainsSubstring("2026-01-31 12:34:56 UTC") &&
                         ContainsSubstring("the whole account: other bytes"));
    CHECK(count(page, "<svg ") == 1);
    CHECK(count(page, "<g class=\"step") == 3);
    CHECK(count(page, "<g class=\"step last\">") == 1);
    CHECK_THAT(to_html({}), ContainsSubstring("<title>Nothing was tested</title>"));
    CHECK_THAT(to_html({support::report(), support::report()}),
               ContainsSubstring("<title>tool: 0 of 2 runs passed</title>"));
}

TEST_CASE("a ladder of many steps leaves out those in the middle on the page, too",
          "[report_html]") {
    auto report = support::report();
    auto& steps = report.pairs[0].checks[1].steps;
    steps.insert(steps.begin(), 200, steps[0]);
    const auto page = to_html({report});
    CHECK(count(page, "<g class=\"step") == 48);
    CHECK_THAT(page, ContainsSubstring("… 155 steps …"));
}

TEST_CASE("a browser shows the page, and runs nothing of what a tool has printed",
          "[report_html]") {
    auto report = support::report(hostile);
    report.slug = report.program = report.error = hostile;
    for (auto& entry : report.pairs) {
        for (auto& check : entry.checks) {
            check.title = check.step = check.expected = hostile;
            check.notes = {{"", hostile}};
            for (auto& step : check.steps) {
                step.name = step.expected = hostile;
            }
        }
    }
    TempDir directory;
    const auto page = directory.write("report.html", to_html({report}));
    const auto dom = support::browse(directory, page, {"--dump-dom"});
    INFO(dom);
    CHECK_THAT(dom, ContainsSubstring("<title>&lt;script&gt;document.title='taken'") &&
                        ContainsSubstring("4→4 / data.bulk") && ContainsSubstring("\\x1b[2J\\xff"));
    CHECK(count(dom, "<article class=\"failure ") == 1);
    CHECK(count(dom, "<svg class=\"ladder\"") == 1);
    // Nothing of it has become an element: not one that closed another, either.
    CHECK(count(dom, "<script") == 0);
    CHECK(count(dom, "<img") == 0);
    CHECK(count(dom, "<style") == 1);
    CHECK_THAT(dom, ContainsSubstring("</section>\n</main>"));
}

TEST_CASE("a browser draws the page", "[report_html]") {
    TempDir directory;
    const auto page = directory.write("report.html", to_html({support::report()}));
    const auto image = directory.path() + "/page.png";
    support::browse(directory, page, {"--window-size=1100,1400", "--screenshot=" + image});
    // A page on which nothing can be seen takes a few kB.
    constexpr std::uintmax_t some = 20'000;
    CHECK(std::filesystem::file_size(image) > some);
}
