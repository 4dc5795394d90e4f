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

    /// Makes the client's end of a flow: its socket is bound to the client's address, with a port
    /// of its own, and sends to where the tool listens. The default of `TestTunnel::open_flow`.
    [[nodiscard]] Flow open_flow_as_usual();

    /// One flow through the tunnel: after a word from the client to the server and one back, so
    /// that it is known, and verified, from where the server sees it come. Throws as `open_flow`
    /// does.
    [[nodiscard]] Flow flow();

    /// Has one datagram go from the client to the server, or back to `flow.source`, and returns
    /// when it has arrived whole. One that is lost is sent again, once, and the report notes it.
    /// What comes in its place, or before it, is a failure. Throws Unexpected, TimedOut, ToolEnded.
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

    /// Waits until `deadline` for a datagram that arrives at the client of a flow; returns what the
    /// tool has brought of it, and `Datagram::from` is the server where the tool says so, else the
    /// tool. Demands that it comes from where the client sends to, and that the tool names
    /// `flow.target` as its sender. Nothing where none has come. Throws Unexpected, ToolEnded.
    [[nodiscard]] std::optional<Datagram> receive_at_client(Flow& flow, Deadline deadline);

    /// The server has seen a datagram of `flow` come from `source`: it is verified, and kept in
    /// `flow.source`. Throws Unexpected.
    void take_source(Flow& flow, const Endpoint& source);

    /// For how long a tool may be idle until what it was sent has arrived: some 300 ms where it was
    /// sent once, `timeouts.answer` where it has been sent again.
    [[nodiscard]] Duration patience_for(int sent);
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
    void require_no_datagram(std::vector<Flow*> flows, Duration duration = Duration::zero());

protected:
    FlowRun() = default;
    ~FlowRun() = default;

private:
    [[nodiscard]] PairRun& self() noexcept;
    void await_receiver(const Endpoint& endpoint);
    void verify_flow_source(const Endpoint& source);
    [[nodiscard]] bool arrives(Flow& flow, Party speaker, std::string_view payload, int sent);
};

} // namespace test_tunnel
