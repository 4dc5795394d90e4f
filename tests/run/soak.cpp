// One tool tested again and again, and what is told of it.

#include <test_tunnel/report/html.hpp>
#include <test_tunnel/report/json.hpp>
#include <test_tunnel/run/detail/time_histogram.hpp>
#include <test_tunnel/run/detail/trends.hpp>
#include <test_tunnel/run/tunnel.hpp>

#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "support/faulty_tunnel.hpp"
#include "support/quiet_config.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinRel;
using support::FaultyTunnel;

namespace {

ConfigProg soaking_config(Duration duration, std::vector<std::string> only) {
    auto config = support::quiet_config();
    config.only = std::move(only);
    config.soak = duration;
    config.seed = 1;
    return config;
}

PairResult soaked(const char* behaviour, const ConfigProg& config) {
    return FaultyTunnel{config, behaviour, "forward"}.run_pair(support::any_pair(config));
}

/// What a tool holds that has `of(connections)` bytes after each 100 connections.
template <typename Bytes>
const detail::Held* growing(Bytes of, std::size_t rounds = 100) {
    detail::Trends trends;
    for (std::size_t round = 1; round <= rounds; ++round) {
        ToolUsage usage;
        usage.private_memory = std::uint64_t(of(double(100 * round)));
        trends.add(100 * round, usage);
    }
    return trends.growing();
}

} // namespace

TEST_CASE("a soak tries the same tool again and again, and tells what it has seen", "[soak]") {
    const auto config = soaking_config(2s, {"hello", "data.tiny", "reset.client.idle", "stop.*"});
    auto report = Report{.slug = "faulty", .pairs = {soaked("none", config)}};
    const auto& result = report.pairs.front();
    INFO(report.text());
    CHECK(result.passed());
    CHECK(result.seed == 1);
    REQUIRE(result.soak);
    const auto& soak = *result.soak;
    CHECK(soak.duration >= 2s);
    CHECK(soak.rounds > 0);
    CHECK(soak.connections >= 20); // to one tool
    REQUIRE(soak.times.size() == 2);
    CHECK(soak.times[0].count == soak.times[1].count);
    CHECK(soak.times[0].count >= 20);
    CHECK(soak.times[0].p50 > Duration::zero());
    CHECK(soak.times[0].p50 <= soak.times[0].p90);
    CHECK(soak.times[0].p99 <= soak.times[0].max);
    CHECK(result.checks.back().id == "soak");
    CHECK(result.checks.back().outcome == Outcome::passed);

    CHECK_THAT(report.summary(), ContainsSubstring("soak: 4→4 ") && ContainsSubstring("p99 "));
    CHECK_THAT(to_html({report}), ContainsSubstring("<h3>Soak, 4→4</h3>"));
    CHECK_THAT(to_json({report}), ContainsSubstring("\"p99_ms\": "));
}

TEST_CASE("a soak tells in which round it failed, and with which seed", "[soak]") {
    const auto result = soaked("dies-after-3000", soaking_config(10min, {"hello", "data.tiny"}));
    const auto& failure = result.checks.back();
    INFO(failure.account);
    CHECK(failure.id == "soak");
    CHECK(failure.outcome == Outcome::failed);
    CHECK_THAT(failure.actual,
               ContainsSubstring("of the soak, after ") && ContainsSubstring(", with the seed "));
    CHECK_THAT(failure.account, ContainsSubstring("soak:     in round "));
    CHECK_THAT(failure.account, ContainsSubstring("SIGABRT") || ContainsSubstring("signal"));
    REQUIRE(result.soak);
    CHECK(result.soak->duration < 10min);
    CHECK(result.soak->rounds > 1);
}

TEST_CASE("what has failed once is not tried again", "[soak]") {
    const auto result = soaked("changes-up", soaking_config(10min, {"data.tiny"}));
    CHECK_FALSE(result.soak);
    CHECK(result.checks.back().id == "soak");
    CHECK(result.checks.back().outcome == Outcome::skipped);
}

TEST_CASE("however long a soak is, the harness needs no more for it", "[soak]") {
    const auto own = [] { return usage_of(::getpid()).value_or(ToolUsage{}); };
    const auto once = [](Duration duration) {
        static_cast<void>(soaked("none", soaking_config(duration, {"hello", "data.tiny"})));
    };
    once(1s);
    const auto before = own();
    once(3s);
    const auto after = own();
    CHECK(after.descriptors() == before.descriptors());
    constexpr std::uint64_t slack = 512 << 10; // less than 100 bytes for each connection
    if (!detail::is_instrumented(after)) {     // a sanitizer keeps what is freed for a while
        CHECK(after.private_memory.value_or(0) <= before.private_memory.value_or(0) + slack);
    }
}

TEST_CASE("what is held more and more is told from a pool and from garbage", "[soak]") {
    constexpr double base = 4e6;
    CHECK(growing([&](double count) { return base + 112 * count; })->name == "bytes of memory");
    CHECK(growing([&](double count) { return base + 10 * count; }) == nullptr); // too little
    CHECK(growing([&](double) { return base; }) == nullptr);
    CHECK(growing([&](double count) { return base + 1e5 * std::min(count, 4000.0); }) == nullptr);
    CHECK(growing([&](double count) { return base + 1e6 * std::log(count); }) == nullptr);
    CHECK(growing([&](double count) { return base + std::fmod(1e3 * count, 3e6); }) == nullptr);
    // However many rounds there were.
    CHECK(growing([&](double count) { return base + 112 * count; }, 5000) != nullptr);
    CHECK(growing([&](double count) { return base + 1e3 * count; }, 5) == nullptr); // too few
}

TEST_CASE("what is not known now and then is left out", "[soak]") {
    detail::Trends trends;
    for (std::size_t round = 1; round <= 100; ++round) {
        ToolUsage usage;
        usage.private_memory = std::uint64_t{4'000'000};
        if (round < 60) { // one of its processes was about to end
            usage.private_memory.reset();
        }
        usage.files = 7;
        trends.add(100 * round, usage);
    }
    CHECK(trends.growing() == nullptr);
    REQUIRE(trends.all().size() == 4);
    CHECK(trends.all().front().last == 7);
    CHECK(trends.all().back().first == 4'000'000);
}

TEST_CASE("of many times, some are told", "[soak]") {
    detail::TimeHistogram histogram;
    CHECK(histogram.result("nothing").max == Duration::zero());
    for (int i = 1; i <= 1000; ++i) {
        histogram.add(i * 10us);
    }
    const auto result = histogram.result("connect");
    const auto milliseconds = [](Duration time) {
        return std::chrono::duration<double, std::milli>{time}.count();
    };
    constexpr double exact = 0.04;
    CHECK(result.count == 1000);
    CHECK_THAT(milliseconds(result.p50), WithinRel(5.0, exact));
    CHECK_THAT(milliseconds(result.p90), WithinRel(9.0, exact));
    CHECK_THAT(milliseconds(result.p99), WithinRel(9.9, exact));
    CHECK(result.max == 10ms);
    histogram.add(24h);
    CHECK(histogram.result("connect").max == 24h);
    CHECK(histogram.quantile(1) == 24h);
}
