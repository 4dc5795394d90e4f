#pragma once

#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "check.hpp"
#include "checks.hpp"
#include "config.hpp"
#include "deadline.hpp"
#include "detail/account.hpp"
#include "detail/reported_source.hpp"
#include "detail/verdict.hpp"
#include "discovery.hpp"
#include "error.hpp"
#include "expect.hpp"
#include "pair_run.hpp"
#include "process.hpp"
#include "protocol.hpp"
#include "report.hpp"
#include "server.hpp"
#include "socket.hpp"
#include "traits.hpp"

namespace test_tunnel {

/// The test of one tool. Derive from it, override `slug`, `spawn_server` and, unless the tool is
/// told nothing, `protocol` or `handshake`, and call `run`.
///
/// The hooks are called one after the other on the caller's thread. What they throw fails the pair
/// and becomes part of its account; a SetupError, and whatever is no std::exception (a test
/// framework's own), passes through `run`, the tool being killed on the way.
class TestTunnel {
public:
    /// Throws InvalidConfig where there is no logger. Sets the logger to `debug` where
    /// `config.verbose`.
    explicit TestTunnel(ConfigProg config);
    TestTunnel(const TestTunnel&) = delete;
    TestTunnel& operator=(const TestTunnel&) = delete;
    virtual ~TestTunnel() = default;

    /// The name of the tool in logs and reports.
    [[nodiscard]] virtual std::string slug() const = 0;

    /// Starts the tool, without waiting for it: it shall listen at `proxy_listen.listen()`, let
    /// `proxy_listen.client()` connect, and carry what comes to `svc_listen.listen()`, from
    /// the address `svc_listen.clients[0]`. Called once a pair, and again, with other ports, where
    /// a check has failed or the tool has ended. `spawn` is made for it.
    virtual Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) = 0;

    /// By which of the library's handshakes the tool is told where to connect: `handshake` then
    /// does it, and the checks `handshake.*` try what such a server must take, and what it must
    /// refuse. The default: by none.
    [[nodiscard]] virtual Protocol protocol() const { return {}; }

    /// What comes before the handshake, on every connection that a client makes: a PROXY header,
    /// or TLS. The default: nothing. `client` is as it is for `handshake`.
    virtual void open_client(Socket& /*client*/) {}

    /// What comes first on every connection that the tool makes to the server: a PROXY header, or
    /// TLS. The default: nothing. `server` has the timeout `config().timeouts.io`.
    ///
    /// Returns the endpoint at which the tool says that its client is, where it says so: that must
    /// be true.
    virtual std::optional<Endpoint> open_server(Socket& /*server*/) { return std::nullopt; }

    /// Talks to the tool on a new connection until the next byte belongs to the server: asks a
    /// SOCKS server to connect to `svc_listen.listen()`, for instance. Called once a connection;
    /// `client` has the timeout `config().timeouts.io`, a shorter one where it is not known yet
    /// whether the tool serves two at once, and throws ToolEnded where the tool ends. The default:
    /// what `protocol` says.
    ///
    /// Returns the endpoint from which the tool says that it connects onwards, where it says so:
    /// the connection that arrives must then come from there.
    virtual std::optional<Endpoint> handshake(Socket& client, const AddrPort& svc_listen);

    /// What the tool is declared not to do. The default: nothing but what every tunnel does.
    [[nodiscard]] virtual Traits traits() const { return {}; }

    /// Tests the tool on every combination of addresses that this machine has to offer; the report
    /// goes to the log. Throws TunnelFailure where any failed; NoAddresses, NoCombinations where
    /// nothing can be tested, ToolMissing, ToolNotExecutable and other SetupErrors. No wait in it
    /// lasts longer than `config().timeouts` say, and `config().idle` at `Level::strict`.
    void run();

    /// The same, but the failures are only in the report.
    Report run_all();

    /// Tests the tool on one pair. Throws SetupErrors only.
    [[nodiscard]] PairResult run_pair(const Pair& pair);

    /// All that a tunnel must do, in that order; `config().level`, `only` and `except` select from
    /// it. To be overridden in order to add checks of one's own.
    [[nodiscard]] virtual std::vector<Check> checks() const { return test_tunnel::checks(); }

    /// From what the data is made: `config().seed`, or one that was drawn by lot.
    [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }

    /// The free function `expect_read`, with a line in the log.
    std::string expect_read(Socket& socket, std::string_view expected, std::string_view tag,
                            std::optional<std::size_t> compare_len = std::nullopt);

    [[nodiscard]] const ConfigProg& config() const noexcept { return config_; }

protected:
    /// Starts a process with `config().utf8_env`, what it prints going to the log at `debug`.
    /// Throws ToolMissing, ToolNotExecutable.
    [[nodiscard]] Process spawn(std::vector<std::string> argv) const;

    /// Connects the client, from the pair's own port the first time, from any later on, trying
    /// again with a new socket as long as it is refused: after a quarter of a millisecond first,
    /// after 5 ms at the most, until `config().timeouts.connect` is over. Throws ToolEnded as soon
    /// as the tool has ended, TimedOut.
    virtual Socket connect_client(PairRun& run);

    /// One connection through the tunnel, as many times as the checks like: `connect_client`,
    /// `handshake`, `accept`, `verify_source`. A tool that connects onwards only when the client
    /// has said something is told something, which is read again at the other end.
    virtual Connection connect(PairRun& run);

    /// Waits for the tool's connection to the server. A tool that ends the client's connection
    /// instead, or sends it something before, is noticed at once. Throws Unexpected, TimedOut,
    /// ToolEnded.
    Socket accept(PairRun& run, Socket& client);

    /// That the tool's connection comes from the address that was assigned to it, unless the traits
    /// say that it can't, and from the endpoint that the handshake has reported, if it has.
    void verify_source(PairRun& run, const Endpoint& source,
                       const std::optional<Endpoint>& reported);

private:
    friend class PairRun;

    template <typename Act>
    [[nodiscard]] CheckResult run_check(PairRun& run, const Check& check, Act act);
    [[nodiscard]] CheckResult failure(PairRun& run, std::string expected, std::string actual) const;
    static bool await_connection(PairRun& run, Socket& client, Duration patience);

    ConfigProg config_;
    std::uint64_t seed_;
};

} // namespace test_tunnel

#include "detail/pair_run.hpp"
#include "detail/pair_run_connections.hpp"
#include "detail/run_pair.hpp"

namespace test_tunnel {

inline TestTunnel::TestTunnel(ConfigProg config)
    : config_{std::move(config)},
      seed_{config_.seed ? *config_.seed : std::uint64_t{std::random_device{}()}} {
    if (!config_.log) {
        throw InvalidConfig{"the configuration has no logger (Config::log is null)"};
    }
    if (config_.verbose) {
        config_.log->set_level(spdlog::level::debug);
    }
}

inline std::optional<Endpoint> TestTunnel::handshake(Socket& client, const AddrPort& svc_listen) {
    return shake_hands(client, svc_listen.listen(), protocol());
}

inline void TestTunnel::run() {
    auto report = run_all();
    if (!report.passed()) {
        throw TunnelFailure{std::move(report)};
    }
}

inline Report TestTunnel::run_all() {
    select(config_, checks()); // what is wrong with the configuration is told first
    Report report{slug(), {}, seed_};
    for (const auto& pair : discover_pairs(config_)) {
        report.pairs.push_back(run_pair(pair));
    }
    config_.log->info(report.summary());
    return report;
}

inline Socket TestTunnel::connect_client(PairRun& run) {
    const auto watch = run.watch().lock(); // starts the tool where it does not run
    const auto target = run.pair().proxy_listen.listen();
    run.step("connect", fmt::format("the tool accepts a connection at {}", target), Party::client);
    const auto patience = run.patience_.value_or(config_.timeouts.connect);
    const auto deadline = Deadline::after(patience);
    Duration pause = std::chrono::microseconds{250};
    auto own = run.pair().proxy_listen.client();
    if (run.connections_ > 0) {
        own.port = 0; // on the pair's own port the last connection may still linger
    }
    for (;;) {
        auto client = bind_to(config_, own);
        client.set_timeout(run.patience_.value_or(config_.timeouts.io));
        client.watch(watch);
        if (client.try_connect(target)) {
            client.set_timeout(config_.timeouts.io);
            ++run.connections_;
            return client;
        }
        if (deadline.passed()) {
            throw TimedOut{fmt::format("every connection was refused for {}",
                                       detail::text_of(detail::scaled(patience)))};
        }
        detail::wait_for({}, Deadline{Clock::now() + std::min(pause, deadline.remaining())},
                         watch.get(), "the tool to listen");
        pause = std::min<Duration>(pause * 9 / 8, std::chrono::milliseconds{5});
    }
}

inline Connection TestTunnel::connect(PairRun& run) {
    run.require_no_stranger();
    auto client = connect_client(run);
    if (run.connections_ == 1) {
        detail::require_own_listener(run.server(), run.pair().proxy_listen.listen());
    }
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
inline bool TestTunnel::await_connection(PairRun& run, Socket& client, Duration patience) {
    std::array<pollfd, 2> fds{{{.fd = run.listener().fd(), .events = POLLIN, .revents = 0},
                               {.fd = client.fd(), .events = POLLIN, .revents = 0}}};
    if (!detail::wait_for(fds, Deadline::after(patience), run.watch().lock().get(),
                          "the tool to connect to the server")) {
        return false;
    }
    if (fds[0].revents == 0) {
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

inline Socket TestTunnel::accept(PairRun& run, Socket& client) {
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
    run.tool_socket_ = detail::tool_socket(server.peer(), server.local());
    return server;
}

inline void TestTunnel::verify_source(PairRun& run, const Endpoint& source,
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

inline std::string TestTunnel::expect_read(Socket& socket, std::string_view expected,
                                           std::string_view tag,
                                           std::optional<std::size_t> compare_len) {
    config_.log->debug(fmt::format("{}: awaiting {}: {} bytes", slug(), tag, expected.size()));
    return test_tunnel::expect_read(socket, expected, tag, compare_len);
}

inline Process TestTunnel::spawn(std::vector<std::string> argv) const {
    return Process::spawn({.argv = std::move(argv),
                           .environment = config_.utf8_env,
                           .directory = {},
                           .log = config_.log});
}

} // namespace test_tunnel
