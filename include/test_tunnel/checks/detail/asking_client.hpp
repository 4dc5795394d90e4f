#pragma once

// A client of a tool that is not told yet whether it is connected.

#include <poll.h>

#include <chrono>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/handshake_client.hpp"
#include "test_tunnel/handshakes/detail/http_answer.hpp"
#include "test_tunnel/handshakes/handshake_refused.hpp"
#include "test_tunnel/process/detail/settle.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Reads the answer to a request. In HTTP, all but 2xx refuses it, whatever the header lacks: who
/// passes a 407 of its upstream proxy on may leave out the Proxy-Authenticate, as tinyproxy does.
template <SocketLike Client>
void read_answer_to(Client& client, const Protocol& protocol) {
    if (std::holds_alternative<Socks5Options>(protocol)) {
        detail::read_socks5_reply(client);
    } else if (std::holds_alternative<Socks4Options>(protocol)) {
        detail::read_socks4_reply(client);
    } else if (const auto head = detail::read_http_head(client); !head.is_success()) {
        throw HandshakeRefused{RefusedStep::connect, head.status, "2xx in the answer to CONNECT",
                               head.line()};
    }
}

/// A client that has asked for the target, and does not wait for the answer.
class AskingClient {
public:
    /// Connects it, and asks.
    explicit AskingClient(PairRun& run)
        : run_{run}, protocol_{run.protocol()}, socket_{run.open_client()} {
        run_.expect_arrival();
        if (const auto* const socks5 = std::get_if<Socks5Options>(&protocol_)) {
            detail::socks5_authenticate(socket_, *socks5); // as far as the tool asks for that
        }
        if (is_to_be_told()) {
            socket_.write(script_of(protocol_, run_.pair().svc_listen.listen()).request);
        } else if (run_.speaks_first()) {
            socket_.write("Is anybody there?\n");
        }
    }

    [[nodiscard]] Socket& socket() noexcept { return socket_; }

    /// Whether the tool has a handshake with its clients, and has not answered this one.
    [[nodiscard]] bool is_to_be_told() const noexcept {
        return !answer_ && !std::holds_alternative<std::monostate>(protocol_);
    }
    /// What it has been told in the handshake; nothing where it has been told nothing so far. Some
    /// tools tell success before they connect anywhere.
    [[nodiscard]] std::optional<Answer> answer() const noexcept { return answer_; }

    /// Reads the answer that `is_to_be_told`, and waits for it as long as the socket does. Throws
    /// Unexpected for what is none.
    Attempt read_answer() {
        HandshakeClient client{socket_};
        auto result =
            attempt(client, [&](HandshakeClient& each) { read_answer_to(each, protocol_); });
        if (result.answer == Answer::malformed) {
            throw Unexpected{run_.expected(), "no answer in due form: " + result.text};
        }
        answer_ = result.answer;
        return result;
    }

private:
    PairRun& run_;
    Protocol protocol_;
    Socket socket_;
    std::optional<Answer> answer_;
};

/// Demands that nothing comes to a client behind a refusal by SOCKS, until its connection ends, or
/// the tool rests. In HTTP, content may.
inline void require_nothing_behind_refusal(PairRun& run, Socket& client) {
    using namespace std::chrono_literals;
    if (std::holds_alternative<HttpConnectOptions>(run.protocol())) {
        return;
    }
    constexpr Duration look = 20ms;
    const auto deadline = Deadline::unscaled(run.wait(1s));
    while (!await_ending(run, client, Deadline::unscaled(look)) && !deadline.passed() &&
           !detail::is_idle(run.tool())) {
    }
}

/// Waits until a client has learnt that it is not connected: by a refusal in due form, or by the
/// end of its connection. Throws Unexpected where it is now told success, or something else.
inline void demand_refusal_of(PairRun& run, AskingClient& client) {
    const auto patience = run.config().timeouts.io;
    const bool is_answered = !client.is_to_be_told();
    if (!is_answered) {
        client.read_answer();
    }
    const auto answer = client.answer();
    if (answer == Answer::ended) {
        return;
    }
    if (answer == Answer::refused) {
        require_nothing_behind_refusal(run, client.socket());
        return;
    }
    if (answer == Answer::served && !is_answered) {
        throw Unexpected{run.expected(), "it is told success"};
    }
    if (answer == Answer::silent ||
        !await_ending(run, client.socket(), Deadline::after(patience))) {
        throw Unexpected{run.expected(),
                         fmt::format("{}nothing came for {}",
                                     answer == Answer::served ? "it was told success, then " : "",
                                     text_of(scaled(patience))),
                         Cause::timed_out};
    }
}

/// Whether the tool refuses a client whose request its upstream proxy has granted: by what it says
/// in its handshake, or by the end of the connection. Where it says nothing there, or says success,
/// that end is waited for until the tool rests.
inline bool has_refused(PairRun& run, AskingClient& client) {
    using namespace std::chrono_literals;
    constexpr Duration moment = 1s;
    if (client.is_to_be_told()) {
        const auto told = client.read_answer();
        if (told.answer != Answer::served) {
            return told.is_refused();
        }
    }
    if (!run.wait_for(client.socket().event(POLLIN), Deadline::unscaled(run.wait(moment)),
                      "a refusal")) {
        detail::wait_until_idle(run.tool(), moment);
    }
    return await_ending(run, client.socket(), Deadline::now()).has_value();
}

} // namespace test_tunnel::check
