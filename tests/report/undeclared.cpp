// What would declare all that was noted as undeclared.

#include <test_tunnel/config/trait_names.hpp>
#include <test_tunnel/report/report.hpp>

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <utility>
#include <vector>

using namespace test_tunnel;

namespace {

/// A report with a pair for each list of declarations, each in a note of its own.
Report report_of(const std::vector<std::vector<NamedTrait>>& pairs) {
    Report report;
    for (const auto& declarations : pairs) {
        CheckResult check{.id = "hello"};
        for (const auto& declaration : declarations) {
            check.notes.push_back({declaration.name, "noted", declaration});
        }
        report.pairs.push_back({.pair = {}, .checks = {check}});
    }
    return report;
}

} // namespace

TEST_CASE("each trait that was noted is declared once, in the order of Traits", "[undeclared]") {
    const auto report =
        report_of({{{"reset", "as_end"}, {"half_close", "timed"}}, {{"reset", "as_end"}}});
    CHECK(report.undeclared() ==
          std::vector<NamedTrait>{{"half_close", "timed"}, {"reset", "as_end"}});
}

TEST_CASE("a list declares all that was noted of it", "[undeclared]") {
    const auto report = report_of({{{"exit_statuses", "0,1"}, {"accepts", "b"}},
                                   {{"accepts", "a"}, {"exit_statuses", "1,7"}},
                                   {{"accepts", "b"}}});
    CHECK(report.undeclared() ==
          std::vector<NamedTrait>{{"exit_statuses", "0,1,7"}, {"accepts", "b,a"}});
}

TEST_CASE("of a trait that was noted differently the last one counts", "[undeclared]") {
    const auto report = report_of({{{"refuses", "by_end"}}, {{"refuses", "by_reset"}}});
    CHECK(report.undeclared() == std::vector<NamedTrait>{{"refuses", "by_reset"}});
}

TEST_CASE("a note without a declaration declares nothing", "[undeclared]") {
    auto report = report_of({{{"reset", "as_end"}}});
    report.pairs.front().checks.front().notes.front().declaration.reset();
    CHECK(report.undeclared().empty());
}
