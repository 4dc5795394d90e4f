#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "check.hpp"
#include "checks.hpp"
#include "config.hpp"
#include "deadline.hpp"
#include "detail/inline.hpp"
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

/// Tests of tunnels: programs that take a TCP connection on one address and carry its bytes to
/// another. TestTunnel is where to begin; CommandTunnel does without a class of one's own.
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
    virtual ~TestTunnel();

    /// The name of the tool in logs and reports.
    [[nodiscard]] virtual std::string slug() const = 0;

    /// Starts the tool, without waiting for it: it shall listen at `proxy_listen.listen()`, let
    /// `proxy_listen.client()` connect, and carry what comes to `svc_listen.listen()`, from
    /// the address `svc_listen.clients[0]`. Called once a pair, and again, with other ports, where
    /// a check has failed or the tool has ended. `spawn` is made for it.
    virtual Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) = 0;

    /// By which of the library's handshakes the tool is told where to connect. `handshake` then
    /// does it, and the checks `handshake.*` try what such a server must take, and what it must
    /// refuse. The default: by none.
    [[nodiscard]] virtual Protocol protocol() const;

    /// What comes before the handshake, on every connection that a client makes: a PROXY header,
    /// or TLS. The default: nothing. `client` is as it is for `handshake`.
    virtual void open_client(Socket& client);

    /// What comes first on every connection that the tool makes to the server: a PROXY header, or
    /// TLS. The default: nothing. `server` has the timeout `config().timeouts.io`. The tool must be
    /// the first to speak: where clients have gone meanwhile, it is called only when something has
    /// come.
    ///
    /// Returns the endpoint at which the tool says that its client is, where it says so: that must
    /// be true.
    virtual std::optional<Endpoint> open_server(Socket& server);

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
    [[nodiscard]] virtual Traits traits() const;

    /// Tests the tool on every combination of addresses that this machine has to offer; the report
    /// goes to the log. Throws TunnelFailure where any failed; NoAddresses, NoCombinations where
    /// nothing can be tested, ToolMissing, ToolNotExecutable and other SetupErrors. No wait in it
    /// lasts longer than `config().timeouts` say, and `config().idle` at `Level::strict`.
    void run();

    /// The same, but the failures are only in the report.
    Report run_all();

    /// The combinations that `run` goes through: those of `discover_pairs`; of a tool that is asked
    /// by SOCKS4 without a name, which has no IPv6 addresses, only those with an IPv4 server.
    /// Throws as `discover_pairs` does, PairsMissing too where that leaves none, or out what
    /// `Config::pairs` asks for.
    [[nodiscard]] std::vector<Pair> pairs();

    /// Tests the tool on one pair. Throws SetupErrors only.
    [[nodiscard]] PairResult run_pair(const Pair& pair);

    /// All that a tunnel must do, in that order; `config().level`, `only` and `except` select from
    /// it. To be overridden in order to add checks of one's own.
    [[nodiscard]] virtual std::vector<Check> checks() const;

    /// From what the data is made: `config().seed`, or one that was drawn by lot.
    [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }

    /// The free function `expect_read`, with a line in the log.
    std::string expect_read(Socket& socket, std::string_view expected, std::string_view tag,
                            std::optional<std::size_t> compare_len = std::nullopt);

    /// As it was given to the constructor.
    [[nodiscard]] const ConfigProg& config() const noexcept { return config_; }

protected:
    /// Starts a process with `config().utf8_env`, to which `more` is added, or preferred; what it
    /// prints goes to the log at `debug`. Throws ToolMissing, ToolNotExecutable, SystemError.
    [[nodiscard]] Process spawn(std::vector<std::string> argv, Environment more = {}) const;

    /// Connects the client, from the pair's own port the first time, from any later on, trying
    /// again with a new socket as long as it is refused: after a fifth of a millisecond first,
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

    [[nodiscard]] PairResult test_pair(const Pair& pair);
    [[nodiscard]] Report empty_report() const;
    template <typename Act>
    std::invoke_result_t<Act> observed(Act act);
    template <typename Act>
    [[nodiscard]] CheckResult run_check(PairRun& run, const Check& check, Act act);
    [[nodiscard]] CheckResult failure(PairRun& run, std::string expected, std::string actual) const;
    [[nodiscard]] Connection complete(PairRun& run, Socket& client);
    static bool await_connection(PairRun& run, Socket& client, Duration patience);

    ConfigProg config_;
    std::uint64_t seed_;
};

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "detail/impl/pair_run.hpp"             // IWYU pragma: export
#include "detail/impl/pair_run_connections.hpp" // IWYU pragma: export
#include "detail/impl/run_pair.hpp"             // IWYU pragma: export
#include "detail/impl/tunnel.hpp"               // IWYU pragma: export
#endif
