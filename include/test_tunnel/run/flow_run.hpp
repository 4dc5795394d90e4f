#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/net/datagram_socket.hpp"
#include "test_tunnel/report/report.hpp"
#include "test_tunnel/run/flow.hpp"

namespace test_tunnel {

class PairRun;

/// A wait for datagrams. It ends when, in all, nothing has come for `patience` though the tool had
/// nothing else to do, and at `deadline` in any case.
struct IdleWait {
    /// For how long nothing may come, in all, while the tool is idle.
    Duration patience;
    /// When it ends in any case.
    Deadline deadline;
    /// How much of the patience is left.
    Duration left = patience;

    /// Whether it has ended.
    [[nodiscard]] bool is_over() const { return left <= Duration::zero() || deadline.passed(); }
    /// How much of it is used up.
    [[nodiscard]] Duration waited() const { return patience - left; }
};

/// What a PairRun gives to the checks of a tool that carries datagrams: flows through it.
class FlowRun {
public:
    FlowRun(const FlowRun&) = delete;
    FlowRun& operator=(const FlowRun&) = delete;

    /// The server's UDP socket, at `pair().svc_listen.listen()` since before the tool was started;
    /// all flows arrive there. It may be closed, or replaced by another one that is bound there; it
    /// must receive again when the check ends.
    [[nodiscard]] DatagramSocket& datagram_server();

    /// The client's end of a flow, on which nothing has been said: what the hook
    /// `TestTunnel::open_flow` makes. Starts the tool where it does not run. Throws as `connect`.
    [[nodiscard]] Flow open_flow();

    /// Makes one whose client is at `client`; port 0 stands for any. Throws SystemError where
    /// somebody else has that port, NotApplicable where the hook does not let the client be chosen.
    [[nodiscard]] Flow open_flow(const Endpoint& client);

    /// Makes the client's end of a flow: its socket is bound to `client_of_flow`, and sends to
    /// where the tool listens. The default of `TestTunnel::open_flow`.
    [[nodiscard]] Flow open_flow_as_usual();

    /// Where the client of the flow that is being made has to be: at the client's address with a
    /// port of its own, unless `open_flow` was told another place.
    [[nodiscard]] Endpoint client_of_flow();

    /// Where a forwarder took datagrams from anybody, besides where it was told to, when it ran but
    /// no client had come yet. Later on it may have sockets by which it sends.
    [[nodiscard]] const std::vector<Endpoint>& other_receivers();

    /// One flow through the tunnel: after a word from the client to the server and one back, so
    /// that it is known, and verified, from where the server sees it come. Throws as `open_flow`
    /// does.
    [[nodiscard]] Flow flow();

    /// Has one datagram go from the client to the server, or back to `flow.source`, and returns
    /// when it has arrived whole. One that does not come is sent again, once, and the report notes
    /// whether it was lost or late. What comes in its place, or before it, is a failure. Throws
    /// Unexpected, TimedOut, ToolEnded.
    void carry(Flow& flow, Party speaker, std::string_view payload);

    /// Has a short request, which is another one each time, go from the client to the server.
    void say_request(Flow& flow);
    /// Has a line of text go each way on a flow, the client's first.
    void round_trip(Flow& flow);

    /// Makes a new flow, and a round trip on it: after a disturbance.
    void flow_sentinel();
    /// Waits until `deadline` for a datagram that arrives at the server, whoever has sent it, and
    /// takes away what the tool puts before what the client has said (`TestTunnel::open_datagram`).
    /// Nothing where none has come. Throws Unexpected, ToolEnded.
    [[nodiscard]] std::optional<Datagram> receive_at_server(Deadline deadline);
    /// Does the same until `wait` is over.
    [[nodiscard]] std::optional<Datagram> receive_at_server(IdleWait& wait);

    /// Waits until `deadline` for a datagram that arrives at the client of a flow; returns what the
    /// tool has brought of it, and `Datagram::from` is the server where the tool says so, else the
    /// tool. Demands that it comes from where the client sends to, and that the tool names
    /// `flow.target` as its sender. Nothing where none has come. Throws Unexpected, ToolEnded.
    [[nodiscard]] std::optional<Datagram> receive_at_client(Flow& flow, Deadline deadline);
    /// Does the same until `wait` is over.
    [[nodiscard]] std::optional<Datagram> receive_at_client(Flow& flow, IdleWait& wait);

    /// `came` is a datagram of `flow` at the server: from where it comes is verified, and kept in
    /// `flow.source`, and so is verified of which client the tool tells, if it does. Throws
    /// Unexpected.
    void take_source(Flow& flow, const Datagram& came);

    /// For how long a tool may be idle until what it was sent has arrived: some 300 ms where it was
    /// sent once, and longer where datagrams have taken long; `timeouts.answer` where it has been
    /// sent again.
    [[nodiscard]] Duration patience_for(int sent);
    /// The patience for what may take as long as `usual`: twice as much as any datagram has taken,
    /// if that is longer, but no more than `timeouts.answer`.
    [[nodiscard]] Duration patience_of_at_least(Duration usual);
    /// The patience for the other copy of what was sent twice, of which one has come after `delay`.
    [[nodiscard]] Duration patience_for_copy(Duration delay);
    /// Begins a wait, which lasts for `timeouts.io` at most.
    [[nodiscard]] IdleWait begin_wait(Duration patience);
    /// Nothing has come for `duration`: takes that from the patience of `wait`, if it counts. It
    /// does not where the tool computes, or gets no CPU; of one that never rests, all of it does.
    void count_silence(IdleWait& wait, Duration duration);
    /// A datagram has arrived for which an idle tool has been waited for so long.
    void remember_delay(Duration delay);
    /// Notes that datagrams were late, which is no loss.
    void note_delay();
    /// A datagram that did not come is sent again: the first one may still come late, and is then
    /// not taken for one that nobody has sent.
    void expect_again(std::string_view payload);
    /// So many datagrams had to be sent again: one or two in a whole test are noted, but no more.
    /// Throws Unexpected.
    void count_losses(std::size_t count);
    /// What has been lost so far does not count: it was to be expected.
    void forgive_losses() noexcept;
    /// Whether such a datagram has been sent twice.
    [[nodiscard]] bool has_been_sent_twice(std::string_view payload);
    /// Such a datagram can't come any more.
    void forget_twice(std::string_view payload);

    /// Demands that nothing has arrived at the server, nor at the clients of `flows`, and that
    /// nothing does for `duration`. Throws Unexpected.
    void require_no_datagram(const std::vector<Flow*>& flows, Duration duration = Duration::zero());

protected:
    FlowRun() = default;
    ~FlowRun() = default;

private:
    [[nodiscard]] PairRun& self() noexcept;
    void await_receiver(const Endpoint& endpoint);
    void verify_flow_source(const Endpoint& source);
    [[nodiscard]] std::optional<Datagram> receive(Flow* at, IdleWait& wait);
    [[nodiscard]] bool has_error(Flow& flow, Party speaker);
    /// What an error means that comes back while a datagram is waited for.
    enum class OnError { give_up, wait_on };
    [[nodiscard]] bool arrives(Flow& flow, Party speaker, std::string_view payload, IdleWait& wait,
                               OnError on_error);
};

} // namespace test_tunnel
