#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/checks/detail/handshake_client.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/handshakes/protocol.hpp"
#include "test_tunnel/kernel/tcp_sockets.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Sends a handshake in pieces, each when the tool has read the one before, so that the tool really
/// gets them one by one.
class Pieces {
public:
    /// Cuts the handshake behind as many bytes as each of `cuts` says.
    Pieces(PairRun& run, std::vector<std::size_t> cuts) : run_{run}, cuts_{std::move(cuts)} {}

    void operator()(Socket& socket, std::string_view data) {
        while (!data.empty()) {
            const auto next = std::upper_bound(cuts_.begin(), cuts_.end(), sent_);
            const auto size =
                next == cuts_.end() ? data.size() : std::min(*next - sent_, data.size());
            socket.write(data.substr(0, size));
            sent_ += size;
            data.remove_prefix(size);
            if (!data.empty()) {
                await_reading(socket);
            }
        }
    }

private:
    /// Waits until the tool has read what was sent. A tool that only looks at what has come
    /// (MSG_PEEK) until it is enough is waited for once.
    void await_reading(const Socket& socket) {
        using namespace std::chrono_literals;
        const auto deadline = Deadline::after(1s);
        while (is_reading_ && unread_bytes(socket.peer(), socket.local()).value_or(0) > 0) {
            is_reading_ = !deadline.passed();
            run_.pause(100us, "the tool to read");
        }
    }

    PairRun& run_;
    std::vector<std::size_t> cuts_;
    std::size_t sent_ = 0;
    bool is_reading_ = true;
};

/// Does a handshake that is cut at `cuts`, and returns what has come of it. Throws where it is
/// served, and the connection does not work.
inline Attempt in_pieces(PairRun& run, const Protocol& protocol, std::vector<std::size_t> cuts,
                         std::string_view where) {
    auto socket = run.open_client();
    run.step("cut handshake", fmt::format("a handshake that is cut {} is served", where),
             Party::client, Party::tool);
    socket.set_timeout(patience_with(run, run.traits().takes_pieces == false));
    HandshakeClient client{socket, Pieces{run, std::move(cuts)}};
    auto result = attempt(client, [&](HandshakeClient& each) {
        shake_hands(each, run.pair().svc_listen.listen(), protocol);
    });
    socket.set_timeout(run.config().timeouts.io);
    if (result.answer == Answer::served) {
        round_trip_after_handshake(run, std::move(socket));
    } else {
        // The tool may have connected to the server for the pieces that it has got.
        static_cast<void>(run.take_arrival());
    }
    return result;
}

/// Returns where to cut a text in two: behind every byte of a short one, else behind some bytes,
/// and at the ends of its lines.
inline std::vector<std::size_t> places_to_cut(std::string_view text) {
    constexpr std::size_t all = 24;
    constexpr std::size_t some = 12;
    std::vector<std::size_t> result;
    const auto stride = text.size() > all ? text.size() / some : 1;
    for (std::size_t at = 1; at < text.size(); ++at) {
        const bool is_line_end = text[at - 1] == '\r' || text[at - 1] == '\n';
        if (at % stride == 0 || at == 1 || at + 1 == text.size() || is_line_end) {
            result.push_back(at);
        }
    }
    return result;
}

/// Cuts the handshake in many ways: TCP has no message boundaries, so a request is the same however
/// it is cut (RFC 9293 §3.8).
inline void cut_handshake(PairRun& run) {
    const auto protocol = need_protocol(run);
    const auto whole = script_of(protocol, run.pair().svc_listen.listen()).whole();
    std::vector<std::size_t> every(whole.size());
    std::iota(every.begin(), every.end(), std::size_t{1});
    std::vector<std::vector<std::size_t>> trials{every};
    for (const auto at : places_to_cut(whole)) {
        trials.push_back({at});
    }
    Attempt result{Answer::served};
    for (std::size_t i = 0; i < trials.size() && result.answer == Answer::served; ++i) {
        const auto steps = run.steps();
        const auto where =
            i == 0 ? std::string{"behind every byte"}
                   : fmt::format("behind byte {} of {}", trials[i].front(), whole.size());
        result = in_pieces(run, protocol, trials[i], where);
        run.require_no_unasked_connection();
        if (result.answer == Answer::served) {
            run.forget_steps(steps);
        }
    }
    const auto expected = run.expected();
    try {
        run.judge(trait::takes_pieces, result.answer == Answer::served);
    } catch (const Unexpected& error) {
        throw Unexpected{expected, fmt::format("{}\n{}", error.actual(), result.text)};
    }
    if (result.answer != Answer::served) {
        run.sentinel();
    }
}

inline constexpr Check handshake_cut{
    .id = "handshake.cut",
    .title = "a handshake that arrives byte by byte, or in two pieces, is served",
    .level = Level::strict,
    .trait = trait::takes_pieces.name,
    .run = cut_handshake};

} // namespace test_tunnel::check
