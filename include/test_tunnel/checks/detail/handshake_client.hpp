#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/handshakes/handshake_refused.hpp"
#include "test_tunnel/handshakes/http_connect.hpp"
#include "test_tunnel/handshakes/protocol.hpp"
#include "test_tunnel/handshakes/socks4.hpp"
#include "test_tunnel/handshakes/socks5.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/net/expect.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// A client's connection to the tool, as the library's handshakes want it. What they write can be
/// sent in another way, and what happens on the connection is remembered.
class HandshakeClient {
public:
    /// Sends what a handshake writes.
    using Sender = std::function<void(Socket&, std::string_view)>;

    /// By default, what a handshake writes is sent at once.
    explicit HandshakeClient(Socket& socket, Sender send = {})
        : socket_{&socket}, send_{std::move(send)} {}

    std::size_t read_some(char* buffer, std::size_t size) {
        return watched([&] {
            const auto count = socket_->read_some(buffer, size);
            has_ended_ = count == 0;
            is_answered_ = is_answered_ || count > 0;
            return count;
        });
    }

    void write(std::string_view data) {
        is_answered_ = false;
        watched([&] {
            send_ ? send_(*socket_, data) : socket_->write(data);
            return std::size_t{0};
        });
    }

    /// Ends the client's direction.
    void end() {
        watched([&] {
            socket_->shutdown_write();
            return std::size_t{0};
        });
    }

    /// Returns whether the tool has ended the connection, or reset it, instead of answering what
    /// was written last.
    [[nodiscard]] bool has_ended() const noexcept { return has_ended_ && !is_answered_; }

    /// Returns whether nothing came for as long as the socket waits.
    [[nodiscard]] bool was_silent() const noexcept { return was_silent_; }

    /// Throws again what was no error of the connection, such as the end of the tool, but was
    /// turned into another error by the handshake.
    void rethrow_others() const {
        if (other_) {
            std::rethrow_exception(other_);
        }
    }

private:
    template <typename Act>
    std::size_t watched(Act act) {
        try {
            return act();
        } catch (const SystemError& error) {
            has_ended_ = true;
            if (detail::is_own_fault(error.code())) {
                other_ = std::current_exception();
            }
            throw;
        } catch (const TimedOut&) {
            was_silent_ = true;
            throw;
        } catch (const Error&) {
            other_ = std::current_exception();
            throw;
        }
    }

    Socket* socket_;
    Sender send_;
    bool has_ended_ = false;
    bool is_answered_ = false;
    bool was_silent_ = false;
    std::exception_ptr other_;
};

/// What has come of a handshake.
enum class Answer {
    served,
    /// By a well-formed reply.
    refused,
    /// By the end of the connection, without a word.
    ended,
    silent,
    /// By something that the protocol does not know.
    malformed
};

/// What has come of a handshake, and what it says of a failure.
struct Attempt {
    Answer answer{};
    std::string text{};

    [[nodiscard]] bool is_refused() const {
        return answer == Answer::refused || answer == Answer::ended;
    }
};

/// Does a handshake by calling `act(client)`, and returns what has come of it. Throws only errors
/// that say nothing about the handshake.
template <typename Act>
Attempt attempt(HandshakeClient& client, Act act) {
    try {
        act(client);
        return {Answer::served};
    } catch (const SetupError&) {
        throw;
    } catch (const HandshakeRefused& error) {
        return {Answer::refused, error.actual()};
    } catch (const Error& error) {
        client.rethrow_others();
        return {client.was_silent()  ? Answer::silent
                : client.has_ended() ? Answer::ended
                                     : Answer::malformed,
                error.what()};
    }
}

/// Returns the protocol that the tool is declared to speak. Throws NotApplicable where that is
/// none, and for a tool that ends with its first connection: its end would tell nothing.
inline Protocol need_protocol(PairRun& run) {
    auto protocol = run.protocol();
    if (std::holds_alternative<std::monostate>(protocol)) {
        throw NotApplicable{fmt::format("it declares no protocol ({})",
                                        detail::wording_of_protocol(run.config().dialect))};
    }
    if (serves_once(run)) {
        throw NotApplicable{serves_just_one(run)};
    }
    return protocol;
}

/// The messages that the client writes in a handshake, in this order. Only SOCKS5 has a greeting
/// and credentials.
struct Script {
    std::string greeting{};
    std::string credentials{};
    std::string request{};

    [[nodiscard]] std::string whole() const { return greeting + credentials + request; }
};

/// Returns what the library's own handshake would write.
inline Script script_of(const Protocol& protocol, const Endpoint& target) {
    if (const auto* socks5 = std::get_if<Socks5Options>(&protocol)) {
        return {detail::socks5_greeting(*socks5), detail::socks5_credentials(*socks5),
                detail::socks5_request(target, *socks5)};
    }
    if (const auto* socks4 = std::get_if<Socks4Options>(&protocol)) {
        return {.request = detail::socks4_request(target, *socks4)};
    }
    return {.request = detail::http_request(target, std::get<HttpConnectOptions>(protocol))};
}

/// Does a round trip on a connection whose handshake is done. The client speaks first, since some
/// tools wait for that before they connect.
inline void round_trip_after_handshake(PairRun& run, Socket client) {
    run.step("round trip", "what the client writes arrives, and what the server answers",
             Party::client, Party::server);
    const auto text = run.pattern(1).bytes(0, 16);
    client.write(text);
    auto server = run.accept(client);
    expect_read(server, text, run.up);
    run.say(server, client, Party::server);
}

/// Returns how long a client waits for an answer: not long where it `is_declared` that there may be
/// none.
inline Duration patience_with(PairRun& run, bool is_declared) {
    constexpr auto short_one = std::chrono::seconds{1};
    return is_declared ? std::min<Duration>(run.config().timeouts.io, short_one)
                       : run.config().timeouts.io;
}

} // namespace test_tunnel::check
