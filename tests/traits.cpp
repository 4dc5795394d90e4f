#include <test_tunnel/tunnel.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <set>

#include "support/faulty_tunnel.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using support::FaultyTunnel;

namespace {

/// A tool that differs where correct tools differ, and in which check that shows.
struct Deviation {
    std::string behaviour;
    std::string mode;
    std::string check;
    /// The member of Traits, and the value that is the tool's, as they are written in C++.
    std::string trait;
    std::string value;
    /// As the tool is.
    Traits as_it_is;
    /// As the rule is, which the tool does not keep.
    Traits better;
    /// Nothing said.
    Traits undeclared{};
    /// How the declaration is written that it does not hold.
    std::string claim{};
};

std::ostream& operator<<(std::ostream& out, const Deviation& deviation) {
    return out << deviation.behaviour << ", " << deviation.check;
}

std::vector<Deviation> deviations() {
    std::vector<Deviation> result;
    const auto add = [&](Deviation deviation) { result.push_back(std::move(deviation)); };
    const auto half_close = [&](const char* behaviour, const char* check) {
        add({.behaviour = behaviour,
             .mode = "forward",
             .check = check,
             .trait = "half_close",
             .value = "HalfClose::none",
             .as_it_is = {.half_close = HalfClose::none},
             .better = {.half_close = HalfClose::full},
             .claim = "HalfClose::full"});
    };
    half_close("no-half-close", "close.half.up");
    half_close("no-half-close", "close.half.down");
    half_close("no-half-close-up", "close.half.up");
    half_close("no-half-close-down", "close.half.down");
    const auto reports = [&](const char* behaviour, const char* value, ReportsSource source) {
        add({.behaviour = behaviour,
             .mode = "socks5",
             .check = "address.source",
             .trait = "reports_source",
             .value = value,
             .as_it_is = {.reports_source = source},
             .better = {.reports_source = ReportsSource::actual},
             .claim = "ReportsSource::actual"});
    };
    reports("null-address", "ReportsSource::null", ReportsSource::null);
    reports("listener-address", "ReportsSource::listener", ReportsSource::listener);
    reports("destination-address", "ReportsSource::destination", ReportsSource::destination);
    for (const auto* check : {"reset.client.idle", "reset.server.idle"}) {
        add({.behaviour = "reset-becomes-end",
             .mode = "forward",
             .check = check,
             .trait = "reset",
             .value = "ResetShows::as_end",
             .as_it_is = {.reset = ResetShows::as_end},
             .better = {.reset = ResetShows::as_reset},
             .claim = "ResetShows::as_reset"});
    }
    add({.behaviour = "wildcard",
         .mode = "forward",
         .check = "address.binding",
         .trait = "binds_listener",
         .value = "false",
         .as_it_is = {.binds_listener = false},
         .better = {.binds_listener = true},
         .claim = "true"});
    add({.behaviour = "wrong-source",
         .mode = "forward",
         .check = "address.source",
         .trait = "binds_source",
         .value = "false",
         .as_it_is = {.binds_source = false},
         .better = {.binds_source = true},
         .undeclared = {.binds_source = std::nullopt},
         .claim = "false"}); // it is demanded from the start: what helps is told
    add({.behaviour = "one-at-a-time",
         .mode = "forward",
         .check = "connections.reset",
         .trait = "concurrent",
         .value = "false",
         .as_it_is = {.concurrent = false},
         .better = {.concurrent = true},
         .claim = "true"});
    add({.behaviour = "serves-once",
         .mode = "forward",
         .check = "hello",
         .trait = "serves_again",
         .value = "false",
         .as_it_is = {.serves_again = false},
         .better = {.serves_again = true},
         .claim = "true"});
    add({.behaviour = "lazy",
         .mode = "forward",
         .check = "hello",
         .trait = "speaks_first",
         .value = "true",
         .as_it_is = {.speaks_first = true},
         .better = {.speaks_first = false},
         .claim = "false"});
    add({.behaviour = "blocking-relay",
         .mode = "forward",
         .check = "flow.pressure.up",
         .trait = "independent_directions",
         .value = "false",
         .as_it_is = {.independent_directions = false},
         .better = {.independent_directions = true},
         .claim = "true"});
    add({.behaviour = "child-serves-on",
         .mode = "forward",
         .check = "stop.busy",
         .trait = "stops_connections",
         .value = "false",
         .as_it_is = {.stops_connections = false},
         .better = {.stops_connections = true},
         .claim = "true"});
    return result;
}

/// Those of other traits than these.
std::vector<Deviation> deviations_but(const std::set<std::string>& traits) {
    auto result = deviations();
    std::erase_if(result, [&](const auto& each) { return traits.count(each.trait) > 0; });
    return result;
}

/// One check on one tool, on the first pair.
CheckResult result_of(const Deviation& deviation, const std::string& behaviour, Level level,
                      const Traits& traits) {
    ConfigProg config;
    config.log->set_level(spdlog::level::off);
    config.level = level;
    config.only = {deviation.check};
    config.timeouts.io = 2s; // what is waited for in vain, by some of them
    FaultyTunnel tunnel{config, behaviour, deviation.mode, traits};
    return tunnel.run_pair(discover_pairs(config).front()).checks.at(0);
}

std::string notes_of(const CheckResult& result) {
    std::string text;
    for (const auto& note : result.notes) {
        text += (text.empty() ? "" : "\n") + note.text;
    }
    return text;
}

/// "Traits::reset = ResetShows::as_end"
std::string declaration(const Deviation& deviation, const std::string& value) {
    return fmt::format("Traits::{} = {}", deviation.trait, value);
}

void check_note(const CheckResult& result, const Deviation& deviation, const std::string& end) {
    INFO(result.account);
    CHECK(result.outcome != Outcome::failed);
    REQUIRE(result.notes.size() == 1);
    CHECK(result.notes.front().trait == deviation.trait);
    CHECK_THAT(result.notes.front().text, EndsWith(end));
}

} // namespace

TEST_CASE("what is not declared is noted at the level standard", "[traits]") {
    const auto deviation = GENERATE(from_range(deviations()));
    INFO(deviation);
    const auto result =
        result_of(deviation, deviation.behaviour, Level::standard, deviation.undeclared);
    check_note(result, deviation,
               fmt::format("(undeclared: {})", declaration(deviation, deviation.value)));
}

TEST_CASE("what is not declared fails at the level strict, and names the trait", "[traits]") {
    const auto deviation = GENERATE(from_range(deviations()));
    INFO(deviation);
    const auto result =
        result_of(deviation, deviation.behaviour, Level::strict, deviation.undeclared);
    CHECK(result.outcome == Outcome::failed);
    CHECK_THAT(result.actual, ContainsSubstring(fmt::format(
                                  "(undeclared: {})", declaration(deviation, deviation.value))));
    CHECK(result.notes.empty());
}

TEST_CASE("what is declared as it is passes, and is noted as declared", "[traits]") {
    const auto deviation = GENERATE(from_range(deviations_but({"speaks_first"})));
    INFO(deviation);
    const auto result =
        result_of(deviation, deviation.behaviour, Level::standard, deviation.as_it_is);
    check_note(result, deviation,
               fmt::format("(declared: {})", declaration(deviation, deviation.value)));
}

TEST_CASE("what is declared as it is passes at the level strict, too", "[traits]") {
    const auto deviation = GENERATE(from_range(deviations_but({"speaks_first"})));
    INFO(deviation);
    const auto result =
        result_of(deviation, deviation.behaviour, Level::strict, deviation.as_it_is);
    check_note(result, deviation,
               fmt::format("(declared: {})", declaration(deviation, deviation.value)));
}

TEST_CASE("what is declared better than it is fails, and names the declaration", "[traits]") {
    const auto deviation = GENERATE(from_range(deviations_but({"speaks_first"})));
    INFO(deviation);
    const auto result =
        result_of(deviation, deviation.behaviour, Level::standard, deviation.better);
    CHECK(result.outcome == Outcome::failed);
    CHECK_THAT(result.expected + '\n' + result.actual,
               ContainsSubstring(declaration(deviation, deviation.claim)));
}

TEST_CASE("what is declared worse than it is passes, and is noted as better", "[traits]") {
    const auto deviation = GENERATE(from_range(deviations_but({"speaks_first", "serves_again"})));
    INFO(deviation);
    const auto result = result_of(deviation, "none", Level::standard, deviation.as_it_is);
    check_note(result, deviation,
               fmt::format("better than declared ({})", declaration(deviation, deviation.value)));
}

TEST_CASE("what is declared as the rule is passes on a correct tool without a note", "[traits]") {
    const auto deviation = GENERATE(from_range(deviations()));
    INFO(deviation);
    const auto result = result_of(deviation, "none", Level::standard, deviation.better);
    INFO(result.account);
    CHECK(result.outcome == Outcome::passed);
    CHECK(notes_of(result).empty());
}

// --- Those that are not like the others

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
                   ContainsSubstring("for a moment only (undeclared: Traits::half_close = "
                                     "HalfClose::timed)"));
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
    CHECK_THAT(strict.expected, ContainsSubstring(" before 1000 bytes have been taken "));
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
