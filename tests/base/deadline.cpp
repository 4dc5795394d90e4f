#include <test_tunnel/base/deadline.hpp>
#include <test_tunnel/process/process.hpp>

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <cstdio>
#include <string>
#include <utility>

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

constexpr const char* scale_variable = "TEST_TUNNEL_TIMEOUT_SCALE";

/// What the hidden test below says in a process with this scale, which is read once a process.
std::string with_scale(const std::string& scale) {
    SpawnOptions options;
    options.argv = {"/proc/self/exe", "--network", "host", "what the scale does"};
    options.environment[scale_variable] = scale;
    auto process = Process::spawn(std::move(options));
    process.wait(Deadline::after(30s));
    REQUIRE(process.status());
    CHECK(process.status()->code() == 0);
    return process.err();
}

} // namespace

TEST_CASE("what the scale does", "[.][deadline]") {
    try {
        std::fputs(fmt::format("10 s are {}; ", text_of(scaled(10s))).c_str(), stderr);
        for (const auto huge : {Duration::max(), Duration{24h * 365 * 200}}) {
            const auto deadline = Deadline::after(huge);
            CHECK_FALSE(deadline.passed());
            CHECK(deadline.remaining() > 24h * 300);
        }
        for (const auto& deadline : {Deadline::after(Duration::min()), Deadline::after(0s)}) {
            CHECK(deadline.passed());
            CHECK(deadline.remaining() == Duration::zero());
        }
    } catch (const InvalidConfig& error) {
        std::fputs(error.what(), stderr);
        CHECK_THROWS_AS(Deadline::after(1s), InvalidConfig);
    }
}

TEST_CASE("a timeout scale is a number above 0 and up to 1000", "[deadline]") {
    CHECK(detail::parse_timeout_scale("1") == Approx(1));
    CHECK(detail::parse_timeout_scale("0.25") == Approx(0.25));
    CHECK(detail::parse_timeout_scale("1e3") == Approx(1000));
}

TEST_CASE("a bad timeout scale is refused, by the names of variable and value", "[deadline]") {
    for (const auto* const text :
         {"", " ", "0", "-1", "1000.1", "nan", "inf", "ten", "10x", "1,5", "1 ", "--1", "1e999"}) {
        CHECK_THROWS_MATCHES(detail::parse_timeout_scale(text), InvalidConfig,
                             MessageMatches(ContainsSubstring(scale_variable) &&
                                            ContainsSubstring(fmt::format("'{}'", text))));
    }
}

TEST_CASE("timeouts are multiplied by the scale of the environment", "[deadline]") {
    CHECK_THAT(with_scale("2.5"), ContainsSubstring("10 s are 25 s"));
    CHECK_THAT(with_scale("0.01"), ContainsSubstring("10 s are 100 ms"));
}

TEST_CASE("with an empty scale in the environment it is 1", "[deadline]") {
    CHECK_THAT(with_scale(""), ContainsSubstring("10 s are 10 s"));
}

TEST_CASE("a bad scale in the environment ends the use of every deadline", "[deadline]") {
    CHECK_THAT(with_scale("fast"), ContainsSubstring("TEST_TUNNEL_TIMEOUT_SCALE is 'fast'"));
}

TEST_CASE("no duration overflows anything with the largest scale", "[deadline]") {
    CHECK_THAT(with_scale("1000"), ContainsSubstring("10 s are 10000 s"));
}

TEST_CASE("a deadline passes", "[deadline]") {
    const auto later = Deadline::after(1h);
    CHECK_FALSE(later.passed());
    CHECK(later.remaining() > scaled(59min));
    CHECK(later.remaining() <= scaled(1h));

    for (const auto& passed : {Deadline::after(0s), Deadline::after(-1s), Deadline::now()}) {
        CHECK(passed.passed());
        CHECK(passed.remaining() == Duration::zero());
    }
}

TEST_CASE("the first and the last point in time overflow nothing", "[deadline]") {
    const Deadline never{Clock::time_point::max()};
    CHECK_FALSE(never.passed());
    CHECK(never.remaining() > 24h * 365);

    const Deadline always{Clock::time_point::min()};
    CHECK(always.passed());
    CHECK(always.remaining() == Duration::zero());
}

TEST_CASE("a duration is told in the unit that fits", "[deadline]") {
    CHECK(text_of(10s) == "10 s");
    CHECK(text_of(1500ms) == "1.5 s");
    CHECK(text_of(250ms) == "250 ms");
    CHECK(text_of(1500us) == "1.5 ms");
    CHECK(text_of(1us) == "0.001 ms");
    CHECK(text_of(0s) == "0 ms");
}

TEST_CASE("a duration is told without an exponent, however long", "[deadline]") {
    CHECK(text_of(120s) == "120 s");
    CHECK(text_of(1234s) == "1234 s");
    CHECK(text_of(120'000s) == "120000 s");
    CHECK(text_of(999'500us) == "1000 ms");
    CHECK(text_of(999'900us) == "1000 ms");
    CHECK(text_of(999'600ms) == "1000 s");
    CHECK(text_of(Duration::max()) == "9223372037 s");
}
