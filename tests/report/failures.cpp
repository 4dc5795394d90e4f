// Failures of several pairs and rounds: which are the same, and how often they come.

#include <test_tunnel/report/detail/alike.hpp>
#include <test_tunnel/report/detail/bytes.hpp>
#include <test_tunnel/report/detail/rate.hpp>
#include <test_tunnel/report/report.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <chrono>
#include <string>

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::WithinAbs;

namespace {

CheckResult failure(std::string expected, std::string actual) {
    CheckResult result;
    result.id = "data.bulk.up";
    result.outcome = Outcome::failed;
    result.step = "bulk";
    result.cause = Cause::unexpected;
    result.expected = std::move(expected);
    result.actual = std::move(actual);
    result.account = "tool 4→4 / data.bulk.up: failed at step \"bulk\"\n  expected: …";
    return result;
}

} // namespace

TEST_CASE("failures are alike that differ in addresses, numbers and bytes only") {
    const auto one = failure("a connection from 192.0.2.2", "4096 bytes, then \"a b\" and 0a ff");
    CHECK(detail::fails_alike(
        one, failure("a connection from 2001:db8::2", "17 bytes, then \"c d e\" and 00 1b")));
    CHECK_FALSE(
        detail::fails_alike(one, failure("a connection from 192.0.2.2", "nothing for 10 s")));
    auto elsewhere = one;
    elsewhere.step = "round trip";
    CHECK_FALSE(detail::fails_alike(one, elsewhere));
    auto in_vain = one;
    in_vain.cause = Cause::timed_out;
    CHECK_FALSE(detail::fails_alike(one, in_vain));
}

TEST_CASE("a failure that is known from another pair is told in two lines") {
    auto result = failure("all", "a bit was changed\nand more of that");
    CHECK(result.told() == result.account);
    result.same_as = "4→6";
    CHECK(result.told() ==
          "tool 4→4 / data.bulk.up: failed at step \"bulk\", as on 4→6\n"
          "  actual:   a bit was changed");
}

TEST_CASE("a rate of failures has its interval") {
    // Values of Wilson's interval that were computed elsewhere.
    const auto some = detail::rate_of(5, 100);
    CHECK_THAT(some.observed, WithinAbs(0.05, 1e-9));
    CHECK_THAT(some.least, WithinAbs(0.02154, 1e-4));
    CHECK_THAT(some.most, WithinAbs(0.11175, 1e-4));
    const auto none = detail::rate_of(0, 500);
    CHECK(none.least == 0);
    CHECK_THAT(none.most, WithinAbs(0.00762, 1e-4));
    const auto all = detail::rate_of(3, 3);
    CHECK(all.most == 1);
    CHECK_THAT(all.least, WithinAbs(0.43850, 1e-4));
}

TEST_CASE("a result is whole when it has gone through bytes") {
    PairResult result{.pair = {}, .checks = {}};
    result.duration = 3ms;
    result.seed = 7;
    auto check = failure("expected", std::string{"with \0 in it", 12});
    check.step_kind = StepKind::accept;
    check.duration = 5us;
    check.title = "title";
    check.notes = {{"reset", "a note", NamedTrait{"reset", "as_end"}}, {"", "another"}};
    check.steps = {{"connect", "it accepts", Party::client, Party::tool, 2ms, StepKind::connect}};
    result.checks = {check, check};

    PairResult read{.pair = {}, .checks = {}};
    detail::from_bytes(detail::to_bytes(result), read);
    CHECK(read.duration == 3ms);
    CHECK(read.seed == 7);
    REQUIRE(read.checks.size() == 2);
    const auto& got = read.checks[1];
    CHECK(got.id == check.id);
    CHECK(got.outcome == Outcome::failed);
    CHECK(got.step_kind == StepKind::accept);
    CHECK(got.cause == Cause::unexpected);
    CHECK(got.actual == check.actual);
    CHECK(got.account == check.account);
    CHECK(got.notes == check.notes);
    CHECK(got.title == "title");
    REQUIRE(got.steps.size() == 1);
    CHECK(got.steps[0].kind == StepKind::connect);
    CHECK(got.steps[0].to == Party::tool);
    CHECK(got.steps[0].begin == 2ms);

    const auto bytes = detail::to_bytes(result);
    CHECK_THROWS_AS(detail::from_bytes(bytes.substr(0, bytes.size() - 1), read), Error);
}
