#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "support/deviation.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using support::Deviation;
using support::notes_of;
using support::result_of;

namespace {

Deviation in_check(std::string check, std::string mode = "forward") {
    return {.behaviour = "none",
            .mode = std::move(mode),
            .check = std::move(check),
            .trait = {},
            .value = {},
            .as_it_is = {},
            .better = {}};
}

} // namespace

TEST_CASE("a tool that is declared to wait for the client's word passes", "[traits]") {
    const auto level = GENERATE(Level::standard, Level::strict);
    const auto result = result_of(in_check("hello"), "lazy", level, {.speaks_first = true});
    INFO(result.account);
    CHECK(result.outcome == Outcome::passed);
}

TEST_CASE("a tool that waits for the client's word, and is declared not to, is told the trait",
          "[traits]") {
    const auto result =
        result_of(in_check("hello"), "lazy", Level::standard, {.speaks_first = false});
    CHECK(result.outcome == Outcome::failed);
    CHECK_THAT(result.expected + result.actual, ContainsSubstring("Traits::speaks_first"));
}

TEST_CASE("a tool that is declared to serve just once, and serves again, is better", "[traits]") {
    const auto result =
        result_of(in_check("hello"), "none", Level::standard, {.serves_again = false});
    CHECK(result.outcome == Outcome::passed);
    CHECK_THAT(notes_of(result), EndsWith("better than declared (Traits::serves_again = false)"));
}

TEST_CASE("an exit status that is not among the declared ones is no undeclared one", "[traits]") {
    const auto result = result_of(in_check("stop.idle"), "status-3-on-sigterm", Level::standard,
                                  {.exit_statuses = {0}});
    CHECK(result.outcome == Outcome::failed);
    CHECK_THAT(notes_of(result) + result.actual, !ContainsSubstring("undeclared"));
}

TEST_CASE("a half-close that is timed shows at the level strict", "[traits]") {
    const auto check = in_check(GENERATE("close.half.up", "close.half.down"));
    const auto run = [&](Level level, std::optional<HalfClose> declared) {
        return result_of(check, "timed-half-close", level, {.half_close = declared});
    };
    SECTION("undeclared it fails there") {
        const auto result = run(Level::strict, {});
        CHECK(result.outcome == Outcome::failed);
        CHECK_THAT(result.actual,
                   ContainsSubstring("for a moment only (undeclared: Traits::half_close.") &&
                       ContainsSubstring(" = HalfClose::timed)"));
    }
    SECTION("undeclared it may be too slow to show before") {
        CHECK(run(Level::standard, {}).outcome == Outcome::passed);
    }
    SECTION("declared it passes and is noted") {
        const auto level = GENERATE(Level::standard, Level::strict);
        const auto result = run(level, HalfClose::timed);
        CHECK(result.outcome == Outcome::passed);
        CHECK_THAT(notes_of(result), EndsWith("(declared: Traits::half_close = HalfClose::timed)"));
    }
    SECTION("declared as none it is better than declared") {
        const auto result = run(Level::strict, HalfClose::none);
        CHECK(result.outcome == Outcome::passed);
        CHECK_THAT(notes_of(result),
                   EndsWith("better than declared (Traits::half_close = HalfClose::none)"));
    }
    SECTION("declared as full it fails") {
        const auto result = run(Level::strict, HalfClose::full);
        CHECK(result.outcome == Outcome::failed);
        CHECK_THAT(result.expected, ContainsSubstring("(Traits::half_close = HalfClose::full)"));
    }
}

TEST_CASE("how an unreachable target shows has no rule", "[traits]") {
    const auto check = in_check("target.unreachable");
    const auto run = [&](Level level, std::optional<Refuses> declared) {
        return result_of(check, "refuses-by-end", level, {.refuses = declared});
    };
    SECTION("undeclared it passes and is noted") {
        const auto result = run(GENERATE(Level::standard, Level::strict), {});
        CHECK(result.outcome == Outcome::passed);
        CHECK_THAT(notes_of(result), EndsWith("(undeclared: Traits::refuses = Refuses::by_end)"));
    }
    SECTION("declared as it is it passes") {
        const auto result =
            run(GENERATE(Level::standard, Level::strict), std::optional{Refuses::by_end});
        CHECK(result.outcome == Outcome::passed);
    }
    SECTION("declared otherwise it fails") {
        const auto result = run(Level::standard, Refuses::by_reset);
        CHECK(result.outcome == Outcome::failed);
        CHECK_THAT(result.expected, ContainsSubstring("(Traits::refuses = Refuses::by_reset)"));
        CHECK_THAT(result.actual,
                   ContainsSubstring("to be declared as Traits::refuses = Refuses::by_end"));
    }
}

TEST_CASE("a target that is tried for a while is no fault", "[traits]") {
    auto check = in_check("target.unreachable");
    const auto level = GENERATE(Level::standard, Level::strict);
    CHECK(result_of(check, "retries-target", level, {}).outcome == Outcome::passed);
}

TEST_CASE("whether a tool connects before it is asked to has no rule for a forwarder", "[traits]") {
    const auto check = in_check("connections.one_to_one");
    SECTION("undeclared it is noted, and no failure") {
        const auto result = result_of(check, "none", GENERATE(Level::standard, Level::strict), {});
        CHECK(result.outcome == Outcome::passed);
        CHECK_THAT(notes_of(result), EndsWith("(undeclared: Traits::connects_eagerly = true)"));
    }
    SECTION("declared as it is it passes") {
        const auto result = result_of(check, "none", Level::standard, {.connects_eagerly = true});
        CHECK(result.outcome == Outcome::passed);
    }
    SECTION("declared otherwise it fails") {
        const auto result = result_of(check, "none", Level::standard, {.connects_eagerly = false});
        CHECK(result.outcome == Outcome::failed);
        CHECK_THAT(result.expected, ContainsSubstring("(Traits::connects_eagerly = false)"));
    }
}

TEST_CASE("whether a tool notices that an end has vanished is seen without waiting", "[traits]") {
    auto check = in_check("idle");
    const auto run = [&](std::string_view behaviour, std::optional<bool> declared) {
        return result_of(check, std::string{behaviour}, Level::standard, {.keep_alive = declared});
    };
    SECTION("undeclared it is not looked at, but at the level strict") {
        CHECK(run("none", {}).notes.empty());
    }
    SECTION("declared as it is it passes") {
        CHECK(run("none", false).outcome == Outcome::passed);
        CHECK(run("keepalive", true).outcome == Outcome::passed);
    }
    SECTION("declared otherwise it fails") {
        const auto silent = run("none", true);
        CHECK(silent.outcome == Outcome::failed);
        CHECK_THAT(silent.expected, ContainsSubstring("(Traits::keep_alive = true)"));
        const auto asking = run("keepalive", false);
        CHECK(asking.outcome == Outcome::failed);
        CHECK_THAT(asking.expected, ContainsSubstring("to the client it asks in "));
    }
}

TEST_CASE("a proxy that connects before it is asked to has to declare it", "[traits]") {
    const auto check = in_check("connections.one_to_one", "socks5");
    const auto run = [&](Level level, std::optional<bool> declared) {
        return result_of(check, "dials-early", level, {.connects_eagerly = declared});
    };
    SECTION("undeclared it is noted") {
        const auto result = run(Level::standard, {});
        CHECK(result.outcome == Outcome::passed);
        CHECK_THAT(notes_of(result), EndsWith("(undeclared: Traits::connects_eagerly = true)"));
    }
    SECTION("undeclared it fails at the level strict") {
        const auto result = run(Level::strict, {});
        CHECK(result.outcome == Outcome::failed);
        CHECK_THAT(result.actual, EndsWith("(undeclared: Traits::connects_eagerly = true)"));
    }
    SECTION("declared it passes") {
        CHECK(run(GENERATE(Level::standard, Level::strict), true).outcome == Outcome::passed);
    }
}

TEST_CASE("a tool that never passes the end of a stream on has to declare it", "[traits]") {
    const auto check = in_check("hello");
    SECTION("undeclared it fails at every level") {
        const auto result =
            result_of(check, "never-ends", GENERATE(Level::hello, Level::strict), {});
        CHECK(result.outcome == Outcome::failed);
        CHECK_THAT(result.actual, ContainsSubstring("has to declare Traits::passes_eof = false"));
    }
    SECTION("declared it passes and is noted") {
        const auto result = result_of(check, "never-ends", GENERATE(Level::hello, Level::strict),
                                      {.passes_eof = false});
        CHECK(result.outcome == Outcome::passed);
        CHECK_THAT(notes_of(result), EndsWith("(declared: Traits::passes_eof = false)"));
    }
    SECTION("one that does all the same is better than declared") {
        const auto result = result_of(check, "none", Level::standard, {.passes_eof = false});
        CHECK(result.outcome == Outcome::passed);
        CHECK_THAT(notes_of(result), EndsWith("better than declared (Traits::passes_eof = false)"));
    }
}

TEST_CASE("what a tool does in one direction is declared for that one", "[traits]") {
    struct OneWay {
        const char* behaviour;
        const char* check;
        Traits as_it_is;
        Traits other_way;
        const char* told;
    };
    const auto [behaviour, check, as_it_is, other_way, told] = GENERATE(values<OneWay>({
        {"never-ends-up",
         "hello",
         {.passes_eof = {{.up = false}}},
         {.passes_eof = {{.down = false}}},
         "Traits::passes_eof.up = false"},
        {"never-ends-down",
         "hello",
         {.passes_eof = {{.down = false}}},
         {.passes_eof = {{.up = false}}},
         "Traits::passes_eof.down = false"},
        {"no-half-close-up",
         "close.half.up",
         {.half_close = {{.up = HalfClose::none}}},
         {.half_close = {{.down = HalfClose::none}}},
         "Traits::half_close.up = HalfClose::none"},
        {"no-half-close-down",
         "close.half.down",
         {.half_close = {{.down = HalfClose::none}}},
         {.half_close = {{.up = HalfClose::none}}},
         "Traits::half_close.down = HalfClose::none"},
        {"reset-becomes-end-up",
         "reset.client.idle",
         {.reset = {{.up = ResetShows::as_end}}},
         {.reset = {{.down = ResetShows::as_end}}},
         "Traits::reset.up = ResetShows::as_end"},
        {"reset-becomes-end-down",
         "reset.server.idle",
         {.reset = {{.down = ResetShows::as_end}}},
         {.reset = {{.up = ResetShows::as_end}}},
         "Traits::reset.down = ResetShows::as_end"},
    }));
    INFO(behaviour);
    const auto right = result_of(in_check(check), behaviour, Level::strict, as_it_is);
    INFO(right.account);
    CHECK(right.outcome == Outcome::passed);
    CHECK_THAT(notes_of(right), ContainsSubstring(fmt::format("(declared: {})", told)));
    const auto wrong = result_of(in_check(check), behaviour, Level::strict, other_way);
    CHECK(wrong.outcome == Outcome::failed);
    CHECK_THAT(wrong.actual, ContainsSubstring(told));
}

TEST_CASE("a silence that is declared as too long is not tried", "[traits]") {
    const auto* const check = GENERATE("idle", "data.extra");
    const auto result = result_of(in_check(check), "none", Level::standard, {.idle_timeout = 80ms});
    CHECK(result.outcome == Outcome::passed);
    CHECK(notes_of(result) ==
          "a connection may be silent for 80 ms only (declared: Traits::idle_timeout)");
}

TEST_CASE("a silence that a tool does not bear names the trait", "[traits]") {
    const auto result = result_of(in_check("idle"), "closes-when-idle", Level::standard, {});
    CHECK(result.outcome == Outcome::failed);
    CHECK_THAT(result.actual, ContainsSubstring("has to declare Traits::idle_timeout"));
}

TEST_CASE("a buffer that is declared smaller than it is fails at the level strict", "[traits]") {
    constexpr std::size_t tiny = 1000; // the system alone holds more than that
    const auto check = in_check("flow.pressure.up");
    const auto strict = result_of(check, "none", Level::strict, {.buffer_size = tiny});
    CHECK(strict.outcome == Outcome::failed);
    CHECK_THAT(strict.expected, ContainsSubstring("before it has taken 1000 bytes"));
    CHECK_THAT(strict.actual, ContainsSubstring("has to declare Traits::buffer_size"));
    const auto standard = result_of(check, "none", Level::standard, {.buffer_size = tiny});
    CHECK(standard.outcome == Outcome::passed);
}

TEST_CASE("an exit status after SIGTERM is judged by those that are declared", "[traits]") {
    const auto run = [&](Level level, std::vector<int> declared) {
        return result_of(in_check("stop.idle"), "status-3-on-sigterm", level,
                         {.exit_statuses = std::move(declared)});
    };
    SECTION("undeclared it is noted") {
        const auto result = run(Level::standard, {});
        CHECK(result.outcome == Outcome::passed);
        CHECK_THAT(notes_of(result),
                   EndsWith("status 3 after SIGTERM (undeclared: Traits::exit_statuses)"));
    }
    SECTION("undeclared it fails at the level strict") {
        const auto result = run(Level::strict, {});
        CHECK(result.outcome == Outcome::failed);
        CHECK_THAT(result.actual,
                   ContainsSubstring("status 3 after SIGTERM (undeclared: Traits::exit_statuses)"));
    }
    SECTION("declared it passes") {
        const auto result = run(GENERATE(Level::standard, Level::strict), {0, 3});
        CHECK(result.outcome == Outcome::passed);
        CHECK(notes_of(result).empty());
    }
    SECTION("where another one is declared it fails at the level strict") {
        const auto result = run(Level::strict, {0});
        CHECK(result.outcome == Outcome::failed);
        CHECK_THAT(result.actual, ContainsSubstring("exited with status 3 after SIGTERM"));
        CHECK_THAT(result.expected, ContainsSubstring("Traits::exit_statuses"));
    }
}
