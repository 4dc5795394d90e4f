#include <test_tunnel/run/check.hpp>
#include <test_tunnel/run/detail/id_pattern.hpp>
#include <test_tunnel/run/tunnel.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <catch2/matchers/catch_matchers_vector.hpp>
#include <set>

#include "support/checked.hpp"
#include "support/quiet_config.hpp"

using namespace test_tunnel;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
using Catch::Matchers::VectorContains;
using support::any_pair;
using support::Checked;
using support::first;
using support::Ids;
using support::quiet_config;
using support::selected;

TEST_CASE("each level has all checks of the one before", "[checks]") {
    const auto hello = selected(Level::hello);
    const auto standard = selected(Level::standard);
    const auto strict = selected(Level::strict);
    CHECK(hello == Ids{"hello", "stop.idle"});
    CHECK(standard.size() > hello.size());
    for (const auto& id : hello) {
        CHECK_THAT(standard, VectorContains(id));
    }
    for (const auto& id : standard) {
        CHECK_THAT(strict, VectorContains(id));
    }
}

TEST_CASE("without a selection the level strict has all checks, in their order", "[checks]") {
    Ids all;
    for (const auto& check : checks()) {
        if (check.is_asked_for == nullptr && Transports{.tcp = true}.include(check.needs)) {
            all.emplace_back(check.id);
        }
    }
    CHECK(selected(Level::strict) == all);
    CHECK(all.front() == "hello");
}

TEST_CASE("a tool is asked only for what it carries", "[checks]") {
    auto config = quiet_config();
    const auto ids_for = [&](Transports transports) {
        Ids ids;
        for (const auto& check : select(config, checks(), transports)) {
            ids.emplace_back(check.id);
        }
        return ids;
    };
    const auto udp = ids_for({.udp = true});
    CHECK(udp.front() == "datagram.hello");
    CHECK_THAT(udp, VectorContains(std::string{"stop.idle"}));
    CHECK_THAT(udp, !VectorContains(std::string{"hello"}));
    CHECK_THAT(udp, !VectorContains(std::string{"datagram.beside_tcp"}));
    const auto both = ids_for({.tcp = true, .udp = true});
    CHECK(both.size() > udp.size() + ids_for({.tcp = true}).size() - 1);
    CHECK_THAT(both, VectorContains(std::string{"datagram.beside_tcp"}));
    config.only = {"data.*"};
    CHECK_THROWS_WITH(ids_for({.udp = true}), ContainsSubstring("of a tool that carries udp"));
}

TEST_CASE("what a configuration has to ask for is run where it does, at any level", "[checks]") {
    auto config = quiet_config();
    CHECK_THAT(selected(config), !VectorContains(std::string{"data.volume"}));
    config.only = {"data.volume"}; // then it says why it is not applicable
    CHECK(selected(config) == Ids{"data.volume"});
    config.only = {"data.*"};
    CHECK_THAT(selected(config), !VectorContains(std::string{"data.volume"}));
    config.volume = 1;
    CHECK_THAT(selected(config), VectorContains(std::string{"data.volume"}));
    config.only = {};
    CHECK_THAT(selected(config), VectorContains(std::string{"data.volume"}));
    config.except = {"data.volume"};
    CHECK_THAT(selected(config), !VectorContains(std::string{"data.volume"}));
}

TEST_CASE("every check has an id of its own and a title", "[checks]") {
    std::set<std::string_view> ids;
    std::set<std::string_view> titles;
    for (const auto& check : checks()) {
        INFO(check.id);
        CHECK(ids.insert(check.id).second);
        CHECK(titles.insert(check.title).second);
        CHECK_FALSE(check.title.empty());
        CHECK(check.run != nullptr);
        CHECK(check.id.find_first_not_of("abcdefghijklmnopqrstuvwxyz_.") == std::string::npos);
    }
}

TEST_CASE("a check names a member of Traits, or none", "[checks]") {
    const std::set<std::string_view> members{"",
                                             "binds_source",
                                             "passes_eof",
                                             "half_close",
                                             "reset",
                                             "reports_source",
                                             "concurrent",
                                             "serves_again",
                                             "speaks_first",
                                             "refuses",
                                             "connects_eagerly",
                                             "independent_directions",
                                             "no_delay",
                                             "idle_timeout",
                                             "binds_listener",
                                             "buffer_size",
                                             "stops_connections",
                                             "drains",
                                             "keeps_on_reload",
                                             "exit_statuses",
                                             "busy_polls",
                                             "restarts_at_once",
                                             "blocks_on_output",
                                             "datagram_size",
                                             "empty_datagrams",
                                             "several_answers",
                                             "one_source",
                                             "answers_from_listener",
                                             "flow_timeout",
                                             "half_death",
                                             "resolves_again",
                                             "tries_addresses",
                                             "takes_pieces",
                                             "header_in_one_segment",
                                             "longest_header",
                                             "requires_header",
                                             "takes_unknown",
                                             "passes_client_on",
                                             "early_data",
                                             "resolves_names",
                                             "serves_bind",
                                             "announces_content",
                                             "accepts",
                                             "drops_strangers",
                                             "ends_associations"};
    for (const auto& check : checks()) {
        INFO(check.id);
        CHECK(members.count(check.trait) == 1);
    }
}

TEST_CASE("only and except select by patterns, in the order of all", "[checks]") {
    auto config = quiet_config();
    SECTION("an id is a pattern for itself") {
        config.only = {"idle"};
        CHECK(selected(config) == Ids{"idle"});
    }
    SECTION("a star stands for anything") {
        config.only = {"*.up"};
        CHECK(selected(config) ==
              Ids{"data.bulk.up", "close.half.up", "close.tail.up", "flow.pressure.up"});
    }
    SECTION("any of several patterns will do") {
        config.only = {"close.tail.*", "data.b*.down"};
        CHECK(selected(config) == Ids{"data.bulk.down", "close.tail.up", "close.tail.down"});
    }
    SECTION("except takes away from only") {
        config.only = {"data.*"};
        config.except = {"data.bulk.*", "*x*"};
        CHECK(selected(config) == Ids{"data.bytes", "data.ping_pong", "data.tiny"});
    }
    SECTION("except alone takes away from all") {
        config.except = {"*.*"};
        CHECK(selected(config) == Ids{"hello", "idle"});
    }
}

TEST_CASE("a pattern matches the whole id", "[checks]") {
    using detail::matches;
    CHECK(matches("*", ""));
    CHECK(matches("*", "data.bytes"));
    CHECK(matches("data.*", "data.bytes"));
    CHECK(matches("d*t*s", "data.bytes"));
    CHECK(matches("data.bytes*", "data.bytes"));
    CHECK(matches("*a*a*", "data"));
    CHECK_FALSE(matches("data", "data.bytes"));
    CHECK_FALSE(matches("bytes", "data.bytes"));
    CHECK_FALSE(matches("data.*x", "data.bytes"));
    CHECK_FALSE(matches("*a*a*a*", "data"));
    CHECK_FALSE(matches("Data.*", "data.bytes"));
    CHECK_FALSE(matches("", "data"));
}

TEST_CASE("a pattern that matches no check is an error that lists all of them", "[checks]") {
    auto config = quiet_config();
    auto& patterns = GENERATE(true, false) ? config.only : config.except;
    patterns = {"data.*", "no.such.*"};
    CHECK_THROWS_AS(selected(config), InvalidConfig);
    CHECK_THROWS_WITH(
        selected(config),
        StartsWith("'no.such.*' matches no check; there are: hello, datagram.hello, address.") &&
            ContainsSubstring(", stop.idle, "));
}

TEST_CASE("where no check is left the error tells the selection", "[checks]") {
    auto config = quiet_config();
    SECTION("by the level") {
        config.level = Level::hello;
        config.only = {"data.*", "idle"};
        CHECK_THROWS_WITH(selected(config),
                          "no check is left to be run at level hello with only = "
                          "{data.*, idle}, except = {}");
    }
    SECTION("by except") {
        config.except = {"*"};
        CHECK_THROWS_WITH(selected(config),
                          "no check is left to be run at level standard with "
                          "only = {}, except = {*}");
    }
    CHECK_THROWS_AS(selected(config), InvalidConfig);
}

TEST_CASE("a wrong selection is told before a tool is started", "[checks]") {
    auto config = quiet_config();
    config.only = {"no.such"};
    Checked tunnel{{first()}, "none", config};
    CHECK_THROWS_AS(tunnel.run_all(), InvalidConfig);
    CHECK_THROWS_AS(tunnel.run(), InvalidConfig);
    CHECK_THROWS_AS(static_cast<void>(tunnel.run_pair(any_pair(config))), InvalidConfig);
    CHECK(tunnel.started.empty());
}

TEST_CASE("a level is parsed from its name, and from nothing else", "[checks]") {
    for (const auto level : {Level::hello, Level::standard, Level::strict}) {
        CHECK(parse_level(text_of(level)) == level);
    }
    const auto* const wrong = GENERATE("", "Hello", "strict ", "all", "2");
    CHECK_THROWS_AS(parse_level(wrong), InvalidConfig);
    CHECK_THROWS_WITH(parse_level(wrong),
                      fmt::format("'{}' is no level: there are hello, standard and strict", wrong));
}
