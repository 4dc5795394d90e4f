#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "check.hpp"
#include "config.hpp"
#include "deadline.hpp"
#include "detail/judge.hpp"
#include "discovery/pairs.hpp"
#include "level.hpp"
#include "pattern.hpp"
#include "protocol.hpp"
#include "report.hpp"
#include "server.hpp"
#include "socket.hpp"
#include "stream.hpp"
#include "traits.hpp"

namespace test_tunnel {

class TestTunnel;

/// Both ends of one connection through the tunnel.
struct Connection {
    /// The client's end, after the handshake.
    Socket client;
    /// The end that the tool made to the harness's server.
    Socket server;
};

/// What the checks of one pair are given: connections through the tool, which is started where it
/// does not run, and what they say of what they do and see.
class PairRun {
public:
    /// Made by `TestTunnel::run_pair`, for as long as the pair is tested; `tunnel` must outlive it.
    PairRun(TestTunnel& tunnel, Pair pair, std::uint64_t seed);

    // --- What is tested

    /// Where the tool that is running now listens and connects to. Another one, started after a
    /// failure, has other ports.
    [[nodiscard]] const Pair& pair() const noexcept { return pair_; }
    /// That of the tunnel (`TestTunnel::config`).
    [[nodiscard]] const ConfigProg& config() const noexcept;
    /// What the tool was declared to do its own way when the pair's test began.
    [[nodiscard]] const Traits& traits() const noexcept { return traits_; }
    /// Whether a check shall go to its limits: `Level::strict`.
    [[nodiscard]] bool strict() const noexcept { return config().level == Level::strict; }

    /// The tool; started where it does not run.
    [[nodiscard]] Server& server();
    /// To be given to what waits for the tool.
    [[nodiscard]] std::weak_ptr<Watch> watch() { return server().watch(); }
    /// Listens at `pair().svc_listen.listen()` since before the tool was started. It may be
    /// replaced by another socket that is bound there; it must listen again when the check ends.
    [[nodiscard]] Socket& listener();

    // --- Connections

    /// One connection through the tunnel, after the handshake, with no byte on it: as
    /// `TestTunnel::connect`. Starts the tool where it does not run, or has ended after a
    /// connection as a tool does that serves just one.
    [[nodiscard]] Connection connect();

    /// The same; nothing where the tool keeps the client waiting for `patience`, as one does that
    /// serves no more at once. The check's tool is given up then, as by `discard`.
    [[nodiscard]] std::optional<Connection> connect_within(Duration patience);

    /// A client's connection to the tool, on which nothing has been said.
    [[nodiscard]] Socket connect_client();

    /// By which of the library's handshakes the tool is asked, as `TestTunnel::protocol`.
    [[nodiscard]] Protocol protocol() const;

    /// The same as `connect_client`, and what comes before the handshake
    /// (`TestTunnel::open_client`): what the client writes next is the handshake's first byte.
    [[nodiscard]] Socket open_client();

    /// The tool's handshake on a client's connection, and what comes before it: as
    /// `TestTunnel::open_client` and `TestTunnel::handshake`.
    std::optional<Endpoint> handshake(Socket& client);

    /// A connection that the tool has made to the server, if there is one, after what comes first
    /// on it (`TestTunnel::open_server`); does not wait for the connection.
    [[nodiscard]] std::optional<Socket> try_accept();

    /// The same for one that was accepted; `client` is whose connection it is, where that is known.
    void open_server(Socket& server, const std::optional<Endpoint>& client = std::nullopt);

    /// The `server` end of a connection that is under way: as `TestTunnel::accept`.
    [[nodiscard]] Socket accept(Socket& client);

    /// What the client writes, in the text of failures.
    static constexpr const char* up = "client → server";
    /// What the server writes.
    static constexpr const char* down = "server → client";

    /// One line of text, which is never the same, goes through; `name` is `up` or `down`.
    void say(Socket& from, Socket& to, std::string_view name);

    /// Whether the tool is known, or declared, to connect onwards only when the client has spoken.
    [[nodiscard]] bool speaks_first() const noexcept { return speaks_first_.value_or(false); }

    /// A few bytes each way on a connection: it works, and there is nothing on it that nobody has
    /// written. The client speaks first.
    void round_trip(Connection& connection);

    /// After a disturbance: a new connection, and a round trip on it.
    void sentinel();

    /// Nothing arrives at any of `sockets` for `duration`; by default, has arrived.
    void require_silence(std::vector<Socket*> sockets, Duration duration = Duration::zero());

    /// No connection has arrived at the server that no client has asked for.
    void require_no_stranger();

    /// The other side has closed: the clean end of the stream must follow, unless the traits say
    /// that the tool does not pass it on.
    void demand_end(Socket& reader, std::string_view name);

    /// Carries streams, with the configuration's timeout; at most a second of new data at
    /// `Level::standard`.
    void transfer(std::vector<Stream> streams);

    /// Whether the tool serves a connection while another one is open; learnt once, which takes
    /// some seconds where it does not.
    [[nodiscard]] bool is_concurrent();

    /// How many it was seen to serve at once, where there is such a limit.
    [[nodiscard]] std::optional<std::size_t> most_at_once() const noexcept { return most_at_once_; }
    /// Has `most_at_once` return `count`, and the report note it.
    void serves_at_most(std::size_t count);

    /// Throws NotApplicable where it does not. Must be declared at `Level::strict`.
    void need_concurrency();

    /// What the check's `prepare` has returned, some time ago; called now where it has not been,
    /// or for a tool that is no longer there.
    template <typename State>
    [[nodiscard]] std::shared_ptr<State> prepared() {
        return std::static_pointer_cast<State>(take_prepared());
    }

    // --- The tool's life

    /// How many connections have been made to the tool that is running.
    [[nodiscard]] int connections() const noexcept { return connections_; }
    /// Whether a tool is running, or was when it was last looked at.
    [[nodiscard]] bool has_server() const noexcept { return server_.has_value(); }
    /// Stops the tool and demands that it ends as it should. The next connection starts another.
    void stop();
    /// The same for a tool that has been stopped already; `ended_before` says of each of its
    /// processes whether it had ended by itself.
    void judge_end(const std::vector<bool>& ended_before);
    /// After a check, and wherever all connections have been closed: the tool must run on, or have
    /// ended as one does that serves just one connection.
    void settle();
    /// The tool may be in any state: it is killed at the end of the check, and how it ends is not
    /// judged, but for crashes and for the reports of sanitizers.
    void discard() noexcept { discarded_ = true; }

    // --- The account

    /// Names what happens from now on. `from` and `to` say who acts on whom, in the account's
    /// picture.
    void step(std::string name, std::string expected, Party from = Party::tool,
              Party to = Party::tool);
    /// How many steps there have been.
    [[nodiscard]] std::size_t steps() const noexcept { return steps_.size(); }

    /// Leaves out of the account all steps but the first `count`: of many that went well, and are
    /// the same again and again.
    void forget_steps(std::size_t count) { steps_.resize(std::min(count, steps_.size())); }

    /// Of the last step.
    [[nodiscard]] std::string expected() const {
        return steps_.empty() ? "the check passes" : steps_.back().expected;
    }

    /// Adds to the report something that is no failure; once for a pair.
    void note(std::string text, std::string_view trait = {});

    /// Judges what a tool does where correct tools differ, by what is declared: `subject` says of
    /// what in words ("half-close by the client"). Throws Unexpected where it is worse than
    /// declared and, at `Level::strict`, where it is not declared and not the rule. `rule` is what
    /// needs no declaration; nothing, where there is no rule.
    template <typename Value>
    void judge(std::string_view trait, std::string_view subject,
               const std::optional<Value>& declared, Value actual, std::optional<Value> rule);

    /// Different for each check, pair and number: what a connection's data is made of.
    [[nodiscard]] Pattern pattern(std::uint64_t number = 0) const {
        return pattern_.derive(number);
    }

    /// A wait that is named in seconds is a tenth of it at `Level::standard`.
    [[nodiscard]] Duration wait(Duration strict_duration) const {
        return strict() ? strict_duration : strict_duration / 10;
    }

    /// When a check should write no more, so that a slow tool takes no longer; never at
    /// `Level::strict`.
    [[nodiscard]] std::optional<Deadline> soft_end() const {
        using namespace std::chrono_literals;
        return strict() ? std::nullopt : std::optional{Deadline{Clock::now() + 1s}};
    }

private:
    friend class TestTunnel;

    /// What a check has done ahead, and the account of it.
    struct Prepared {
        std::shared_ptr<void> state;
        /// Of which tool: the number of its start.
        int start = 0;
        Clock::time_point started;
        std::vector<Step> steps;
        std::vector<Note> notes;
    };

    void begin(const Check& check);
    void prepare();
    [[nodiscard]] bool drop_prepared();
    [[nodiscard]] std::shared_ptr<void> take_prepared();
    void start();
    [[nodiscard]] bool has_ended_well();
    void serves_just_one();
    [[nodiscard]] bool may_have_been_too_early();
    [[nodiscard]] Connection connect_when_settled();
    [[nodiscard]] bool carries(Connection& connection, Duration patience);
    void drop();

    TestTunnel& tunnel_;
    Traits traits_;
    Pair pair_;
    Pattern seed_;
    Pattern pattern_;
    std::optional<Socket> listener_;
    std::optional<Server> server_;
    int starts_ = 0;
    int connections_ = 0;
    bool discarded_ = false;
    /// Of the tool's last connection to the server, where it comes from, and where it goes.
    std::optional<std::pair<Endpoint, Endpoint>> tool_end_;
    // What has been learnt about the tool.
    /// Whether it connects onwards only when the client has spoken.
    std::optional<bool> speaks_first_;
    bool seemed_to_wait_ = false;
    /// Whether the last connection of a client that failed was reset by it.
    bool was_reset_ = false;
    /// Whether it is given a moment after its start: it has reset what came in at once.
    bool settles_ = false;
    std::optional<bool> concurrent_;
    bool is_concurrency_judged_ = false;
    std::optional<std::size_t> most_at_once_;
    /// For all waits on a new connection, instead of the configuration's timeouts.
    std::optional<Duration> patience_;
    std::uint64_t said_ = 0;
    std::set<std::string> noted_;
    /// By the id of the check.
    std::map<std::string_view, Prepared> prepared_;
    bool never_ahead_ = false;
    // Of the check that is being run.
    Check check_;
    Clock::time_point started_;
    std::vector<Step> steps_;
    std::vector<Note> notes_;
};

template <typename Value>
void PairRun::judge(std::string_view trait, std::string_view subject,
                    const std::optional<Value>& declared, Value actual, std::optional<Value> rule) {
    const auto verdict = detail::judge(trait, subject, declared, actual, rule, strict());
    if (!verdict.note.empty()) {
        note(verdict.note, trait);
    }
    if (!verdict.failure.empty()) {
        throw Unexpected{verdict.expected, verdict.failure};
    }
}

} // namespace test_tunnel
