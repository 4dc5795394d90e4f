#include <test_tunnel/run/tunnel.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <set>
#include <string>
#include <string_view>

#include "support/deviation.hpp"

using namespace test_tunnel;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using support::Deviation;
using support::notes_of;
using support::result_of;

namespace {

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
             .claim = "HalfClose::full",
             .direction = std::string{check}.ends_with(".up") ? ".up" : ".down"});
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
             .claim = "ResetShows::as_reset",
             .direction = std::string_view{check} == "reset.client.idle" ? ".up" : ".down"});
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
         .claim = "true",
         .direction = ".up"});
    add({.behaviour = "child-serves-on",
         .mode = "forward",
         .check = "stop.busy",
         .trait = "stops_connections",
         .value = "false",
         .as_it_is = {.stops_connections = false},
         .better = {.stops_connections = true},
         .claim = "true"});
    add({.behaviour = "never-rests",
         .mode = "forward",
         .check = "resources.cpu",
         .trait = "busy_polls",
         .value = "true",
         .as_it_is = {.busy_polls = true},
         .better = {.busy_polls = false},
         .claim = "false"});
    const auto datagrams = [&](const char* behaviour, const char* check, const char* trait,
                               Traits as_it_is, Traits better) {
        add({.behaviour = behaviour,
             .mode = "udp",
             .check = check,
             .trait = trait,
             .value = "false",
             .as_it_is = std::move(as_it_is),
             .better = std::move(better),
             .claim = "true"});
    };
    datagrams("udp-no-empty", "datagram.sizes", "empty_datagrams", {.empty_datagrams = false},
              {.empty_datagrams = true});
    datagrams("udp-one-answer", "datagram.answers", "several_answers", {.several_answers = false},
              {.several_answers = true});
    datagrams("udp-new-source", "datagram.source", "one_source", {.one_source = false},
              {.one_source = true});
    datagrams("udp-wildcard", "datagram.binding", "binds_listener", {.binds_listener = false},
              {.binds_listener = true});
    add({.behaviour = "header-refuses-unknown",
         .mode = "proxy-v1",
         .check = "proxy.local",
         .trait = "takes_unknown",
         .value = "false",
         .as_it_is = {.takes_unknown = false},
         .better = {.takes_unknown = true},
         .claim = "true"});
    add({.behaviour = "header-tells-own-peer",
         .mode = "proxy-both",
         .check = "proxy.passed_on",
         .trait = "passes_client_on",
         .value = "false",
         .as_it_is = {.passes_client_on = false},
         .better = {.passes_client_on = true},
         .claim = "true"});
    return result;
}

/// Those of other traits than these.
std::vector<Deviation> deviations_but(const std::set<std::string>& traits) {
    auto result = deviations();
    std::erase_if(result, [&](const auto& each) { return traits.count(each.trait) > 0; });
    return result;
}

/// "Traits::reset.up = ResetShows::as_end": what is to be declared.
std::string advice(const Deviation& deviation) {
    return fmt::format("Traits::{}{} = {}", deviation.trait, deviation.direction, deviation.value);
}

/// "Traits::reset = ResetShows::as_end": what is declared for both directions.
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
    check_note(result, deviation, fmt::format("(undeclared: {})", advice(deviation)));
}

TEST_CASE("what is not declared fails at the level strict, and names the trait", "[traits]") {
    const auto deviation = GENERATE(from_range(deviations()));
    INFO(deviation);
    const auto result =
        result_of(deviation, deviation.behaviour, Level::strict, deviation.undeclared);
    CHECK(result.outcome == Outcome::failed);
    CHECK_THAT(result.actual,
               ContainsSubstring(fmt::format("(undeclared: {})", advice(deviation))));
    CHECK(result.notes.empty());
}

TEST_CASE("what is declared as it is passes, and is noted as declared", "[traits]") {
    const auto deviation = GENERATE(from_range(deviations()));
    INFO(deviation);
    const auto result =
        result_of(deviation, deviation.behaviour, Level::standard, deviation.as_it_is);
    check_note(result, deviation,
               fmt::format("(declared: {})", declaration(deviation, deviation.value)));
}

TEST_CASE("what is declared as it is passes at the level strict, too", "[traits]") {
    const auto deviation = GENERATE(from_range(deviations()));
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
    const auto deviation = GENERATE(from_range(deviations_but({"serves_again"})));
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
