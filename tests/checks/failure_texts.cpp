// What a user reads when a check fails, as it was agreed on: tests/checks/failure_texts has a file
// for each check. Those that have changed are written anew with TEST_TUNNEL_ACCEPT_TEXTS=1; read
// them.

#include <test_tunnel/run/detail/id_pattern.hpp>
#include <test_tunnel/run/tunnel.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "associate_cases.hpp"
#include "failure_cases_connection.hpp"
#include "failure_cases_datagram.hpp"
#include "faulty_tunnels.hpp"
#include "support/quiet_config.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

std::vector<Case> cases() {
    auto result = connection_cases();
    for (auto& entry : datagram_cases()) {
        result.push_back(std::move(entry));
    }
    for (const auto& [check, behaviour, level, trait] : associate_cases) {
        result.push_back({check,
                          behaviour,
                          "associate",
                          level,
                          {counts, {"[0-9]+(, [0-9]+| clients)+", "N"}},
                          trait});
    }
    return result;
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
    auto config = support::quiet_config(entry.level);
    config.only = {entry.check};
    config.seed = 1;
    config.idle = 2s;
    config.volume = std::uint64_t{48} << 20U;
    config.timeouts.connect = 5s;
    config.timeouts.io = is_tls(entry.mode) ? 5s : 1s; // a slow machine takes long for keys
    config.timeouts.stop = 1s;
    config.timeouts.linger = 500ms;
    return make_tunnel(config, entry.behaviour, entry.mode, {})
        ->run_pair(discover_pairs(config).front())
        .checks.at(0);
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
        if (detail::matches(pattern, entry.check) && (can_have_tls || !is_tls(entry.mode))) {
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
        INFO(file_of(entry));
        CHECK_FALSE(golden_text(entry).empty());
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

TEST_CASE("the failure texts of resets and flow control", "[failure_texts]") {
    check_texts(GENERATE("reset.*", "flow.*"));
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

TEST_CASE("the failure texts of upstream proxies", "[failure_texts]") {
    check_texts("upstream.*");
}

#if DETECTION_HAS_TLS
TEST_CASE("the failure texts of TLS", "[failure_texts]") {
    check_texts("tls.*");
}
#endif

TEST_CASE("the failure texts of PROXY headers", "[failure_texts]") {
    check_texts("proxy.*");
}

TEST_CASE("the failure texts of silence and stopping", "[failure_texts]") {
    check_texts(GENERATE("idle", "stop.*"));
}

TEST_CASE("the failure texts of datagrams", "[failure_texts]") {
    check_texts("datagram.*");
}

TEST_CASE("the failure texts of resources", "[failure_texts]") {
    check_texts(GENERATE("resources.*", "life.*"));
}

TEST_CASE("the failure texts of associations", "[failure_texts]") {
    check_texts("associate.*");
}
