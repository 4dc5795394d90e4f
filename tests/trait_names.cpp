// Traits by name, as reports and command lines have them.

#include <test_tunnel/trait_names.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <string>
#include <vector>

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Message;
using Catch::Matchers::MessageMatches;

namespace {

/// One that differs from what needs no declaration in every trait.
Traits odd_in_all() {
    Traits traits;
    traits.binds_source = false;
    traits.passes_eof = false;
    traits.half_close = HalfClose::timed;
    traits.reset = ResetShows::as_end;
    traits.reports_source = ReportsSource::destination;
    traits.concurrent = false;
    traits.serves_again = false;
    traits.speaks_first = true;
    traits.connects_eagerly = true;
    traits.refuses = Refuses::by_end;
    traits.independent_directions = false;
    traits.no_delay = false;
    traits.idle_timeout = 1500ms;
    traits.binds_listener = false;
    traits.stops_connections = false;
    traits.buffer_size = 3U * 1024 * 1024;
    traits.exit_statuses = {0, 1, 143};
    traits.takes_pieces = false;
    traits.early_data = EarlyData::with_request;
    traits.resolves_names = false;
    traits.accepts = {"socks5.request.port_0", "socks5.request.version"};
    return traits;
}

const std::vector<NamedTrait> all_names{
    {"binds_source", "false"},
    {"passes_eof", "false"},
    {"half_close", "timed"},
    {"reset", "as_end"},
    {"reports_source", "destination"},
    {"concurrent", "false"},
    {"serves_again", "false"},
    {"speaks_first", "true"},
    {"connects_eagerly", "true"},
    {"refuses", "by_end"},
    {"independent_directions", "false"},
    {"no_delay", "false"},
    {"idle_timeout", "1.5s"},
    {"binds_listener", "false"},
    {"stops_connections", "false"},
    {"buffer_size", "3MiB"},
    {"exit_statuses", "0,1,143"},
    {"takes_pieces", "false"},
    {"early_data", "with_request"},
    {"resolves_names", "false"},
    {"accepts", "socks5.request.port_0,socks5.request.version"}};

} // namespace

TEST_CASE("each trait has its own name and its value's", "[trait_names]") {
    CHECK(declared_traits(Traits{}).empty());
    CHECK(declared_traits(odd_in_all()) == all_names);
    CHECK(trait_names().size() == all_names.size());
}

TEST_CASE("traits are declared by name, as they are written", "[trait_names]") {
    Traits traits;
    for (const auto& [name, value] : all_names) {
        declare(traits, fmt::format("{}={}", name, value));
    }
    CHECK(declared_traits(traits) == all_names);
    CHECK(traits.idle_timeout == 1500ms);
    CHECK(traits.exit_statuses == std::vector<int>{0, 1, 143});
    for (const auto& trait : trait_names()) {
        declare(traits, trait.name, "undeclared");
    }
    // That a tool binds its source is demanded unless it is declared otherwise.
    CHECK(declared_traits(traits) == std::vector<NamedTrait>{{"binds_source", "undeclared"}});
}

TEST_CASE("times and sizes have units", "[trait_names]") {
    Traits traits;
    declare(traits, "idle_timeout=250ms");
    CHECK(traits.idle_timeout == 250ms);
    declare(traits, "idle_timeout=2min");
    CHECK(traits.idle_timeout == 2min);
    declare(traits, "idle_timeout=0.5s");
    CHECK(traits.idle_timeout == 500ms);
    declare(traits, "buffer_size=512KiB");
    CHECK(traits.buffer_size == 512U * 1024);
    declare(traits, "buffer_size=1000");
    CHECK(traits.buffer_size == 1000);
    CHECK(declared_traits(traits) ==
          std::vector<NamedTrait>{{"idle_timeout", "0.5s"}, {"buffer_size", "1000"}});
}

TEST_CASE("what is no trait, or none of its values, is refused with those there are",
          "[trait_names]") {
    Traits traits;
    CHECK_THROWS_MATCHES(
        declare(traits, "half_closed=timed"), InvalidConfig,
        MessageMatches(ContainsSubstring("'half_closed' is no trait; there are: binds_source, ") &&
                       ContainsSubstring(", half_close, ")));
    CHECK_THROWS_MATCHES(
        declare(traits, "half_close=time"), InvalidConfig,
        Message("'time' is no value of the trait half_close: it takes full, timed, none, or "
                "undeclared"));
    CHECK_THROWS_MATCHES(declare(traits, "half_close"), InvalidConfig,
                         MessageMatches(ContainsSubstring("as half_close=timed")));
    for (const auto* const wrong :
         {"concurrent=", "concurrent=yes", "idle_timeout=", "idle_timeout=3", "idle_timeout=-1s",
          "idle_timeout=nans", "idle_timeout=infs", "idle_timeout=1e300min", "buffer_size=-1",
          "buffer_size=1MB", "buffer_size=17179869184GiB", "exit_statuses=", "exit_statuses=0,",
          "exit_statuses=256", "exit_statuses=0;1", "=true", ""}) {
        INFO(wrong);
        CHECK_THROWS_AS(declare(traits, wrong), InvalidConfig);
    }
    CHECK(declared_traits(traits).empty());
}
