#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/config/config.hpp"
#include "test_tunnel/config/traits.hpp"
#include "test_tunnel/config/transports.hpp"
#include "test_tunnel/discovery/addresses.hpp"
#include "test_tunnel/discovery/pairs.hpp"
#include "test_tunnel/discovery/ports.hpp"
#include "test_tunnel/handshakes/protocol.hpp"
#include "test_tunnel/handshakes/proxy_protocol.hpp"
#include "test_tunnel/net/expect.hpp"
#include "test_tunnel/net/socket.hpp"
#include "test_tunnel/net/tls_end.hpp"
#include "test_tunnel/private_network/host_name.hpp"
#include "test_tunnel/process/process.hpp"
#include "test_tunnel/process/server.hpp"
#include "test_tunnel/report/report.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/flow.hpp"
#include "test_tunnel/run/pair_run.hpp"

/// Tests of tunnels: programs that take a TCP connection on one address and carry its bytes to
/// another. TestTunnel is where to begin; CommandTunnel does without a class of one's own.
namespace test_tunnel {

namespace detail {
class Failures;
}

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

    /// What the tool carries. It is asked for the checks that concern that, and for no others. The
    /// default: TCP alone.
    [[nodiscard]] virtual Transports transports() const;

    /// By which of the library's handshakes the tool is told where to connect. `handshake` then
    /// does it, and the checks `handshake.*` try what such a server must take, and what it must
    /// refuse. The default: by none.
    [[nodiscard]] virtual Protocol protocol() const;

    /// By which of the library's handshakes the tool asks its upstream proxy for its target, where
    /// the tool is the client of one: the library then plays that proxy, at `svc_listen.upstream`,
    /// where the tool has to be told to find it. Each of the tool's connections must come there,
    /// ask for `svc_listen.listen()`, by its address or by a name that stands for it, and have the
    /// user and the password of the options; nothing may go to the target itself. The checks
    /// `upstream.*` try what such a tool must take from its proxy. The default: it has none, and
    /// connects to its target.
    [[nodiscard]] virtual Protocol upstream() const;

    /// Over which family of addresses the tool talks to its upstream proxy: for one that knows
    /// proxies of one family only. Nothing, the default: that of the target.
    [[nodiscard]] virtual std::optional<Family> upstream_family() const;

    /// Which PROXY header the tool expects first on each of its clients' connections. It is then
    /// sent there, with the true addresses, and the checks `proxy.*` try what such a tool must
    /// take, and what it must refuse. The default: it expects none.
    [[nodiscard]] virtual std::optional<ProxyVersion> client_header() const;

    /// Which PROXY header the tool sends first on each of its connections to the server. It is then
    /// read there, and must tell the true client. The default: it sends none.
    [[nodiscard]] virtual std::optional<ProxyVersion> server_header() const;

    /// How the client speaks TLS with the tool: what `tls_client` returns, in tls.hpp.
    /// `open_client` then does it, and the checks `tls.*` try what such a tool must take, and what
    /// it must refuse. The default: null, since it does not.
    [[nodiscard]] virtual std::shared_ptr<const TlsEnd> client_tls() const;

    /// How the server speaks TLS with the tool: what `tls_server` returns, in tls.hpp.
    /// `open_server` then does it. The default: null, since it does not.
    [[nodiscard]] virtual std::shared_ptr<const TlsEnd> server_tls() const;

    /// What comes before the handshake, on every connection that a client makes, and behind the
    /// header of `client_header`: TLS, or whatever the tool wants. The default: what `client_tls`
    /// says; an override that sends something before it calls it then. `client` is as it is for
    /// `handshake`.
    virtual void open_client(Socket& client);

    /// What comes first on every connection that the tool makes to the server, behind the header of
    /// `server_header`: TLS, or whatever the tool says. The default: what `server_tls` says. Where
    /// there is an upstream proxy, it has granted the connection before. `server` has the timeout
    /// `config().timeouts.io`. The tool must be the first to speak: where clients have gone
    /// meanwhile, it is called only when something has come.
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

    /// The tool's version, as reports tell it. The default: none, since no two tools tell it alike.
    [[nodiscard]] virtual std::string version() const;

    /// What the tool is declared not to do; asked once for each pair. The default: nothing but what
    /// every tunnel does.
    [[nodiscard]] virtual Traits traits() const;

    /// Whether the tool is told from which address to connect. Where it is not, it may connect from
    /// any, and the report notes that; `Traits::binds_source` is judged only where it is declared
    /// `false`. The default: it is told.
    [[nodiscard]] virtual bool is_told_source() const;

    /// Whether the tool is told on which port to listen. One that is not, and listens elsewhere,
    /// will hardly come to listen where it should: it is waited for no longer. The default: it is
    /// told.
    [[nodiscard]] virtual bool is_told_port() const;

    /// The ports on which the tool that was started last may listen besides
    /// `proxy_listen.svc_port`, on any address: for its administration, or for its other half. The
    /// spare port of the pair, `svc_listen.proxy_port`, always is one. The default: no other.
    [[nodiscard]] virtual std::vector<std::uint16_t> other_ports() const;

    /// Tests the tool on every combination of addresses that this machine has to offer; the report
    /// goes to the log. Throws TunnelFailure where any failed; NoAddresses, NoCombinations where
    /// nothing can be tested, ToolMissing, ToolNotExecutable and other SetupErrors. No wait in it
    /// lasts longer than `config().timeouts` say, and `config().idle` at `Level::strict`.
    void run();

    /// Tests the tool on every combination, as `run` does; what has failed is only in the report.
    /// Throws SetupErrors.
    Report run_all();

    /// The combinations that `run` goes through: those of `discover_pairs`; of a tool that is asked
    /// by SOCKS4 without a name, which has no IPv6 addresses, only those with an IPv4 server.
    /// Throws as `discover_pairs` does, and PairsMissing where no pair is left, or where one that
    /// `Config::pairs` asks for is not.
    [[nodiscard]] std::vector<Pair> pairs();

    /// Tests the tool on some pairs, `config().jobs` at once, and returns their results in that
    /// order; fewer where a check has failed and `config().on_failure` is `OnFailure::stop`. Throws
    /// SetupErrors only.
    std::vector<PairResult> run_pairs(const std::vector<Pair>& some);

    /// Tests the tool on one pair. Throws SetupErrors only.
    [[nodiscard]] PairResult run_pair(const Pair& pair);

    /// All that a tunnel must do, in that order; `config().level`, `only` and `except` select from
    /// it. To be overridden in order to add checks of one's own.
    [[nodiscard]] virtual std::vector<Check> checks() const;

    /// From what the data is made: `config().seed`, or one that was drawn by lot. Of several rounds
    /// (`Config::rounds`) this is the first one's; each has one more than the round before.
    [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }

    /// The free function `expect_read`, with a line in the log.
    std::string expect_read(Socket& socket, std::string_view expected, std::string_view tag,
                            std::optional<std::size_t> compare_len = std::nullopt);

    /// The configuration that was given to the constructor.
    [[nodiscard]] const ConfigProg& config() const noexcept { return config_; }

    /// Has the tool reload, without waiting until it has done so: by a signal (`Server::signal`),
    /// by a command (`Server::add_command`), or by starting the process that takes its place
    /// (`Server::hand_over_to`). Called by `PairRun::reload`, several times in a row, while
    /// connections are open. The default: throws NotApplicable, since nothing says how.
    virtual void reload(Server& tool);

    /// Has the tool reload as `reload` does, but while its configuration is broken: it must go on
    /// with the one that it has (the check `life.broken_reload`). The next call of `reload` has to
    /// put the tool's own configuration in place again. Returns whether it has done so; the
    /// default: false, since there is no broken configuration.
    virtual bool reload_broken(Server& tool);

    /// Makes a client's connection to the tool: called by `PairRun::connect_client`, and by
    /// `connect`, as many times as the checks like. The default:
    /// `PairRun::connect_client_as_usual`. One of your own begins with a step of the kind
    /// `StepKind::connect`: a tool that serves only some clients at once is known by where it
    /// fails.
    virtual Socket connect_client(PairRun& run);

    /// Makes one connection through the tunnel, as many times as the checks like. The default:
    /// `PairRun::connect_as_usual`.
    virtual Connection connect(PairRun& run);

    /// Makes the client's end of a flow, on which nothing has been said: called by
    /// `PairRun::open_flow`, as many times as the checks like. The default:
    /// `PairRun::open_flow_as_usual`.
    virtual Flow open_flow(PairRun& run);

    /// Takes away what the tool puts before what a client says in a datagram to the server: a
    /// header of the PROXY protocol, for instance. Called for each datagram that arrives there.
    /// Throws Unexpected where it is not as it should be. The default: nothing.
    ///
    /// Returns the endpoint at which the tool says that its client is, where it says so.
    virtual std::optional<Endpoint> open_datagram(std::string& payload);

protected:
    /// Starts a process with `config().utf8_env`, to which `more` is added, or preferred; what it
    /// prints goes to the log at `debug`. Throws ToolMissing, ToolNotExecutable, SystemError.
    [[nodiscard]] Process spawn(std::vector<std::string> argv, Environment more = {}) const;

    /// Returns a name that stands for the address of `svc_listen`, for a tool that `spawn_server`
    /// tells a name in place of the address. In a private network that could mount a hosts file,
    /// some checks have it stand for other addresses while the tool runs; elsewhere it is one that
    /// the machine has (`host_name_of`). Throws NoAddresses where it has none.
    [[nodiscard]] std::string target_name(const AddrPort& svc_listen);

private:
    friend class PairRun;

    ConfigProg config_;
    std::uint64_t seed_;
    std::unique_ptr<detail::Failures> failures_;
    /// How the next client opens its connection by TLS, where that is otherwise than usual; and
    /// whether it has resumed a session. Null when that was done.
    const TlsManner* tls_manner_ = nullptr;
    bool resumed_ = false;
    /// What `target_name` has returned last, and in which process: a lock is the process's own.
    std::optional<HostName> target_name_;
    std::int64_t name_taken_by_ = 0;
};

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
// The one include that runs up, to a room above this one: `TestTunnel::checks` returns the
// library's checks by default, and these are functions that use a PairRun.
#include "test_tunnel/checks/all.ipp"               // IWYU pragma: export
#include "test_tunnel/run/detail/connecting.ipp"    // IWYU pragma: export
#include "test_tunnel/run/detail/finding.ipp"       // IWYU pragma: export
#include "test_tunnel/run/detail/flow.ipp"          // IWYU pragma: export
#include "test_tunnel/run/detail/flow_carrying.ipp" // IWYU pragma: export
#include "test_tunnel/run/detail/opening.ipp"       // IWYU pragma: export
#include "test_tunnel/run/detail/pair_run.ipp"      // IWYU pragma: export
#include "test_tunnel/run/detail/pair_test.ipp"     // IWYU pragma: export
#include "test_tunnel/run/detail/rounds.ipp"        // IWYU pragma: export
#include "test_tunnel/run/detail/soaking.ipp"       // IWYU pragma: export
#include "test_tunnel/run/detail/talking.ipp"       // IWYU pragma: export
#include "test_tunnel/run/detail/tunnel.ipp"        // IWYU pragma: export
#include "test_tunnel/run/detail/upstream.ipp"      // IWYU pragma: export
#include "test_tunnel/run/detail/workers.ipp"       // IWYU pragma: export
#endif
