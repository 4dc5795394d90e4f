// What a user reads when a check fails, as it was agreed on: tests/failure_texts has a file for
// each check. Those that have changed are written anew with TEST_TUNNEL_ACCEPT_TEXTS=1; read them.

#include <test_tunnel/tunnel.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "support/faulty_tunnel.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using support::FaultyTunnel;

namespace {

/// A part of a text that is another one each time, and what stands for it.
struct Varying {
    std::string pattern;
    std::string name;
};

/// A check, and a fault that it was made for.
struct Case {
    std::string check;
    std::string behaviour;
    std::string mode = "forward";
    /// strict also for what has a second at standard, which a busy machine may need for less.
    Level level = Level::standard;
    std::vector<Varying> varying{};
    /// The member of Traits that the text must name.
    std::string trait{};
};

std::ostream& operator<<(std::ostream& out, const Case& entry) {
    return out << entry.check << " with " << entry.behaviour;
}

/// How many bytes there were depends on the system's buffers.
const Varying counts{"[0-9]+ (of|bytes|read|and)\\b", "N $1"};
/// Where the bytes begin that have come depends on how they were cut up.
const Varying dump{"(\n[0-9a-f]{8}  [^\n]*)+", "\nHEXDUMP"};
const Varying direction{"client → server|server → client", "ONE WAY"};
const Varying connection{"connection [0-9]+, ONE WAY", "connection K, ONE WAY"};

std::vector<Case> cases() {
    constexpr auto strict = Level::strict;
    return {
        {.check = "hello", .behaviour = "changes-up"},
        {.check = "address.source", .behaviour = "forgets-source", .trait = "binds_source"},
        {.check = "address.binding",
         .behaviour = "second-port",
         .level = strict,
         .trait = "binds_listener"},
        {.check = "data.bulk.up", .behaviour = "corrupts-late-up", .varying = {dump}},
        {.check = "data.bulk.down",
         .behaviour = "stops-at-64k-down",
         .varying = {{"[0-9]+ of [0-9]+ bytes written", "N of N bytes written"}}},
        {.check = "data.bytes", .behaviour = "loses-carriage-returns", .varying = {direction}},
        {.check = "data.ping_pong", .behaviour = "stops-after-500-turns", .level = strict},
        {.check = "data.tiny", .behaviour = "loses-small-pieces"},
        {.check = "data.duplex",
         .behaviour = "stalls-in-duplex",
         .level = strict,
         .varying = {counts}},
        {.check = "data.extra", .behaviour = "announces-timeout", .level = strict},
        {.check = "close.half.up", .behaviour = "one-answer-after-end", .level = strict},
        // The answer that is lost is the first one, on a machine that is slow.
        {.check = "close.half.down",
         .behaviour = "loses-late-requests",
         .varying = {{"late answer|answer after the half-close", "AN ANSWER"}, counts},
         .trait = "half_close"},
        {.check = "close.half.bulk",
         .behaviour = "cuts-echo-at-end",
         .varying = {{"(write \\(.*\\): [A-Z][a-z ]*; )?end of stream, ", "HOW, "}, counts}},
        {.check = "close.tail.up", .behaviour = "loses-tail-up", .varying = {counts}},
        {.check = "close.tail.down", .behaviour = "loses-tail-down", .varying = {counts}},
        {.check = "reset.client.early", .behaviour = "dies-of-early-reset"},
        {.check = "reset.client.idle", .behaviour = "hides-client-reset"},
        {.check = "reset.client.bulk",
         .behaviour = "hides-client-reset-in-bulk",
         .varying = {counts}},
        {.check = "reset.server.idle", .behaviour = "hides-server-reset"},
        {.check = "reset.server.bulk",
         .behaviour = "hides-server-reset-in-bulk",
         .varying = {counts}},
        {.check = "flow.pressure.up",
         .behaviour = "unbounded-up",
         .level = strict,
         .varying = {counts},
         .trait = "buffer_size"},
        {.check = "flow.pressure.down",
         .behaviour = "unbounded-down",
         .level = strict,
         .varying = {counts},
         .trait = "buffer_size"},
        {.check = "connections.burst", .behaviour = "one-of-burst"},
        // Whose bytes they are is known where there are a few of them.
        {.check = "connections.isolation",
         .behaviour = "crosses-connections",
         .varying = {direction,
                     connection,
                     counts,
                     dump,
                     {"offset [0-9]+", "offset N"},
                     {" on(; these are bytes of connection K, ONE WAY)?\n",
                      " on (these are bytes of connection K, ONE WAY)\n"}}},
        {.check = "connections.stalled", .behaviour = "one-stalled-stalls-all", .varying = {dump}},
        {.check = "connections.reset", .behaviour = "one-reset-ends-all"},
        {.check = "connections.one_to_one",
         .behaviour = "dials-early",
         .mode = "socks5",
         .level = strict,
         .trait = "connects_eagerly"},
        {.check = "connections.reuse", .behaviour = "stops-after-60", .level = strict},
        {.check = "connections.silent", .behaviour = "waits-for-silent", .varying = {dump}},
        {.check = "target.unreachable", .behaviour = "hangs-when-unreachable"},
        {.check = "target.resets", .behaviour = "hangs-when-target-resets", .trait = "passes_eof"},
        {.check = "target.late", .behaviour = "loses-early-data", .level = strict},
        {.check = "target.silent", .behaviour = "closes-when-target-silent"},
        // Either end may be the first to see it, or both.
        {.check = "idle",
         .behaviour = "closes-when-idle",
         .varying = {direction, {"(ONE WAY: [^\n]*)(\n\\1)?", "$1 (at one end, or both)"}},
         .trait = "idle_timeout"},
        {.check = "handshake.glued", .behaviour = "data-before-reply", .mode = "socks5"},
        {.check = "handshake.password",
         .behaviour = "accepts-any-password",
         .mode = "socks5-password",
         .trait = "accepts"},
        // Whether it is told by the end or by a reset is a matter of time.
        {.check = "handshake.cut",
         .behaviour = "needs-whole-messages",
         .mode = "socks5",
         .level = strict,
         .varying = {{"(takes_pieces = false\\))[^]*", "$1\nHOW\n"}},
         .trait = "takes_pieces"},
        {.check = "handshake.early_data",
         .behaviour = "loses-data-after-request",
         .mode = "socks5",
         .level = strict,
         .trait = "early_data"},
        {.check = "handshake.name",
         .behaviour = "cuts-long-names",
         .mode = "socks5",
         .level = strict,
         .trait = "resolves_names"},
        {.check = "handshake.limits",
         .behaviour = "counts-methods-to-127",
         .mode = "socks5",
         .level = strict,
         .trait = "accepts"},
        {.check = "handshake.invalid",
         .behaviour = "ignores-address-type",
         .mode = "socks5",
         .level = strict,
         .trait = "accepts"},
        {.check = "handshake.truncated",
         .behaviour = "serves-truncated",
         .mode = "socks5",
         .level = strict,
         .trait = "accepts"},
        {.check = "stop.idle", .behaviour = "ignores-sigterm"},
        {.check = "stop.busy", .behaviour = "ignores-sigterm-when-busy"},
    };
}

/// The text without what differs from one run, or one machine, to the next.
std::string normalized(std::string text, const Case& entry) {
    std::vector<Varying> all{
        {"(([0-9]+\\.){3}[0-9]+|\\[[0-9a-f:]+\\]):[0-9]+", "ADDRESS:PORT"},
        {"\\b([0-9]+\\.){3}[0-9]+\\b", "ADDRESS"},
        {"\\b[0-9]+(\\.[0-9]+)? (ms|s)\\b", "TIME"},
        {"\\([0-9]+\\)|process [0-9]+", "(PID)"},
    };
    all.insert(all.end(), entry.varying.begin(), entry.varying.end());
    for (const auto& [pattern, name] : all) {
        text = std::regex_replace(text, std::regex{pattern}, name);
    }
    return text;
}

CheckResult result_of(const Case& entry) {
    ConfigProg config;
    config.log->set_level(spdlog::level::off);
    config.level = entry.level;
    config.only = {entry.check};
    config.seed = 1;
    config.idle = 2s;
    config.timeouts.connect = 5s;
    config.timeouts.io = 1s;
    config.timeouts.stop = 1s;
    config.timeouts.linger = 500ms;
    FaultyTunnel tunnel{config, entry.behaviour, entry.mode};
    return tunnel.run_pair(discover_pairs(config).front()).checks.at(0);
}

std::string file_of(const Case& entry) {
    return fmt::format("{}/{}.txt", FAILURE_TEXTS, entry.check);
}

std::string golden_text(const Case& entry) {
    std::ifstream file{file_of(entry)};
    return {std::istreambuf_iterator<char>{file}, {}};
}

void check_texts(const std::string& pattern) {
    std::vector<Case> some;
    for (const auto& entry : cases()) {
        if (detail::matches(pattern, entry.check)) {
            some.push_back(entry);
        }
    }
    const auto entry = GENERATE_COPY(from_range(some));
    INFO(entry);
    const auto result = result_of(entry);
    INFO(result.account);
    if (entry.check == "handshake.name" && result.outcome == Outcome::not_applicable) {
        SKIP(result.account); // no hosts file of the network's own could be mounted
    }
    REQUIRE(result.outcome == Outcome::failed);
    CHECK_FALSE(result.expected.empty());
    CHECK_FALSE(result.actual.empty());
    if (!entry.trait.empty()) {
        CHECK_THAT(result.expected + result.actual, ContainsSubstring("Traits::" + entry.trait));
    }
    const auto text =
        normalized(fmt::format("{} with {}\nstep: {}\nexpected: {}\nactual: {}\n", entry.check,
                               entry.behaviour, result.step, result.expected, result.actual),
                   entry);
    const char* accept = std::getenv("TEST_TUNNEL_ACCEPT_TEXTS");
    if (accept != nullptr && *accept == '1') {
        std::ofstream{file_of(entry)} << text;
    }
    CHECK(text == golden_text(entry));
}

} // namespace

TEST_CASE("every check has its failure's text, and no other has one", "[failure_texts]") {
    std::multiset<std::string> known;
    for (const auto& entry : cases()) {
        known.insert(entry.check);
    }
    std::multiset<std::string> all;
    for (const auto& check : checks()) {
        all.emplace(check.id);
    }
    CHECK(known == all);
}

// In several tests, which are run at once.

TEST_CASE("the failure texts of greetings and addresses", "[failure_texts]") {
    check_texts(GENERATE("hello", "address.*"));
}

TEST_CASE("the failure texts of data", "[failure_texts]") {
    check_texts("data.*");
}

TEST_CASE("the failure texts of closing", "[failure_texts]") {
    check_texts("close.*");
}

TEST_CASE("the failure texts of resets", "[failure_texts]") {
    check_texts("reset.*");
}

TEST_CASE("the failure texts of flow control", "[failure_texts]") {
    check_texts("flow.*");
}

TEST_CASE("the failure texts of many connections", "[failure_texts]") {
    check_texts("connections.*");
}

TEST_CASE("the failure texts of targets", "[failure_texts]") {
    check_texts("target.*");
}

TEST_CASE("the failure texts of handshakes", "[failure_texts]") {
    check_texts("handshake.*");
}

TEST_CASE("the failure texts of silence and stopping", "[failure_texts]") {
    check_texts(GENERATE("idle", "stop.*"));
}
