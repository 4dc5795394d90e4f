// What is still tried of a tool that has failed.

#include <test_tunnel/run/detail/patience.hpp>

#include <catch2/catch_test_macros.hpp>
#include <chrono>

using namespace test_tunnel;
using namespace std::chrono_literals;
using detail::Patience;

namespace {

CheckResult failure(Cause cause, Duration duration) {
    CheckResult result;
    result.outcome = Outcome::failed;
    result.cause = cause;
    result.duration = duration;
    return result;
}

constexpr Check probe{.id = "probe", .title = "", .presumes = {}};
constexpr Check presuming{.id = "presuming", .title = "", .presumes = {"probe"}};
constexpr Check presuming_that{.id = "that", .title = "", .presumes = {"other", "presuming"}};
constexpr Check independent{.id = "independent", .title = "", .presumes = {}};

} // namespace

TEST_CASE("everything is tried of a tool that has not failed") {
    const Patience patience{OnFailure::stop, Timeouts{}.failures};
    CHECK(patience.reason_to_skip(presuming).empty());
}

TEST_CASE("what presumes a check that waited in vain is not tried, nor what presumes that") {
    Patience patience{OnFailure::hurry, Timeouts{}.failures};
    Timeouts timeouts;
    patience.take_failure(probe, failure(Cause::timed_out, 5s), timeouts);
    CHECK(patience.reason_to_skip(presuming) == "probe failed");
    patience.take_skip(presuming);
    CHECK(patience.reason_to_skip(presuming_that) == "probe failed");
    CHECK(patience.reason_to_skip(independent).empty());
    CHECK(timeouts.io < Timeouts{}.io);
    CHECK(timeouts.check < Timeouts{}.check);
}

TEST_CASE("a tool that starts slowly keeps the time for that") {
    Patience patience{OnFailure::hurry, Timeouts{}.failures};
    Timeouts timeouts;
    patience.take_failure(probe, failure(Cause::timed_out, 5s), timeouts, 2s);
    CHECK(timeouts.connect == 6s);
    patience.take_failure(probe, failure(Cause::timed_out, 5s), timeouts, 50ms);
    CHECK(timeouts.connect == 3s);
}

TEST_CASE("a failure that came at once costs nothing") {
    Patience patience{OnFailure::hurry, Timeouts{}.failures};
    Timeouts timeouts;
    patience.take_failure(probe, failure(Cause::unexpected, 1ms), timeouts);
    CHECK(patience.reason_to_skip(presuming).empty());
    CHECK(timeouts.io == Timeouts{}.io);
}

TEST_CASE("nothing more is tried where failures have taken their time") {
    Patience patience{OnFailure::hurry, Timeouts{}.failures};
    Timeouts timeouts;
    const auto more_than_half = scaled(timeouts.failures) / 2 + 1s;
    patience.take_failure(probe, failure(Cause::unexpected, more_than_half), timeouts);
    CHECK(patience.reason_to_skip(independent).empty());
    patience.take_failure(presuming, failure(Cause::unexpected, more_than_half), timeouts);
    CHECK(patience.reason_to_skip(independent).starts_with("probe and 1 more failed, and took "));
}

TEST_CASE("timeouts that are shorter already stay as they are") {
    Patience patience{OnFailure::hurry, Timeouts{}.failures};
    Timeouts timeouts;
    timeouts.io = 100ms;
    patience.take_failure(probe, failure(Cause::timed_out, 1s), timeouts);
    CHECK(timeouts.io == 100ms);
}

TEST_CASE("with OnFailure::stop nothing more is tried, with go_on everything") {
    Timeouts timeouts;
    Patience stops{OnFailure::stop, Timeouts{}.failures};
    stops.take_failure(probe, failure(Cause::unexpected, 1ms), timeouts);
    CHECK(stops.reason_to_skip(independent) == "probe failed");
    Patience goes_on{OnFailure::go_on, Timeouts{}.failures};
    goes_on.take_failure(probe, failure(Cause::timed_out, 1h), timeouts);
    CHECK(goes_on.reason_to_skip(presuming).empty());
    CHECK(timeouts.io == Timeouts{}.io);
}

TEST_CASE("each check presumes checks that there are") {
    const auto all = checks();
    for (const auto& check : all) {
        for (const auto id : check.presumes) {
            INFO(check.id << " presumes " << id);
            bool is_there = id.empty();
            for (const auto& other : all) {
                is_there = is_there || (other.id == id && other.id != check.id);
            }
            CHECK(is_there);
        }
    }
}
