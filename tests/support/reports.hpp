#pragma once

#include <test_tunnel/report/report.hpp>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace support {

/// Reports that nobody had to run a tool for.
inline test_tunnel::AddrPort addr_port(const std::string& address, const std::string& client,
                                       std::uint16_t port) {
    test_tunnel::AddrPort result;
    result.address = test_tunnel::Address::parse(address);
    result.svc_port = port;
    result.proxy_port = static_cast<std::uint16_t>(port + 1);
    result.clients = {test_tunnel::Address::parse(client)};
    return result;
}

/// "4→4" or, where `listens_v6`, "6→4".
inline test_tunnel::PairResult pair_result(std::vector<test_tunnel::CheckResult> checks,
                                           const std::string& listen = "127.0.0.1") {
    using namespace std::chrono_literals;
    test_tunnel::PairResult result;
    const bool is_v6 = listen.find(':') != std::string::npos;
    result.pair = {addr_port(listen, is_v6 ? "2001:db8::1" : "192.0.2.1", 6374),
                   addr_port("192.0.2.1", "192.0.2.2", 6376)};
    result.checks = std::move(checks);
    result.duration = 250ms;
    result.seed = 18446744073709551615U;
    return result;
}

inline test_tunnel::CheckResult passed_check(std::string id, test_tunnel::Duration duration = {}) {
    test_tunnel::CheckResult result;
    result.id = std::move(id);
    result.title = "what must come of it";
    result.duration = duration;
    return result;
}

inline test_tunnel::CheckResult other_check(std::string id, test_tunnel::Outcome outcome,
                                            std::string reason) {
    auto result = passed_check(std::move(id));
    result.outcome = outcome;
    result.account = std::move(reason);
    return result;
}

/// With all texts of a failure that can hold something of the tool's.
inline test_tunnel::CheckResult failed_check(std::string id, const std::string& text) {
    using namespace std::chrono_literals;
    using test_tunnel::Party;
    auto result = passed_check(std::move(id), 40ms);
    result.outcome = test_tunnel::Outcome::failed;
    result.step = "echo";
    result.expected = "the bytes that were written";
    result.actual = text;
    result.account = "the whole account: " + text;
    result.steps = {{"listen", "the server can listen", Party::server, Party::server, 0ms},
                    {"connect", "the tool accepts", Party::client, Party::tool, 1ms},
                    {"echo", "it comes back", Party::server, Party::client, 2500us}};
    return result;
}

/// One run of four checks on two pairs: one check has failed on the first of them.
inline test_tunnel::Report report(const std::string& text = "other bytes") {
    using namespace std::chrono_literals;
    using test_tunnel::Outcome;
    test_tunnel::Report result;
    result.slug = "tool";
    result.program = "/usr/bin/tool";
    result.version = "1.2-3";
    result.command = "check_command -- tool";
    result.began = std::chrono::system_clock::time_point{1769862896789ms};
    result.duration = 512ms;
    result.traits.half_close = test_tunnel::HalfClose::timed;
    result.traits.exit_statuses = {0, 1};
    auto noted = passed_check("data.tiny", 9ms);
    noted.notes = {{"half_close", "half-close: timed"}, {"", "it is odd"}};
    noted.shown = {{"half_close.up", "timed"}};
    const auto excused =
        other_check("idle", Outcome::not_applicable, "it waits for nobody (Traits::idle_timeout)");
    const auto skipped = other_check("stop.busy", Outcome::skipped, "not tried, since so it is");
    result.pairs = {
        pair_result(
            {passed_check("hello", 5ms), failed_check("data.bulk", text), noted, excused, skipped}),
        pair_result({passed_check("hello", 6ms), passed_check("data.bulk", 80ms),
                     passed_check("data.tiny", 7ms), excused, passed_check("stop.busy", 3ms)},
                    "::1")};
    result.pairs.front().start = 12ms;
    result.pairs.front().stop = 3ms;
    return result;
}

} // namespace support
