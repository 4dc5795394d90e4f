#pragma once

#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config.hpp"
#include "deadline.hpp"
#include "detail/account.hpp"
#include "detail/verdict.hpp"
#include "discovery.hpp"
#include "error.hpp"
#include "expect.hpp"
#include "pair_run.hpp"
#include "process.hpp"
#include "report.hpp"
#include "server.hpp"
#include "socket.hpp"
#include "traits.hpp"

namespace test_tunnel {

/// The test of one tool. Derive from it, override `slug`, `spawn_server` and `handshake`, and call
/// `run`.
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
    /// the address `svc_listen.clients[0]`. Called once a pair. `spawn` is made for it.
    virtual Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) = 0;

    /// Talks to the tool on a new connection until the next byte belongs to the server: asks a
    /// SOCKS server to connect to `svc_listen.listen()`, for instance. Called once a connection;
    /// `client` has the timeout `config().timeouts.io` and throws ToolEnded where the tool ends.
    ///
    /// Returns the endpoint from which the tool says that it connects onwards, where it says so:
    /// the connection that arrives must then come from there.
    virtual std::optional<Endpoint> handshake(Socket& client, const AddrPort& svc_listen) = 0;

    /// What the tool is declared not to do. The default: nothing but what every tunnel does.
    [[nodiscard]] virtual Traits traits() const { return {}; }

    /// Tests the tool on every combination of addresses that this machine has to offer; the report
    /// goes to the log. Throws TunnelFailure where any failed; NoAddresses, NoCombinations where
    /// nothing can be tested, ToolMissing, ToolNotExecutable and other SetupErrors. No wait in it
    /// lasts longer than `config().timeouts` say.
    void run();

    /// The same, but the failures are only in the report.
    Report run_all();

    /// Tests the tool on one pair. Throws SetupErrors only.
    [[nodiscard]] PairResult run_pair(const Pair& pair);

    /// The free function `expect_read`, with a line in the log.
    std::string expect_read(Socket& socket, std::string_view expected, std::string_view tag,
                            std::optional<std::size_t> compare_len = std::nullopt);

    [[nodiscard]] const ConfigProg& config() const noexcept { return config_; }

protected:
    /// Starts a process with `config().utf8_env`, what it prints going to the log at `debug`.
    /// Throws ToolMissing, ToolNotExecutable.
    [[nodiscard]] Process spawn(std::vector<std::string> argv) const;

    /// Names what happens from now on, for the log and for the account of a failure.
    /// `from` and `to` say who acts on whom, in the account's picture.
    void step(std::string name, std::string expected, Party from = Party::tool,
              Party to = Party::tool);

    /// Connects the client, from the pair's own port the first time, from any later on, trying
    /// again with a new socket as long as it is refused: after a quarter of a millisecond first,
    /// after 5 ms at the most, until `config().timeouts.connect` is over. Throws ToolEnded as soon
    /// as the tool has ended, TimedOut.
    virtual Socket connect_client(PairRun& run);

    /// One connection through the tunnel, as many times as you like: `connect_client`, `handshake`,
    /// `accept`, `verify_source`. To be overridden for a tool that connects onwards only when the
    /// client has said something.
    virtual Connection connect(PairRun& run);

    /// Waits for the tool's connection to the server. A tool that ends the client's connection
    /// instead, or sends it something before, is noticed at once. Throws Unexpected, TimedOut,
    /// ToolEnded.
    Socket accept(PairRun& run, Socket& client);

    /// That the tool's connection comes from the address that was assigned to it, unless the traits
    /// say that it can't, and from the endpoint that the handshake has reported, if it has.
    void verify_source(PairRun& run, const Endpoint& source,
                       const std::optional<Endpoint>& reported);

    /// What is done with a connection: the server says Hello, then the client, then the client
    /// closes, and the server must see a clean end of stream.
    virtual void transfer(PairRun& run, Connection& connection);

    /// All that is done with one pair while the tool runs: one connection, one transfer.
    virtual void check_pair(PairRun& run);

private:
    void stop(PairRun& run);
    [[nodiscard]] CheckResult failure(PairResult& pair, std::string expected, std::string actual,
                                      std::optional<Server>& server) const;
    void require_silence(Socket& socket) const;
    [[nodiscard]] const std::string& expected() const { return steps_.back().expected; }

    ConfigProg config_;
    // Of the pair that is being tested.
    std::string pair_name_;
    Clock::time_point started_;
    std::vector<Step> steps_;
};

inline TestTunnel::TestTunnel(ConfigProg config) : config_{std::move(config)} {
    if (!config_.log) {
        throw InvalidConfig{"the configuration has no logger (Config::log is null)"};
    }
    if (config_.verbose) {
        config_.log->set_level(spdlog::level::debug);
    }
}

inline void TestTunnel::run() {
    auto report = run_all();
    if (!report.passed()) {
        throw TunnelFailure{std::move(report)};
    }
}

inline Report TestTunnel::run_all() {
    Report report{slug(), {}};
    for (const auto& pair : discover_pairs(config_)) {
        report.pairs.push_back(run_pair(pair));
    }
    config_.log->info(report.summary());
    return report;
}

inline PairResult TestTunnel::run_pair(const Pair& pair) {
    PairResult result{pair, {}, {}, {}, {}};
    pair_name_ = fmt::format("{} {}", slug(), pair.name());
    started_ = Clock::now();
    steps_.clear();
    config_.log->info(fmt::format("{}: {}", pair_name_, pair.text()));
    CheckResult check;
    std::optional<Server> server;
    try {
        // Before the tool is started: whenever it connects, somebody listens.
        step("listen", fmt::format("the server can listen at {}", pair.svc_listen.listen()),
             Party::server, Party::server);
        auto listener = bind_to(config_, pair.svc_listen.listen());
        listener.listen();

        step("start", "the tool can be started");
        server.emplace(spawn_server(pair.proxy_listen, pair.svc_listen));
        server->limit(config_.timeouts.pair);
        listener.watch(server->watch());

        PairRun run{pair, listener, *server, result.notes};
        check_pair(run);

        stop(run);
    } catch (const SetupError&) {
        throw;
    } catch (const SystemError& error) {
        if (!server) { // the machine's fault: no descriptors, no processes, a port that was taken
            throw SetupError{
                fmt::format("{}: {}: {}", pair_name_, steps_.back().name, error.what())};
        }
        check = failure(result, expected(), error.what(), server);
    } catch (const Unexpected& error) {
        check = failure(result, error.expected(), error.actual(), server);
    } catch (const std::exception& error) {
        check = failure(result, expected(), error.what(), server);
    }
    check.id = "hello";
    check.duration = Clock::now() - started_;
    result.duration = check.duration;
    result.steps = std::move(steps_);
    config_.log->info(fmt::format("{}: {}: {}", pair_name_, text_of(check.outcome),
                                  detail::timeline(result.steps)));
    result.checks.push_back(std::move(check));
    return result;
}

inline void TestTunnel::check_pair(PairRun& run) {
    auto connection = connect(run);
    transfer(run, connection);
}

inline Socket TestTunnel::connect_client(PairRun& run) {
    const auto target = run.pair.proxy_listen.listen();
    const auto watch = run.server.watch().lock();
    step("connect", fmt::format("the tool accepts a connection at {}", target), Party::client);
    const auto deadline = Deadline::after(config_.timeouts.connect);
    Duration pause = std::chrono::microseconds{250};
    auto own = run.pair.proxy_listen.client();
    if (run.connections > 0) {
        own.port = 0; // on the pair's own port the last connection may still linger
    }
    for (;;) {
        auto client = bind_to(config_, own);
        client.watch(watch);
        if (client.try_connect(target)) {
            ++run.connections;
            return client;
        }
        if (deadline.passed()) {
            throw TimedOut{fmt::format("every connection was refused for {}",
                                       detail::text_of(detail::scaled(config_.timeouts.connect)))};
        }
        detail::wait_for({}, Deadline{Clock::now() + std::min(pause, deadline.remaining())},
                         watch.get(), "the tool to listen");
        pause = std::min<Duration>(pause * 9 / 8, std::chrono::milliseconds{5});
    }
}

inline Connection TestTunnel::connect(PairRun& run) {
    auto client = connect_client(run);
    detail::verify_listener(run.server, run.pair.proxy_listen.listen(), run.notes);
    step("handshake", "the tool does its part of the handshake", Party::client);
    const auto reported = handshake(client, run.pair.svc_listen);
    auto server = accept(run, client);
    verify_source(run, server.peer(), reported);
    return {std::move(client), std::move(server)};
}

/// Not just `listener.accept()`: a tool that gives the client up instead is noticed at once.
inline Socket TestTunnel::accept(PairRun& run, Socket& client) {
    step("accept",
         fmt::format("the tool connects to the server at {}", run.pair.svc_listen.listen()),
         Party::tool, Party::server);
    std::array<pollfd, 2> fds{{{.fd = run.listener.fd(), .events = POLLIN, .revents = 0},
                               {.fd = client.fd(), .events = POLLIN, .revents = 0}}};
    constexpr std::string_view awaited = "the tool to connect to the server";
    if (!detail::wait_for(fds, Deadline::after(config_.timeouts.io),
                          run.server.watch().lock().get(), awaited)) {
        throw TimedOut{fmt::format("nothing for {} while waiting for {}",
                                   detail::text_of(detail::scaled(config_.timeouts.io)), awaited)};
    }
    if (fds[0].revents == 0) {
        std::array<char, 256> bytes{};
        const auto count = client.read_some(bytes.data(), bytes.size());
        throw Unexpected{expected(), count == 0
                                         ? "it ended the client's connection instead"
                                         : "before it connected, the client was sent " +
                                               detail::bytes_around({bytes.data(), count}, 0)};
    }
    auto server = run.listener.accept();
    run.tool_socket = detail::tool_socket(server.peer(), server.local());
    return server;
}

inline void TestTunnel::verify_source(PairRun& run, const Endpoint& source,
                                      const std::optional<Endpoint>& reported) {
    const auto& assigned = run.pair.svc_listen.clients.front();
    step("source", fmt::format("the tool connects to the server from {}", assigned), Party::tool,
         Party::server);
    config_.log->debug(
        fmt::format("{}: the tool connected to the server from {}", pair_name_, source));
    const bool bound = source.address == assigned;
    if (traits().binds_source && !bound) {
        throw Unexpected{expected(), fmt::format("a connection from {}", source)};
    }
    if (!traits().binds_source) {
        run.notes.push_back(
            bound ? fmt::format("declared binds_source = false, but it did connect from {}", source)
                  : fmt::format("declared: binds_source = false (it connected from {})", source));
    }
    if (reported && *reported != source) {
        throw Unexpected{fmt::format("a connection from {}, as the handshake reported", *reported),
                         fmt::format("a connection from {}", source)};
    }
}

/// That nothing has arrived that nobody has written.
inline void TestTunnel::require_silence(Socket& socket) const {
    if (const auto count = socket.pending(); count > 0) {
        throw Unexpected{expected(), detail::bytes_around(socket.read(count), 0)};
    }
}

inline void TestTunnel::transfer(PairRun& /*run*/, Connection& connection) {
    constexpr std::string_view hello = "Hello";
    auto& [client, server] = connection;

    step("hello from the server", "the client reads what the server wrote", Party::server,
         Party::client);
    server.write(hello);
    expect_read(client, hello, "server → client");

    step("hello from the client", "the server reads what the client wrote", Party::client,
         Party::server);
    require_silence(server);
    client.write(hello);
    expect_read(server, hello, "client → server");

    step("no further bytes", "the client is sent nothing that the server did not write",
         Party::client, Party::client);
    require_silence(client);

    step("end of stream", "the server sees a clean end of stream when the client closes",
         Party::client, Party::server);
    client.close();
    expect_read(server, {}, "client → server");
    server.close();
}

/// The end of a pair on which all went well so far.
inline void TestTunnel::stop(PairRun& run) {
    step("stop", fmt::format("the tool runs until SIGTERM and then ends within {}",
                             detail::text_of(detail::scaled(config_.timeouts.stop))));
    auto& server = run.server;
    detail::let_settle(server, run.pair.proxy_listen.listen(), run.tool_socket,
                       config_.timeouts.linger);
    std::vector<bool> ended;
    for (const auto& process : server.processes()) {
        ended.push_back(process.has_ended());
    }
    server.stop(config_.timeouts.stop, config_.timeouts.linger);
    detail::judge_end(server, ended, traits(), expected(), run.notes);
}

inline CheckResult TestTunnel::failure(PairResult& pair, std::string expected, std::string actual,
                                       std::optional<Server>& server) const {
    pair.steps = steps_;
    if (server) {
        // A connection that breaks is often the first that is seen of a crash.
        constexpr auto grace = std::chrono::milliseconds{50};
        server->wait_for_end(Deadline::after(grace));
        try {
            server->watch().lock()->require_running();
        } catch (const ToolEnded& error) {
            const bool is_told = actual.find(error.what()) != std::string::npos;
            actual += is_told ? "" : fmt::format("\n{}", error.what());
        }
        server->stop(config_.timeouts.stop, config_.timeouts.linger);
        if (config_.keep) {
            server->keep_files();
        }
    }
    CheckResult result;
    result.outcome = Outcome::failed;
    result.step = pair.steps.back().name;
    result.expected = std::move(expected);
    result.actual = std::move(actual);
    result.account = detail::account_of(pair_name_, pair, result, server ? &*server : nullptr);
    config_.log->error(result.account);
    return result;
}

inline std::string TestTunnel::expect_read(Socket& socket, std::string_view expected,
                                           std::string_view tag,
                                           std::optional<std::size_t> compare_len) {
    config_.log->debug(fmt::format("{}: awaiting {}: {} bytes", pair_name_, tag, expected.size()));
    return test_tunnel::expect_read(socket, expected, tag, compare_len);
}

inline Process TestTunnel::spawn(std::vector<std::string> argv) const {
    return Process::spawn({.argv = std::move(argv),
                           .environment = config_.utf8_env,
                           .directory = {},
                           .log = config_.log});
}

inline void TestTunnel::step(std::string name, std::string expected, Party from, Party to) {
    config_.log->debug(fmt::format("{}: {}: {}", pair_name_, name, expected));
    steps_.push_back({std::move(name), std::move(expected), from, to, Clock::now() - started_});
}

} // namespace test_tunnel
