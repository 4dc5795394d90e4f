#pragma once

// What the checks of associations have in common: SOCKS5's UDP ASSOCIATE (RFC 1928 §6 and 7).

#include <poll.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/config/traits.hpp"
#include "test_tunnel/discovery/bind.hpp"
#include "test_tunnel/handshakes/protocol.hpp"
#include "test_tunnel/handshakes/socks5_udp.hpp"
#include "test_tunnel/net/datagram_socket.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// How the tool is asked for associations. Throws NotApplicable where it is not.
inline Socks5Options need_associations(PairRun& run) {
    const auto protocol = run.protocol();
    const auto* options = std::get_if<Socks5Options>(&protocol);
    if (options == nullptr) {
        throw NotApplicable{"its clients ask for no association: that is what SOCKS5 has"};
    }
    return *options;
}

/// Throws NotApplicable where the tool is declared to serve one flow at a time.
inline void need_several_associations(PairRun& run) {
    need_associations(run);
    if (run.traits().concurrent == false) {
        throw NotApplicable{fmt::format("it serves one client at a time ({})",
                                        run.wording(trait::concurrent, false))};
    }
}

/// One more socket of the server's, at `endpoint`: a wait for it looks after the tool, and ends
/// with the check's time.
inline DatagramSocket bind_supervised(PairRun& run, const Endpoint& endpoint) {
    auto result = bind_datagrams_to(run.config(), endpoint);
    result.supervise(run.supervisor());
    return result;
}

/// What is said once and never again.
class Words {
public:
    explicit Words(PairRun& run) : run_{run} {}
    std::string next() { return run_.pattern(++said_).bytes(0, 24); }

private:
    PairRun& run_;
    std::uint64_t said_ = 0;
};

/// "a datagram from 192.0.2.1:80: 5 bytes …"
inline std::string described(const Datagram& datagram) {
    return fmt::format("a datagram from {}: {}", datagram.from, bytes_around(datagram.data, 0));
}

/// Has the client say `word` on a flow until that arrives at the server, and returns what else has
/// arrived there before. What the client has sent before on the same flow has arrived then, or
/// never will. Throws TimedOut.
inline std::vector<Datagram> arrivals_before(PairRun& run, Flow& flow, const std::string& word) {
    using namespace std::chrono_literals;
    constexpr Duration patience = 1s; // for one that is lost
    const auto deadline = Deadline::after(run.config().timeouts.io);
    std::vector<Datagram> others;
    for (int sent = 1;; ++sent) {
        if (sent == 2) {
            run.expect_again(word);
        }
        flow.send(word);
        const auto again = Deadline::after(patience);
        while (auto came = run.receive_at_server(again)) {
            if (came->data == word) {
                run.take_source(flow, *came);
                return others;
            }
            if (!run.has_been_sent_twice(came->data)) {
                others.push_back(*std::move(came));
            }
        }
        if (deadline.passed()) {
            throw TimedOut{fmt::format("nothing of what the client has sent {} times arrived in {}",
                                       sent, text_of(scaled(run.config().timeouts.io)))};
        }
    }
}

/// Demands that what the client says next on a flow arrives, and that nothing else does.
inline void demand_only(PairRun& run, Flow& flow, const std::string& word) {
    const auto others = arrivals_before(run, flow, word);
    if (!others.empty()) {
        throw Unexpected{run.expected(), "at the server " + described(others.front())};
    }
}

/// Demands that what the server answers arrives at the client of a flow, and nothing else.
inline void demand_answer(PairRun& run, Flow& flow, const std::string& word) {
    run.carry(flow, Party::server, word);
}

/// Whether something has come, or has ended, on the connection of a flow.
inline bool has_news(PairRun& run, Flow& flow) {
    return run.wait_for(flow.control->event(POLLIN), Deadline::now(), "the end of the association");
}

} // namespace test_tunnel::check
