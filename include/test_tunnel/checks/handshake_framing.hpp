#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../check.hpp"
#include "../detail/fmt.hpp"
#include "../expect.hpp"
#include "../pair_run.hpp"
#include "../protocol.hpp"
#include "handshake_client.hpp"
#include "support.hpp"

namespace test_tunnel::check {

/// Sends a handshake in pieces, each one when the tool has read the one before, so that it does get
/// them one by one.
class Pieces {
public:
    /// Cuts what is written behind each of these offsets, counted from the handshake's first byte.
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
    /// A tool that only looks at what has come (MSG_PEEK), until it is enough, is waited for once.
    void await_reading(const Socket& socket) {
        using namespace std::chrono_literals;
        const auto deadline = Deadline::after(1s);
        while (is_reading_ && detail::unread_bytes_at(socket.peer(), socket.local()) > 0) {
            is_reading_ = !deadline.passed();
            detail::wait_for({}, Deadline{Clock::now() + 100us}, run_.watch().lock().get(),
                             "the tool to read");
        }
    }

    PairRun& run_;
    std::vector<std::size_t> cuts_;
    std::size_t sent_ = 0;
    bool is_reading_ = true;
};

/// That a connection works whose handshake is done. The client speaks first: some tools wait for
/// it.
inline void use(PairRun& run, Socket client) {
    run.step("round trip", "what the client writes arrives, and what the server answers",
             Party::client, Party::server);
    const auto text = run.pattern(1).bytes(0, 16);
    client.write(text);
    auto server = run.accept(client);
    expect_read(server, text, run.up);
    run.say(server, client, run.down);
}

/// How long a client waits for an answer to what a correct tool may not understand: not long where
/// it is declared that it won't.
inline Duration patience_with(PairRun& run, bool is_declared) {
    constexpr auto short_one = std::chrono::seconds{1};
    return is_declared ? std::min<Duration>(run.config().timeouts.io, short_one)
                       : run.config().timeouts.io;
}

/// A handshake that is cut at `cuts`; whether it is served. Throws where the connection does not
/// work then.
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
        use(run, std::move(socket));
    } else {
        // Whatever it made of the pieces: it need not say anything on that, nor go on with it.
        static_cast<void>(run.listener().try_accept());
    }
    return result;
}

/// Where the text is cut in two: behind every byte of a short one, else behind some, which those at
/// the ends of lines are among.
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

/// TCP keeps no boundaries: a request is the same however it is cut up (RFC 9293 §3.8).
inline void cut(PairRun& run) {
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
        run.require_no_stranger();
        if (result.answer == Answer::served) {
            run.forget_steps(steps);
        }
    }
    const auto expected = run.expected();
    try {
        run.judge<bool>("takes_pieces", "a request that arrives in pieces is served",
                        run.traits().takes_pieces, result.answer == Answer::served, true);
    } catch (const Unexpected& error) {
        throw Unexpected{expected, fmt::format("{}\n{}", error.actual(), result.text)};
    }
    if (result.answer != Answer::served) {
        run.sentinel();
    }
}

/// Writes `text` at once in place of what the handshake would write from `first` on, the number of
/// its messages.
class AtOnce {
public:
    AtOnce(std::size_t first, std::string text) : left_{first}, text_{std::move(text)} {}

    void operator()(Socket& socket, std::string_view data) {
        if (left_ > 0) {
            --left_;
            socket.write(data);
        } else if (!text_.empty()) {
            socket.write(std::exchange(text_, {}));
        }
    }

private:
    std::size_t left_;
    std::string text_;
};

/// Whether the data that is sent behind a handshake's last message, or with all of them, arrives.
/// Throws where the tool reports success, and what comes after that gets lost too.
inline bool takes_early(PairRun& run, const Protocol& protocol, EarlyData kind) {
    constexpr std::size_t size = 1000;
    const auto script = script_of(protocol, run.pair().svc_listen.listen());
    const auto early = run.pattern(0).bytes(0, size);
    const bool at_once = kind == EarlyData::with_handshake;
    const std::size_t messages = script.greeting.empty() ? 0 : script.credentials.empty() ? 1 : 2;
    auto socket = run.open_client();
    run.step("early data",
             fmt::format("{} is served, and {} bytes arrive that are sent behind it at once",
                         at_once ? "a handshake in one piece" : "a request", size),
             Party::client, Party::server);
    const auto declared = run.traits().early_data;
    socket.set_timeout(patience_with(run, declared && *declared > kind));
    HandshakeClient client{socket, AtOnce{at_once ? 0 : messages,
                                          (at_once ? script.whole() : script.request) + early}};
    const auto result = attempt(client, [&](HandshakeClient& each) {
        shake_hands(each, run.pair().svc_listen.listen(), protocol);
    });
    socket.set_timeout(run.config().timeouts.io);
    if (result.answer != Answer::served) {
        static_cast<void>(run.listener().try_accept()); // it may have gone that far
        return false;
    }
    // What is sent when the reply has come has to arrive in any case, and ends the wait.
    const auto text = run.pattern(1).bytes(0, 16);
    socket.write(text);
    auto server = run.accept(socket);
    std::string arrived;
    while (!arrived.ends_with(text)) {
        arrived += server.read(1);
        if (arrived.size() > early.size() + text.size()) {
            throw Unexpected{run.expected(),
                             detail::bytes_around(arrived, 0, ", which nobody has written")};
        }
    }
    run.say(server, socket, run.down);
    arrived.resize(arrived.size() - text.size());
    // Some of it may be lost, where that is declared: what arrives must be what was sent.
    if (early.find(arrived) == std::string::npos) {
        throw Unexpected{run.expected(),
                         detail::bytes_around(arrived, 0, ", which nobody has written")};
    }
    return arrived == early;
}

/// A client that does not wait for the reply before it speaks.
inline void early_data(PairRun& run) {
    const auto protocol = need_protocol(run);
    auto result = EarlyData::none;
    if (takes_early(run, protocol, EarlyData::with_request)) {
        result = EarlyData::with_request;
        const bool is_one_message =
            script_of(protocol, run.pair().svc_listen.listen()).greeting.empty();
        if (is_one_message || takes_early(run, protocol, EarlyData::with_handshake)) {
            result = EarlyData::with_handshake;
        }
    }
    run.step("no wait", "a client need not wait for the answers to its handshake before it goes on",
             Party::client, Party::tool);
    run.judge<EarlyData>("early_data", "what a client may send without waiting for an answer",
                         run.traits().early_data, result, EarlyData::with_handshake);
    run.sentinel();
}

/// A server that speaks as soon as it is connected: what it says comes behind the reply, and whole.
inline void glued(PairRun& run) {
    constexpr std::size_t size = 1000;
    const auto protocol = need_protocol(run);
    if (run.speaks_first()) {
        throw NotApplicable{"it connects only when the client has spoken (Traits::speaks_first)"};
    }
    const auto total = script_of(protocol, run.pair().svc_listen.listen()).whole().size();
    // No reply of any protocol begins like that.
    const auto greeting = "Greetings! " + run.pattern().bytes(0, size);
    auto socket = run.open_client();
    std::vector<Socket> servers;
    std::size_t sent = 0;
    const auto send = [&](Socket& to, std::string_view data) {
        to.write(data);
        sent += data.size();
        if (sent == total) {
            run.step("server speaks at once",
                     "what the server says as soon as it is connected comes behind the reply",
                     Party::server, Party::client);
            // It is none of this check's business if the tool connects only after its reply.
            servers = arrivals(run, 1, Deadline::after(run.config().timeouts.io / 4));
            if (!servers.empty()) {
                servers.front().write(greeting);
            }
        }
    };
    HandshakeClient client{socket, send};
    run.step("handshake", "the tool does its part of the handshake", Party::client);
    shake_hands(client, run.pair().svc_listen.listen(), protocol);
    if (servers.empty()) {
        servers.push_back(run.accept(socket));
        servers.front().write(greeting);
    }
    expect_read(socket, greeting, run.down);
    Connection connection{std::move(socket), std::move(servers.front())};
    run.round_trip(connection);
    run.require_silence({&connection.client, &connection.server});
}

} // namespace test_tunnel::check
