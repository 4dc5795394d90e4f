// Traits by name, as reports and command lines have them.

#include <test_tunnel/config/trait_names.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <cstddef>
#include <optional>
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
    traits.drains = true;
    traits.keeps_on_reload = false;
    traits.buffer_size = 3U * 1024 * 1024;
    traits.exit_statuses = {0, 1, 143};
    traits.busy_polls = true;
    traits.restarts_at_once = false;
    traits.keep_alive = true;
    traits.blocks_on_output = true;
    traits.datagram_size = 1500;
    traits.empty_datagrams = false;
    traits.several_answers = false;
    traits.one_source = false;
    traits.answers_from_listener = false;
    traits.flow_timeout = 2s;
    traits.half_death = ResetShows::as_end;
    traits.comes_back_within = 30s;
    traits.resolves_again = false;
    traits.tries_addresses = false;
    traits.header_in_one_segment = true;
    traits.longest_header = 107;
    traits.requires_header = false;
    traits.takes_unknown = false;
    traits.passes_client_on = false;
    traits.takes_pieces = false;
    traits.early_data = EarlyData::with_request;
    traits.resolves_names = false;
    traits.serves_bind = true;
    traits.announces_content = true;
    traits.accepts = {"socks5.request.port_0", "socks5.request.version"};
    traits.drops_strangers = false;
    traits.ends_associations = false;
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
    {"drains", "true"},
    {"keeps_on_reload", "false"},
    {"buffer_size", "3MiB"},
    {"exit_statuses", "0,1,143"},
    {"busy_polls", "true"},
    {"restarts_at_once", "false"},
    {"blocks_on_output", "true"},
    {"keep_alive", "true"},
    {"datagram_size", "1500"},
    {"empty_datagrams", "false"},
    {"several_answers", "false"},
    {"one_source", "false"},
    {"answers_from_listener", "false"},
    {"flow_timeout", "2s"},
    {"half_death", "as_end"},
    {"comes_back_within", "30s"},
    {"resolves_again", "false"},
    {"tries_addresses", "false"},
    {"header_in_one_segment", "true"},
    {"longest_header", "107"},
    {"requires_header", "false"},
    {"takes_unknown", "false"},
    {"passes_client_on", "false"},
    {"takes_pieces", "false"},
    {"early_data", "with_request"},
    {"resolves_names", "false"},
    {"serves_bind", "true"},
    {"announces_content", "true"},
    {"accepts", "socks5.request.port_0,socks5.request.version"},
    {"drops_strangers", "false"},
    {"ends_associations", "false"},
};

} // namespace

TEST_CASE("each trait has its own name and its value's", "[trait_names]") {
    CHECK(declared_traits(Traits{}).empty());
    CHECK(declared_traits(odd_in_all()) == all_names);
    const auto names = trait_names();
    CHECK(std::count_if(names.begin(), names.end(), [](const NamedTrait& each) {
              return each.name.find('.') == std::string::npos;
          }) == static_cast<std::ptrdiff_t>(all_names.size()));
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

TEST_CASE("what differs by the direction is declared for one of them, or for both",
          "[trait_names]") {
    Traits traits;
    declare(traits, "passes_eof.down=false");
    CHECK_FALSE(traits.passes_eof.up);
    CHECK(traits.passes_eof.down == false);
    declare(traits, "half_close.up=none");
    declare(traits, "half_close.down=full");
    declare(traits, "reset=as_end");
    const std::vector<NamedTrait> declared{{"passes_eof.down", "false"},
                                           {"half_close.up", "none"},
                                           {"half_close.down", "full"},
                                           {"reset", "as_end"}};
    CHECK(declared_traits(traits) == declared);
    Traits again;
    for (const auto& [name, value] : declared) {
        declare(again, name, value);
    }
    CHECK(declared_traits(again) == declared);
    declare(again, "half_close.up=full");
    CHECK(again.half_close == HalfClose::full);
    declare(again, "passes_eof.down=undeclared");
    CHECK_FALSE(again.passes_eof.down);
    CHECK_THROWS_MATCHES(declare(traits, "half_close.up=time"), InvalidConfig,
                         Message("'time' is no value of the trait half_close.up: it takes full, "
                                 "timed, none, or undeclared"));
    CHECK_THROWS_AS(declare(traits, "half_close.left=full"), InvalidConfig);
    CHECK_THROWS_AS(declare(traits, "concurrent.up=false"), InvalidConfig);
}

TEST_CASE("in C++, a plain value declares both directions, and two braces one", "[trait_names]") {
    const Traits both{.passes_eof = false, .half_close = std::optional{HalfClose::timed}};
    CHECK(both.passes_eof.up == false);
    CHECK(both.passes_eof.down == false);
    CHECK(both.half_close == HalfClose::timed);
    CHECK(both.half_close.is_one());
    const Traits one{.passes_eof = {{.down = false}}, .reset = {}};
    CHECK_FALSE(one.passes_eof.up);
    CHECK(one.passes_eof.in(Direction::down) == false);
    CHECK_FALSE(one.passes_eof.is_one());
    Traits changed = both;
    changed.half_close = HalfClose::none;
    changed.half_close.up.reset();
    changed.passes_eof = std::nullopt;
    CHECK(declared_traits(changed) == std::vector<NamedTrait>{{"half_close.down", "none"}});
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
