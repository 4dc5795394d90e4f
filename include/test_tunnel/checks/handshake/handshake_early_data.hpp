#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/detail/handshake_client.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/handshakes/protocol.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Lets the first messages of a handshake through, and then writes a text at once in place of all
/// the others.
class AtOnce {
public:
    /// Lets `first` messages through.
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

/// Sends data right behind the request, or the whole handshake and data in one piece, as `kind`
/// says. Returns whether the data arrives. Throws where the tool reports success and loses even
/// what is sent after that.
inline bool takes_early(PairRun& run, const Protocol& protocol, EarlyData kind) {
    constexpr std::size_t size = 1000;
    const auto script = script_of(protocol, run.pair().svc_listen.listen());
    const auto early = run.pattern(0).bytes(0, size);
    const bool at_once = kind == EarlyData::with_handshake;
    const std::size_t messages = script.greeting.empty() ? 0 : script.credentials.empty() ? 1 : 2;
    auto socket = run.open_client();
    run.step("early data",
             fmt::format("{} is served, and {} bytes that are sent right behind it arrive",
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
        static_cast<void>(run.take_arrival()); // it may have connected
        return false;
    }
    // What is sent after the reply has to arrive in any case: then nothing else will.
    const auto text = run.pattern(1).bytes(0, 16);
    socket.write(text);
    auto server = run.accept(socket);
    std::string arrived;
    while (!arrived.ends_with(text)) {
        arrived += server.read(1);
        if (arrived.size() > early.size() + text.size()) {
            throw Unexpected{run.expected(),
                             bytes_around(arrived, 0, ", which nobody has written")};
        }
    }
    run.say(server, socket, Party::server);
    arrived.resize(arrived.size() - text.size());
    // Where that is declared, some of it may be lost; but what arrives must be what was sent.
    if (early.find(arrived) == std::string::npos) {
        throw Unexpected{run.expected(), bytes_around(arrived, 0, ", which nobody has written")};
    }
    return arrived == early;
}

/// Has a client send data before the reply has come.
inline void send_early_data(PairRun& run) {
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
    run.step("no wait", "a client need not wait for an answer before it sends more", Party::client,
             Party::tool);
    run.judge(trait::early_data, result);
    run.sentinel();
}

inline constexpr Check handshake_early_data{
    .id = "handshake.early_data",
    .title = "what the client sends without waiting for the reply arrives",
    .level = Level::strict,
    .trait = trait::early_data.name,
    .run = send_early_data};

} // namespace test_tunnel::check
