#pragma once

// What TestTunnel does: its hooks' defaults, and a run over all pairs. One pair is PairTest's.

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/interruption.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/config/observer.hpp"
#include "test_tunnel/private_network/host_names.hpp"
#include "test_tunnel/process/detail/watchdog.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/detail/failures.hpp"
#include "test_tunnel/run/detail/rounds.hpp"
#include "test_tunnel/run/tunnel.hpp"

namespace test_tunnel {

namespace detail {

/// A seed that nobody has chosen. Of the time: std::random_device asks the processor what it can
/// do, and a virtual machine takes a tenth of a millisecond to answer.
inline std::uint32_t new_seed() {
    const auto now = Clock::now().time_since_epoch().count();
    std::seed_seq mixed{now & 0xFFFF'FFFF, now >> 32, Clock::rep{::getpid()}};
    std::array<std::uint32_t, 1> result{};
    mixed.generate(result.begin(), result.end());
    return result.front();
}

/// Returns what `act` returns. Where it throws, the run does not come to its end: the observers are
/// told.
template <typename Act>
std::invoke_result_t<Act> tell_errors(const TestTunnel& tunnel, Act act) {
    const auto tell = [&](std::string error, StopCause cause) {
        auto report = begin_report(tunnel);
        report.error = std::move(error);
        report.stop_cause = cause;
        for (const auto& observer : tunnel.config().observers) {
            observer->pair_ended(report);
        }
    };
    try {
        return act();
    } catch (const std::exception& error) {
        tell(error.what(), stop_cause_of(error));
        throw;
    } catch (...) {
        // A test framework's own.
        tell("an exception that is no std::exception", StopCause::other);
        throw;
    }
}

} // namespace detail

TEST_TUNNEL_INLINE TestTunnel::TestTunnel(ConfigProg config)
    : config_{std::move(config)},
      seed_{config_.seed ? *config_.seed : detail::new_seed()},
      failures_{std::make_unique<detail::Failures>()} {
    if (!config_.log) {
        throw InvalidConfig{"the configuration has no logger (Config::log is null)"};
    }
    if (config_.verbose) {
        config_.log->set_level(spdlog::level::debug);
    }
}

TEST_TUNNEL_INLINE TestTunnel::~TestTunnel() = default;

TEST_TUNNEL_INLINE Transports TestTunnel::transports() const {
    return {.tcp = true};
}

TEST_TUNNEL_INLINE Protocol TestTunnel::protocol() const {
    return {};
}

TEST_TUNNEL_INLINE std::optional<ProxyVersion> TestTunnel::client_header() const {
    return std::nullopt;
}

TEST_TUNNEL_INLINE std::optional<ProxyVersion> TestTunnel::server_header() const {
    return std::nullopt;
}

TEST_TUNNEL_INLINE std::shared_ptr<const TlsEnd> TestTunnel::client_tls() const {
    return nullptr;
}

TEST_TUNNEL_INLINE std::shared_ptr<const TlsEnd> TestTunnel::server_tls() const {
    return nullptr;
}

TEST_TUNNEL_INLINE void TestTunnel::open_client(Socket& client) {
    if (const auto end = client_tls()) {
        const TlsManner usual;
        const auto* const manner = std::exchange(tls_manner_, nullptr);
        resumed_ = end->open(client, manner == nullptr ? usual : *manner);
    }
}

TEST_TUNNEL_INLINE std::optional<Endpoint> TestTunnel::open_server(Socket& server) {
    if (const auto end = server_tls()) {
        end->open(server, {});
    }
    return std::nullopt;
}

TEST_TUNNEL_INLINE void TestTunnel::reload(Server& /*tool*/) {
    throw NotApplicable{
        fmt::format("nothing says how it reloads ({})",
                    config_.dialect == Dialect::options ? "--reload" : "TestTunnel::reload")};
}

TEST_TUNNEL_INLINE bool TestTunnel::reload_broken(Server& /*tool*/) {
    return false;
}

TEST_TUNNEL_INLINE std::string TestTunnel::version() const {
    return {};
}

TEST_TUNNEL_INLINE Traits TestTunnel::traits() const {
    return {};
}

TEST_TUNNEL_INLINE bool TestTunnel::is_told_source() const {
    return true;
}

TEST_TUNNEL_INLINE bool TestTunnel::is_told_port() const {
    return true;
}

TEST_TUNNEL_INLINE std::vector<std::uint16_t> TestTunnel::other_ports() const {
    return {};
}

TEST_TUNNEL_INLINE std::vector<Check> TestTunnel::checks() const {
    return test_tunnel::checks();
}

TEST_TUNNEL_INLINE Protocol TestTunnel::upstream() const {
    return {};
}

TEST_TUNNEL_INLINE std::optional<Family> TestTunnel::upstream_family() const {
    return std::nullopt;
}

TEST_TUNNEL_INLINE std::optional<Endpoint> TestTunnel::handshake(Socket& client,
                                                                 const AddrPort& svc_listen) {
    return shake_hands(client, svc_listen.listen(), protocol());
}

TEST_TUNNEL_INLINE void TestTunnel::run() {
    auto report = run_all();
    if (!report.passed()) {
        throw TunnelFailure{std::move(report)};
    }
}

TEST_TUNNEL_INLINE Report TestTunnel::run_all() {
    select(config_, checks(), transports()); // what is wrong with the configuration is told first
    const auto started = Clock::now();
    auto report = detail::begin_report(*this);
    const auto sum_up = [&] {
        report.duration = Clock::now() - started;
        config_.log->info(report.summary(config_.console));
    };
    try {
        const auto all = pairs();
        detail::tell_errors(*this, [&] {
            detail::Rounds{*this, *failures_}.run(all, report.pairs);
        });
    } catch (const Interrupted& error) {
        report.error = error.what();
        report.stop_cause = StopCause::interrupted;
        sum_up();
        throw;
    }
    sum_up();
    return report;
}

TEST_TUNNEL_INLINE std::vector<Pair> TestTunnel::pairs() {
    return detail::tell_errors(*this, [&] {
        const detail::Watchdog::Start meanwhile;
        auto result = discover_pairs(config_);
        const auto needs_ipv4 = [](const Protocol& how) {
            const auto* const socks4 = std::get_if<Socks4Options>(&how);
            return socks4 != nullptr && !socks4->name;
        };
        if (!needs_ipv4(protocol()) && !needs_ipv4(upstream())) {
            return result;
        }
        std::vector<std::string> impossible;
        std::erase_if(result, [&](const Pair& pair) {
            const bool is_possible = pair.svc_listen.address.family() == Family::ipv4;
            if (!is_possible) {
                impossible.push_back(pair.name());
            }
            return !is_possible;
        });
        if (!impossible.empty()) {
            const auto why =
                fmt::format("SOCKS4 without a name has no IPv6 targets: {} can't be tested",
                            joined(impossible, ", "));
            if (result.empty() || !config_.pairs.empty()) {
                throw PairsMissing{why};
            }
            config_.log->warn(why);
        }
        return result;
    });
}

TEST_TUNNEL_INLINE std::vector<PairResult> TestTunnel::run_pairs(const std::vector<Pair>& some) {
    std::vector<PairResult> results;
    detail::tell_errors(*this, [&] { detail::Rounds{*this, *failures_}.run(some, results); });
    return results;
}

TEST_TUNNEL_INLINE PairResult TestTunnel::run_pair(const Pair& pair) {
    return std::move(run_pairs({pair}).front());
}

TEST_TUNNEL_INLINE Socket TestTunnel::connect_client(PairRun& run) {
    return run.connect_client_as_usual();
}

TEST_TUNNEL_INLINE Connection TestTunnel::connect(PairRun& run) {
    return run.connect_as_usual();
}

TEST_TUNNEL_INLINE Flow TestTunnel::open_flow(PairRun& run) {
    return run.open_flow_as_usual();
}

TEST_TUNNEL_INLINE std::optional<Endpoint> TestTunnel::open_datagram(std::string& /*payload*/) {
    return std::nullopt;
}

TEST_TUNNEL_INLINE std::string TestTunnel::expect_read(Socket& socket, std::string_view expected,
                                                       std::string_view tag,
                                                       std::optional<std::size_t> compare_len) {
    if (config_.log->should_log(spdlog::level::debug)) {
        config_.log->debug(fmt::format("{}: awaiting {}: {} bytes", slug(), tag, expected.size()));
    }
    return test_tunnel::expect_read(socket, expected, tag, compare_len);
}

TEST_TUNNEL_INLINE std::string TestTunnel::target_name(const AddrPort& svc_listen) {
    const auto& address = svc_listen.address;
    const std::int64_t self = ::getpid();
    if (std::exchange(name_taken_by_, self) != self || !target_name_) {
        target_name_ = HostName::take();
    }
    if (!target_name_) {
        if (auto name = host_name_of(address)) {
            return *std::move(name);
        }
        throw NoAddresses{
            fmt::format("{} has no name that a tool could be told; in a private network "
                        "it would have one",
                        address)};
    }
    // A check may have given it another one, too, before it starts the tool.
    const auto& known = target_name_->addresses();
    if (std::find(known.begin(), known.end(), address) == known.end()) {
        target_name_->resolve_to({address});
    }
    return target_name_->text();
}

TEST_TUNNEL_INLINE Process TestTunnel::spawn(std::vector<std::string> argv,
                                             Environment more) const {
    more.insert(config_.utf8_env.begin(), config_.utf8_env.end()); // as far as they are not there
    return Process::spawn({.argv = std::move(argv),
                           .environment = std::move(more),
                           .directory = {},
                           .log = config_.log});
}

} // namespace test_tunnel
