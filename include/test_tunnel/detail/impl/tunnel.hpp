#pragma once

// What TestTunnel does, but for the story of one pair (run_pair.hpp).

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "../../checks.hpp"
#include "../../observer.hpp"
#include "../../tunnel.hpp"
#include "../inline.hpp"
#include "../listeners.hpp"
#include "../reported_source.hpp"
#include "../system.hpp"
#include "../text.hpp"
#include "../unread.hpp"
#include "../verdict.hpp"
#include "../watchdog.hpp"

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

} // namespace detail

TEST_TUNNEL_INLINE TestTunnel::TestTunnel(ConfigProg config)
    : config_{std::move(config)}, seed_{config_.seed ? *config_.seed : detail::new_seed()} {
    if (!config_.log) {
        throw InvalidConfig{"the configuration has no logger (Config::log is null)"};
    }
    if (config_.verbose) {
        config_.log->set_level(spdlog::level::debug);
    }
}

TEST_TUNNEL_INLINE TestTunnel::~TestTunnel() = default;

TEST_TUNNEL_INLINE Protocol TestTunnel::protocol() const {
    return {};
}

TEST_TUNNEL_INLINE void TestTunnel::open_client(Socket& /*client*/) {}

TEST_TUNNEL_INLINE std::optional<Endpoint> TestTunnel::open_server(Socket& /*server*/) {
    return std::nullopt;
}

TEST_TUNNEL_INLINE Traits TestTunnel::traits() const {
    return {};
}

TEST_TUNNEL_INLINE std::vector<Check> TestTunnel::checks() const {
    return test_tunnel::checks();
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
    select(config_, checks()); // what is wrong with the configuration is told first
    const auto started = Clock::now();
    auto report = empty_report();
    for (const auto& pair : pairs()) {
        report.pairs.push_back(run_pair(pair));
    }
    report.duration = Clock::now() - started;
    config_.log->info(report.summary(config_.console));
    return report;
}

TEST_TUNNEL_INLINE std::vector<Pair> TestTunnel::pairs() {
    return observed([&] {
        const detail::Watchdog::Start meanwhile;
        auto result = discover_pairs(config_);
        const auto how = protocol();
        const auto* const socks4 = std::get_if<Socks4Options>(&how);
        if (socks4 == nullptr || socks4->name) {
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
                            detail::joined(impossible, ", "));
            if (result.empty() || !config_.pairs.empty()) {
                throw PairsMissing{why};
            }
            config_.log->warn(why);
        }
        return result;
    });
}

/// Of a run that begins now.
TEST_TUNNEL_INLINE Report TestTunnel::empty_report() const {
    return {.slug = slug(),
            .pairs = {},
            .seed = seed_,
            .program = config_.prog,
            .level = config_.level,
            .traits = traits(),
            .began = std::chrono::system_clock::now()};
}

/// What `act` returns; the observers are told where it throws: the run does not come to its end.
template <typename Act>
std::invoke_result_t<Act> TestTunnel::observed(Act act) {
    const auto tell = [&](std::string error) {
        auto report = empty_report();
        report.error = std::move(error);
        for (const auto& observer : config_.observers) {
            observer->pair_ended(report);
        }
    };
    try {
        return act();
    } catch (const std::exception& error) {
        tell(error.what());
        throw;
    } catch (...) {
        tell("an exception that is no std::exception"); // a test framework's own
        throw;
    }
}

TEST_TUNNEL_INLINE Socket TestTunnel::connect_client(PairRun& run) {
    const auto watch = run.watch().lock(); // starts the tool where it does not run
    const auto target = run.pair().proxy_listen.listen();
    run.step("connect", fmt::format("the tool accepts a connection at {}", target), Party::client);
    const auto patience = run.patience_.value_or(config_.timeouts.connect);
    const auto deadline = Deadline::after(patience);
    const auto began = Clock::now();
    constexpr Duration shortest_pause = std::chrono::microseconds{100};
    constexpr Duration longest_pause = std::chrono::milliseconds{5};
    auto own = run.pair().proxy_listen.client();
    if (run.connections_ > 0) {
        own.port = 0; // on the pair's own port the last connection may still linger
    }
    const detail::PromptTimers prompt;
    for (;;) {
        auto client = bind_to(config_, own);
        client.set_timeout(run.patience_.value_or(config_.timeouts.io));
        client.watch(watch);
        try {
            if (client.try_connect(target)) {
                client.set_timeout(config_.timeouts.io);
                ++run.connections_;
                return client;
            }
        } catch (const SystemError& error) {
            run.was_reset_ = error.code() == ECONNRESET;
            throw;
        }
        if (deadline.passed()) {
            throw TimedOut{fmt::format("every connection was refused for {}",
                                       detail::text_of(detail::scaled(patience)))};
        }
        // No system tells when somebody begins to listen. In proportion to what it has taken so
        // far: a tool that starts fast is noticed as soon, relatively, as a slow one.
        const auto pause =
            std::clamp<Duration>((Clock::now() - began) / 24, shortest_pause, longest_pause);
        detail::wait_for({}, Deadline{Clock::now() + std::min(pause, deadline.remaining())},
                         watch.get(), "the tool to listen");
    }
}

TEST_TUNNEL_INLINE Connection TestTunnel::connect(PairRun& run) {
    run.require_no_stranger();
    auto client = connect_client(run);
    if (run.connections_ == 1) {
        detail::require_own_listener(run.server(), run.pair().proxy_listen.listen());
    }
    try {
        return complete(run, client);
    } catch (...) {
        run.was_reset_ = client.is_reset();
        throw;
    }
}

TEST_TUNNEL_INLINE Connection TestTunnel::complete(PairRun& run, Socket& client) {
    client.set_timeout(run.patience_.value_or(config_.timeouts.io));
    const auto reported = run.handshake(client);
    client.set_timeout(config_.timeouts.io);

    std::string greeting;
    const auto greet = [&] {
        greeting = run.pattern(run.said_++).bytes(0, 16);
        client.write(greeting);
    };
    using namespace std::chrono_literals;
    const auto patience = std::min<Duration>(config_.timeouts.io / 2, run.strict() ? 5s : 1s);
    const bool decided = run.speaks_first_.has_value();
    const bool at_once = run.speaks_first() || (!decided && run.seemed_to_wait_);
    if (at_once || (!decided && !await_connection(run, client, patience))) {
        greet();
    }
    const auto greeted = Clock::now();
    auto server = accept(run, client);
    const bool came_soon = Clock::now() - greeted < patience / 2;
    verify_source(run, server.peer(), reported);
    if (!greeting.empty()) {
        expect_read(server, greeting, PairRun::up);
    }
    if (!decided) {
        // It may have been slow to connect: then it is so too where the client speaks at once.
        if (greeting.empty() || run.seemed_to_wait_) {
            run.speaks_first_ = !greeting.empty() && came_soon;
            run.judge<bool>("speaks_first", "connecting only when the client has spoken",
                            traits().speaks_first, *run.speaks_first_, false);
        }
        run.seemed_to_wait_ = !greeting.empty();
    }
    return {std::move(client), std::move(server)};
}

/// Whether the tool's connection to the server is there. Not just a wait for the listener: a tool
/// that gives the client up instead is noticed at once.
TEST_TUNNEL_INLINE bool TestTunnel::await_connection(PairRun& run, Socket& client,
                                                     Duration patience) {
    std::array events{run.listener().event(POLLIN), client.event(POLLIN)};
    if (!detail::wait_for_sockets(events, Deadline::after(patience), run.watch().lock().get(),
                                  "the tool to connect to the server")) {
        return false;
    }
    if (events[0].revents == 0) {
        std::array<char, 256> bytes{};
        const auto count = client.read_some(bytes.data(), bytes.size());
        throw Unexpected{
            fmt::format("the tool connects to the server at {}", run.pair().svc_listen.listen()),
            count == 0 ? "it ended the client's connection instead"
                       : "before it connected, the client was sent " +
                             detail::bytes_around({bytes.data(), count}, 0)};
    }
    return true;
}

TEST_TUNNEL_INLINE Socket TestTunnel::accept(PairRun& run, Socket& client) {
    run.step("accept",
             fmt::format("the tool connects to the server at {}", run.pair().svc_listen.listen()),
             Party::tool, Party::server);
    const auto patience = run.patience_.value_or(config_.timeouts.io);
    if (!await_connection(run, client, patience)) {
        throw TimedOut{fmt::format(
            "nothing for {} while waiting for the tool to connect to the server{}",
            detail::text_of(detail::scaled(patience)),
            traits().speaks_first == false ? "; one that waits for the client's first word has to "
                                             "declare Traits::speaks_first = true"
                                           : "")};
    }
    auto server = run.listener().accept();
    run.open_server(server, client.local());
    run.tool_end_.emplace(server.peer(), server.local());
    return server;
}

TEST_TUNNEL_INLINE void TestTunnel::verify_source(PairRun& run, const Endpoint& source,
                                                  const std::optional<Endpoint>& reported) {
    const auto& assigned = run.pair().svc_listen.clients.front();
    run.step("source", fmt::format("the tool connects to the server from {}", assigned),
             Party::tool, Party::server);
    const auto declared = traits();
    if (declared.binds_source == true && source.address != assigned) {
        throw Unexpected{
            run.expected(),
            fmt::format("a connection from {}; a tool that can't choose has to declare "
                        "Traits::binds_source = false",
                        source)};
    }
    run.judge<bool>("binds_source", "connecting from the address that it was given",
                    declared.binds_source, source.address == assigned, true);
    if (!reported) {
        return;
    }
    const auto kind = detail::reported_source(*reported, source, run.pair().svc_listen.listen(),
                                              run.pair().proxy_listen.listen());
    if (!kind) {
        throw Unexpected{fmt::format("a connection from {}, as the handshake reported", *reported),
                         fmt::format("a connection from {}", source)};
    }
    run.judge<ReportsSource>("reports_source", "the address that the handshake reports",
                             declared.reports_source, *kind, ReportsSource::actual);
}

TEST_TUNNEL_INLINE std::string TestTunnel::expect_read(Socket& socket, std::string_view expected,
                                                       std::string_view tag,
                                                       std::optional<std::size_t> compare_len) {
    if (config_.log->should_log(spdlog::level::debug)) {
        config_.log->debug(fmt::format("{}: awaiting {}: {} bytes", slug(), tag, expected.size()));
    }
    return test_tunnel::expect_read(socket, expected, tag, compare_len);
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
