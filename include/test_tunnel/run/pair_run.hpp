#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/config/config.hpp"
#include "test_tunnel/config/detail/wording.hpp"
#include "test_tunnel/config/per_direction.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/config/traits.hpp"
#include "test_tunnel/config/transports.hpp"
#include "test_tunnel/discovery/pairs.hpp"
#include "test_tunnel/handshakes/protocol.hpp"
#include "test_tunnel/handshakes/proxy_protocol.hpp"
#include "test_tunnel/net/pattern.hpp"
#include "test_tunnel/net/socket.hpp"
#include "test_tunnel/net/stream.hpp"
#include "test_tunnel/net/tls_end.hpp"
#include "test_tunnel/net/wait.hpp"
#include "test_tunnel/private_network/host_name.hpp"
#include "test_tunnel/process/server.hpp"
#include "test_tunnel/report/report.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/connection.hpp"
#include "test_tunnel/run/detail/judge.hpp"
#include "test_tunnel/run/flow_run.hpp"
#include "test_tunnel/run/upstream_proxy.hpp"

namespace test_tunnel {

namespace detail {
struct PairState;
class Trial;
} // namespace detail

/// What the checks of one pair are given: connections and flows (FlowRun) through the tool, which
/// is started where it does not run, and what they say of what they do and see.
class PairRun : public FlowRun {
public:
    /// Made by `TestTunnel::run_pair` only, for as long as the pair is tested.
    explicit PairRun(detail::PairState& state) noexcept : state_{state} {}
    PairRun(const PairRun&) = delete;
    PairRun& operator=(const PairRun&) = delete;
    ~PairRun() = default;

    // --- What is tested

    /// Where the tool that is running now listens and connects to. Another one, started after a
    /// failure, has other ports.
    [[nodiscard]] const Pair& pair() const noexcept;
    /// The configuration of the tunnel (`TestTunnel::config`); with shorter timeouts where the tool
    /// has failed (`OnFailure::hurry`).
    [[nodiscard]] const ConfigProg& config() const noexcept;
    /// The traits, as `TestTunnel::traits` returned them when the pair's test began.
    [[nodiscard]] const Traits& traits() const noexcept;
    /// What the tool carries (`TestTunnel::transports`).
    [[nodiscard]] Transports transports() const;
    /// By which of the library's handshakes the tool is asked (`TestTunnel::protocol`).
    [[nodiscard]] Protocol protocol() const;
    /// The tool's upstream proxy, which the library plays (`TestTunnel::upstream`).
    [[nodiscard]] UpstreamProxy upstream() noexcept;
    /// Which PROXY header it expects of its clients, if any.
    [[nodiscard]] std::optional<ProxyVersion> client_header() const;
    /// Which PROXY header it sends to the server, if any.
    [[nodiscard]] std::optional<ProxyVersion> server_header() const;
    /// Whether the tool may listen on this port, on any address: besides the one where its clients
    /// connect, `TestTunnel::other_ports` has it, or it is the pair's spare one.
    [[nodiscard]] bool may_listen_on(std::uint16_t port) const;
    /// The name that the tool was told for its target (`TestTunnel::target_name`), whose addresses
    /// can be changed; it must stand for the target's own when the check ends. Null where the tool
    /// was told none, or one that stays.
    [[nodiscard]] HostName* target_name() noexcept;
    /// Whether a check shall go to its limits: `Level::strict`.
    [[nodiscard]] bool strict() const noexcept;

    /// The tool; started where it does not run.
    [[nodiscard]] Server& tool();
    /// What looks after the tool: to be given to every wait for it.
    [[nodiscard]] std::shared_ptr<Supervisor> supervisor();
    /// The server's listener, at `pair().svc_listen.server()` since before the tool was started. A
    /// check may replace it by another socket there, and must have it listen when it ends.
    [[nodiscard]] Socket& listener();

    // --- Connections

    /// One connection through the tunnel, after the handshake, with no byte on it: what the hook
    /// `TestTunnel::connect` makes. Starts the tool where it does not run, or has ended after a
    /// connection as a tool does that serves just one. Throws what is wrong: Unexpected, TimedOut,
    /// ToolEnded, SystemError, and whatever a hook throws.
    [[nodiscard]] Connection connect();

    /// Makes one more connection beside `connections`, and adds it. Returns false where the tool
    /// serves no more at once: where it has served the further client, twice, only when another
    /// connection was closed, and then soon. `most_at_once` tells how many it was. The connections
    /// may be others afterwards than before. Throws as `connect` does.
    [[nodiscard]] bool add_connection(std::vector<Connection>& connections);

    /// A client's connection to the tool, on which nothing has been said: what the hook
    /// `TestTunnel::connect_client` makes.
    [[nodiscard]] Socket connect_client();

    /// A client's connection, and what comes before the handshake (`TestTunnel::client_header`,
    /// `TestTunnel::open_client`): what the client writes next is the handshake's first byte.
    [[nodiscard]] Socket open_client();

    /// How a side speaks TLS (`TestTunnel::client_tls`, `server_tls`); null where it does not.
    [[nodiscard]] std::shared_ptr<const TlsEnd> tls(Party side) const;
    /// Opens a connection in such a manner; whether a session was resumed. Throws NotApplicable.
    bool open_client(Socket& client, const TlsManner& manner);

    /// What `open_client` does, and the handshake (`TestTunnel::handshake`).
    std::optional<Endpoint> handshake(Socket& client);
    /// What comes behind a PROXY header that was written: the rest of what `handshake` does.
    std::optional<Endpoint> handshake_behind_header(Socket& client);
    /// Waits for the `server` end of a connection that is under way, and does what comes first on
    /// it (`TestTunnel::open_server`). A tool that ends the client's connection instead, or sends
    /// it something before, is noticed at once. Throws Unexpected, TimedOut, ToolEnded.
    [[nodiscard]] Socket accept(Socket& client);

    /// Demands that the tool's connection, which comes from `source`, comes from the address that
    /// was assigned to it, unless the traits say that it can't; and from the endpoint that the
    /// handshake has reported, if it has. Throws Unexpected.
    void verify_source(const Endpoint& source, const std::optional<Endpoint>& reported);

    /// A connection that the tool has made to the server, if there is one, after what comes first
    /// on it; does not wait for the connection.
    [[nodiscard]] std::optional<Socket> try_accept();
    /// A connection that has arrived, for one that is not used: what comes first may be missing.
    [[nodiscard]] std::optional<Socket> take_arrival();

    /// Waits for the connection of a client that has written `word`: the one on which that arrives,
    /// and is read. Those of other clients, which may come late, are set aside until the check
    /// ends. Nothing where it has not come by `deadline`, or when something comes to the client, or
    /// its connection ends, if that is given. Throws Unexpected, ToolEnded.
    [[nodiscard]] std::optional<Socket> find_by_word(std::string_view word, Deadline deadline,
                                                     const Socket* client = nullptr);

    /// The connections that were set aside so far, for clients which were not waited for.
    [[nodiscard]] std::vector<Socket> take_strays();
    /// Tells that a client has connected for which the tool may connect to the server, now or
    /// later, without being waited for. Until the check ends, such a connection is not taken for
    /// that of another client, nor for one that nobody has asked for.
    void expect_arrival();

    /// Does what comes first on a connection that was accepted (`UpstreamProxy::grant`,
    /// `TestTunnel::open_server`); `client` is whose connection it is, where that is known. Throws
    /// Unexpected where the tool names another.
    void open_server(Socket& server, const std::optional<Endpoint>& client = std::nullopt);
    /// Does the same on one that was granted already.
    void open_granted(Socket& server, const std::optional<Endpoint>& client = std::nullopt);
    /// Does what `open_granted` does, and returns the client that the tool names, unjudged.
    std::optional<Endpoint> read_told_client(Socket& server);

    /// Connects the client, from the pair's own port the first time, from any later on, trying
    /// again with a new socket as long as it is refused: after a tenth of a millisecond first,
    /// after 5 ms at the most, until `config().timeouts.connect` is over. Throws ToolEnded as soon
    /// as the tool has ended, TimedOut. The default of `TestTunnel::connect_client`.
    [[nodiscard]] Socket connect_client_as_usual();

    /// Makes one connection: `connect_client`, `handshake`, `accept`, `verify_source`. A tool that
    /// connects onwards only when the client has said something is told something, which is read
    /// again at the other end. The default of `TestTunnel::connect`.
    [[nodiscard]] Connection connect_as_usual();

    // --- What is said on them

    /// What the client and the server write, in the text of failures.
    static constexpr const char* up = "client → server";
    /// What the server writes.
    static constexpr const char* down = "server → client";

    /// Has one line of text, which is another one each time, go from one end of a connection to the
    /// other; `speaker` is the client or the server, whose end `from` is. Throws Unexpected.
    void say(Socket& from, Socket& to, Party speaker);

    /// Whether the tool is known, or declared, to connect onwards only when the client has spoken.
    [[nodiscard]] bool speaks_first() const noexcept;

    /// Has a few bytes go each way on a connection, the client's first: it works, and there is
    /// nothing on it that nobody has written.
    void round_trip(Connection& connection);
    using FlowRun::round_trip;

    /// Makes a new connection, and a round trip on it: after a disturbance.
    void sentinel();

    /// Carries streams, with the configuration's timeout; at most a second of new data at
    /// `Level::standard`.
    void transfer(std::vector<Stream> streams);

    /// Waits for `events` as the free function `wait_for` does, and looks after the tool.
    bool wait_for(std::span<SocketEvent> events, Deadline deadline, std::string_view awaited) {
        return test_tunnel::wait_for(events, deadline, supervisor().get(), awaited);
    }
    /// Waits for one event.
    bool wait_for(SocketEvent event, Deadline deadline, std::string_view awaited) {
        return wait_for(std::span{&event, 1}, deadline, awaited);
    }

    /// Waits for `duration`, whatever the timeout scale, looking after the tool; `awaited` says
    /// for what. Throws ToolEnded and TimedOut.
    void pause(Duration duration, std::string_view awaited) {
        wait_for(std::span<SocketEvent>{}, Deadline::unscaled(duration), awaited);
    }

    /// Demands that nothing arrives at any of `sockets` for `duration`; by default, that nothing
    /// has arrived. Throws Unexpected.
    void require_silence(std::vector<Socket*> sockets, Duration duration = Duration::zero());

    /// Demands that no connection has arrived at the server that no client has asked for. Throws
    /// Unexpected.
    void require_no_unasked_connection();

    /// The other side has closed: demands the clean end of the stream, unless the traits say that
    /// the tool does not pass it on. `name` is `up` or `down`. Throws Unexpected, ToolEnded.
    void demand_end(Socket& reader, std::string_view name);

    // --- What is learnt about the tool

    /// Whether the tool serves a connection while another one is open; learnt once, which takes
    /// some seconds where it does not.
    [[nodiscard]] bool is_concurrent();

    /// A client that says nothing has been connected onwards, or has not, for as long as such
    /// connections take.
    void learn_eagerness(bool is_eager);
    /// Whether the tool connects onwards for clients that say nothing, by what was seen last, or is
    /// declared.
    [[nodiscard]] bool is_eager() const noexcept;
    /// For how long a connection is awaited that need not come: for `least`, or longer where the
    /// tool has been slow to connect before.
    [[nodiscard]] Duration time_to_connect(Duration least) const;

    /// Throws NotApplicable where the tool serves one connection at a time, which must be declared
    /// at `Level::strict`.
    void need_concurrency();

    /// How many connections it was seen to serve at once, where there is such a limit.
    [[nodiscard]] std::optional<std::size_t> most_at_once() const noexcept;
    /// Has `most_at_once` return `count`, and the report note it.
    void serves_at_most(std::size_t count);

    // --- The tool's life

    /// How many connections have been made to the tool that is running, or ran last.
    [[nodiscard]] int connections() const noexcept;
    /// Whether a tool is running, or was when it was last looked at.
    [[nodiscard]] bool has_tool() const noexcept;
    /// Kills the tool, and starts another one while nobody listens at the target:
    /// `listener().listen()` ends that.
    void restart_early();
    /// Kills the tool, if it runs, and starts another one at once at the same addresses and ports.
    void restart_there();
    /// Has the tool reload; does not wait until it has. Throws NotApplicable if nothing says how.
    void reload();
    /// Has it reload a broken configuration, as `reload` does. False where its test has none.
    [[nodiscard]] bool reload_broken();
    /// Stops the tool and demands that it ends as it should. The next connection starts another.
    void stop();
    /// Demands that a tool which has been stopped ended as it should; `ended_before` says of each
    /// of its processes whether it had ended by itself.
    void judge_end(const std::vector<bool>& ended_before);
    /// Demands, after a check or wherever all connections have been closed, that the tool runs on,
    /// or has ended as one does that serves just one connection.
    void settle();
    /// Has the tool, which may be in any state, killed when the check ends; how it ends is not
    /// judged, but for crashes and for the reports of sanitizers.
    void kill_after_check() noexcept;

    // --- What is told

    /// Names what happens from now on. `from` and `to` say who acts on whom, in the account's
    /// picture.
    void step(std::string name, std::string expected, Party from = Party::tool,
              Party to = Party::tool);
    /// Names a step that programs tell apart, by the name of its kind: "end of stream".
    void step(StepKind kind, std::string expected, Party from = Party::tool,
              Party to = Party::tool);
    /// How many steps there have been.
    [[nodiscard]] std::size_t steps() const noexcept;

    /// Leaves out of the account all steps but the first `count`: of many that are alike.
    void forget_steps(std::size_t count);

    /// What the last step expects.
    [[nodiscard]] std::string expected() const;

    /// Adds to the report something that is no failure; once for a pair.
    void note(std::string text, std::string_view trait = {});
    /// Adds a note that says more than its text; once for a pair.
    void note(Note note);

    /// Judges what the tool has shown where correct tools differ, by what `traits()` declares:
    /// `judge(trait::half_close, HalfClose::none, "half-close by the client")`. Adds a note where
    /// it differs from the rule, or is better than declared. Throws Unexpected where it is worse
    /// than declared and, at `Level::strict`, where it differs from the rule and is not declared.
    /// `subject` begins the note, and the failure's text; by default, with the row's own words.
    template <typename Value, typename Member>
        requires(std::is_enum_v<Value> || std::is_same_v<Value, bool>)
    void judge(const Trait<Value, Member>& trait, std::type_identity_t<Value> shown,
               std::string_view subject = {});
    /// Judges what the tool has shown in one direction, where correct tools differ by that:
    /// `judge(trait::reset, Direction::up, ResetShows::as_end, "a reset by the client")`.
    template <typename Value>
        requires(std::is_enum_v<Value> || std::is_same_v<Value, bool>)
    void judge(const DirectedTrait<Value>& trait, Direction direction,
               std::type_identity_t<Value> shown, std::string_view subject = {});

    /// Whether the tool is demanded to pass the end of a stream on in this direction: whether it is
    /// not declared otherwise.
    [[nodiscard]] bool must_pass_end(Direction direction) const {
        return traits().passes_eof.in(direction).value_or(true);
    }

    /// Whether the end of a stream must be seen: where it must be passed on, and where the tool has
    /// done so whenever it was looked at, whatever is declared.
    [[nodiscard]] bool expects_end(Direction direction) const;
    /// Excuses a tool that has not passed an end on, where that is declared; else throws
    /// Unexpected.
    void excuse_no_end(Direction direction);

    /// How a text names a trait, by `Config::dialect`: "Traits::serves_again", or
    /// "--trait serves_again".
    [[nodiscard]] std::string wording(std::string_view trait) const {
        return detail::wording(config().dialect, trait);
    }
    /// How a text names a declaration: "Traits::concurrent = false", or "--trait
    /// concurrent=false".
    template <typename Value>
    [[nodiscard]] std::string wording(const Trait<Value>& trait,
                                      std::type_identity_t<Value> value) const {
        return detail::wording(config().dialect, trait, value);
    }
    /// How a text advises to declare a trait that may differ by the direction: for both, or for
    /// this one only.
    template <typename Value>
    [[nodiscard]] std::string wording(const DirectedTrait<Value>& trait, Direction direction,
                                      std::type_identity_t<Value> value) const {
        return fmt::format("{} (or, for this direction only, {})",
                           detail::wording(config().dialect, trait, value),
                           detail::wording(config().dialect, trait, value, direction));
    }

    // --- What is measured by
    /// Different for each check, pair and number: what a connection's data is made of.
    [[nodiscard]] Pattern pattern(std::uint64_t number = 0) const;

    /// How long a wait lasts that is named by its length at `Level::strict`: a tenth of that at
    /// `Level::standard`.
    [[nodiscard]] Duration wait(Duration strict_duration) const {
        return strict() ? strict_duration : strict_duration / 10;
    }

    /// When a check should write no more, so that a slow tool takes no longer: in a second; never
    /// at `Level::strict`.
    [[nodiscard]] std::optional<Deadline> soft_end() const;

    /// Returns what the check's `prepare` has made, some time ago; calls it now where that has not
    /// been done, or was done for a tool that is no longer there. For `prepared_check`, which knows
    /// the type.
    [[nodiscard]] std::shared_ptr<void> take_prepared();

private:
    /// How far a connection gets that is tried beside others.
    enum class Until { connected, carries };

    void take(const detail::Verdict& verdict);
    [[nodiscard]] std::string write_line(Socket& from, Party speaker);
    void demand_answer(Socket& reader, std::string_view name);
    [[nodiscard]] Socket accept_opened(Socket& client);
    [[nodiscard]] bool connects_without_a_word(Socket& client, Deadline deadline);
    [[nodiscard]] bool connects_by_itself(Socket& client, Duration patience);
    [[nodiscard]] Socket accept_by_word(Socket& client, std::string_view word);
    void set_strays_aside();
    void learn_first_word(bool has_spoken, Duration waited, Duration after);
    [[nodiscard]] std::optional<Connection> connect_beside(Connection& other, detail::Trial& trial,
                                                           Until until, bool& is_closed);
    [[nodiscard]] Connection connect_when_settled();

    friend class FlowRun;
    detail::PairState& state_;
};

} // namespace test_tunnel

#include "test_tunnel/run/detail/pair_run_judge.hpp" // IWYU pragma: export

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/run/tunnel.hpp" // IWYU pragma: export
#endif
