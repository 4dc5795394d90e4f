// The checks of handshakes on tools that are correct, that differ, or that are declared to.

#include <test_tunnel/run/tunnel.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <string>

#include "support/runs.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using support::notes_of;

namespace {

struct Trial {
    std::string check;
    std::string behaviour = "none";
    std::string mode = "socks5";
    Traits traits{};
};

CheckResult result_of(const Trial& trial) {
    return support::run_check(trial.check, Level::strict, trial.behaviour, trial.mode,
                              trial.traits);
}

} // namespace

TEST_CASE("a tool without a protocol of the library's is not asked for one", "[handshake_checks]") {
    const auto* const check = GENERATE("handshake.targets", "handshake.glued", "handshake.cut",
                                       "handshake.invalid", "handshake.name", "handshake.password");
    const auto result = result_of({.check = check, .mode = "forward"});
    CHECK(result.outcome == Outcome::not_applicable);
    CHECK_THAT(result.account, ContainsSubstring("TestTunnel::protocol"));
}

TEST_CASE("passwords are tried where there is one", "[handshake_checks]") {
    const std::string mode = GENERATE("socks5", "connect");
    CHECK(result_of({.check = "handshake.password", .mode = mode}).outcome ==
          Outcome::not_applicable);
    const auto result = result_of({.check = "handshake.password", .mode = mode + "-password"});
    INFO(result.account);
    CHECK(result.outcome == Outcome::passed);
}

TEST_CASE("a request that is known to be accepted passes, and is noted", "[handshake_checks]") {
    const Trial trial{.check = "handshake.invalid",
                      .behaviour = "cuts-names-at-nul",
                      .traits = {.accepts = {"socks5.request.nul_in_name"}}};
    const auto result = result_of(trial);
    INFO(result.account);
    CHECK(result.outcome == Outcome::passed);
    CHECK_THAT(notes_of(result),
               ContainsSubstring("not as it should be, as declared (Traits::accepts = "
                                 "{\"socks5.request.nul_in_name\"})"));
}

TEST_CASE("a tool that refuses what it is declared to accept is better", "[handshake_checks]") {
    const auto result = result_of(
        {.check = "handshake.invalid", .traits = {.accepts = {"socks5.request.nul_in_name"}}});
    INFO(result.account);
    CHECK(result.outcome == Outcome::passed);
    CHECK_THAT(notes_of(result), ContainsSubstring("better than declared (Traits::accepts = "));
}

TEST_CASE("what is declared to be accepted excuses nothing else", "[handshake_checks]") {
    const auto result = result_of({.check = "handshake.invalid",
                                   .behaviour = "ignores-address-type",
                                   .traits = {.accepts = {"socks5.request.type_0"}}});
    CHECK(result.outcome == Outcome::failed);
    CHECK_THAT(result.actual,
               ContainsSubstring(
                   "Traits::accepts = {\"socks5.request.type_2\", \"socks5.request.type_255\"}"));
}

TEST_CASE("a client who is kept waiting can be declared, too", "[handshake_checks]") {
    const auto result = result_of(
        {.check = "handshake.truncated",
         .behaviour = "hangs-on-truncated",
         .traits = {.accepts = {"socks5.greeting.truncated", "socks5.request.truncated"}}});
    INFO(result.account);
    CHECK(result.outcome == Outcome::passed);
}

TEST_CASE("the rest is not tried where too many requests are left without an answer",
          "[handshake_checks]") {
    const auto result = result_of(
        {.check = "handshake.invalid", .behaviour = "hangs-on-nonsense", .mode = "connect"});
    CHECK(result.outcome == Outcome::failed);
    CHECK_THAT(result.actual, EndsWith("on, were not tried)"));
}

TEST_CASE("a name in accepts that no request has is told", "[handshake_checks]") {
    CHECK_THROWS_AS(result_of({.check = "handshake.invalid", .traits = {.accepts = {"socks5.x"}}}),
                    InvalidConfig);
    CHECK_THROWS_WITH(
        result_of({.check = "handshake.invalid", .traits = {.accepts = {"socks5.x"}}}),
        ContainsSubstring("'socks5.x'") && ContainsSubstring("http.port.wrapped"));
}

TEST_CASE("what the RFCs leave to the server is noted, and no failure", "[handshake_checks]") {
    const auto result = result_of({.check = "handshake.invalid", .mode = "connect"});
    INFO(result.account);
    CHECK(result.outcome == Outcome::passed);
    CHECK_THAT(
        notes_of(result),
        ContainsSubstring("lines that end in a bare LF (RFC 9112 §2.2): served, as it may be"));
}

TEST_CASE("declared as they are, tools that differ pass", "[handshake_checks]") {
    const auto trial = GENERATE(
        Trial{"handshake.cut", "needs-whole-messages", "socks5", {.takes_pieces = false}},
        Trial{"handshake.cut", "needs-whole-messages", "connect", {.takes_pieces = false}},
        Trial{"handshake.cut", "needs-whole-messages", "socks4", {.takes_pieces = false}},
        Trial{"handshake.early_data", "reads-ahead", "socks5", {.early_data = EarlyData::none}},
        Trial{"handshake.early_data", "reads-ahead", "connect", {.early_data = EarlyData::none}},
        Trial{"handshake.early_data",
              "waits-its-turn",
              "socks5",
              {.early_data = EarlyData::with_request}},
        Trial{"handshake.success", "announces-chunks", "connect", {.announces_content = true}},
        Trial{"handshake.after_refusal",
              "ends-instead-of-refusing",
              "socks5",
              {.accepts = {"socks5.refusal.no_reply"}}},
        Trial{"handshake.after_refusal",
              "hides-wrong-password",
              "socks5-password",
              {.accepts = {"socks5.password.no_reply"}}},
        Trial{"handshake.retry",
              "ends-instead-of-retry",
              "connect-password",
              {.accepts = {"http.retry.not_served"}}},
        Trial{"handshake.retry",
              "sends-half-a-content",
              "connect-password",
              {.accepts = {"http.retry.content"}}},
        Trial{"handshake.name", "knows-no-names", "socks5", {.resolves_names = false}});
    CAPTURE(trial.check, trial.behaviour, trial.mode);
    const auto result = result_of(trial);
    INFO(result.account);
    if (trial.check == "handshake.name" && result.outcome == Outcome::not_applicable) {
        SKIP(result.account); // no hosts file of the network's own could be mounted
    }
    CHECK(result.outcome == Outcome::passed);
    CHECK_THAT(notes_of(result), ContainsSubstring("(declared: Traits::"));
}

TEST_CASE("declared worse than they are, tools are better", "[handshake_checks]") {
    const auto trial = GENERATE(
        Trial{"handshake.cut", "none", "socks5", {.takes_pieces = false}},
        Trial{"handshake.early_data", "none", "connect", {.early_data = EarlyData::none}},
        Trial{"handshake.early_data", "waits-its-turn", "socks5", {.early_data = EarlyData::none}});
    CAPTURE(trial.check, trial.behaviour, trial.mode);
    const auto result = result_of(trial);
    INFO(result.account);
    CHECK(result.outcome == Outcome::passed);
    CHECK_THAT(notes_of(result), ContainsSubstring("better than declared (Traits::"));
}

TEST_CASE("what some clients need and no RFC demands is a note", "[handshake_checks]") {
    const auto literal =
        result_of({.check = "handshake.spelling", .behaviour = "knows-no-literals"});
    INFO(literal.account);
    CHECK(literal.outcome == Outcome::passed);
    CHECK_THAT(notes_of(literal), ContainsSubstring("as a domain name (RFC 1928 §5): not served"));
    const auto name = result_of({.check = "handshake.success", .behaviour = "reply-with-name"});
    CHECK(name.outcome == Outcome::passed);
    CHECK_THAT(notes_of(name), ContainsSubstring("tells by a name from where it connects"));
}

TEST_CASE("a tool that has one target only is not asked for two", "[handshake_checks]") {
    const auto result =
        result_of({.check = "handshake.targets", .behaviour = "serves-its-target-only"});
    INFO(result.account);
    CHECK(result.outcome == Outcome::not_applicable);
    CHECK_THAT(result.account, ContainsSubstring("it was asked for one target only"));
}

TEST_CASE("what is declared to get lost may not arrive changed", "[handshake_checks]") {
    const auto result = result_of({.check = "handshake.early_data",
                                   .behaviour = "mangles-early-data",
                                   .mode = "socks5",
                                   .traits = {.early_data = EarlyData::none}});
    INFO(result.account);
    CHECK(result.outcome == Outcome::failed);
    CHECK_THAT(result.actual, ContainsSubstring("which nobody has written"));
}
