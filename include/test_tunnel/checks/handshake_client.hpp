#pragma once

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "../check.hpp"
#include "../detail/fmt.hpp"
#include "../detail/system.hpp"
#include "../detail/unread.hpp"
#include "../handshakes/refused.hpp"
#include "../pair_run.hpp"
#include "../protocol.hpp"
#include "support.hpp"

namespace test_tunnel::check {

/// A client's connection to the tool, as the library's handshakes want it: what they write can be
/// sent in another way, and how the connection fares is kept.
class HandshakeClient {
public:
    /// Sends what a handshake writes in its own way.
    using Sender = std::function<void(Socket&, std::string_view)>;

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

    void end() {
        watched([&] {
            socket_->shutdown_write();
            return std::size_t{0};
        });
    }

    /// The tool has ended the connection, or reset it, instead of an answer to what was written.
    [[nodiscard]] bool has_ended() const noexcept { return has_ended_ && !is_answered_; }

    /// Nothing came for as long as the socket waits.
    [[nodiscard]] bool was_silent() const noexcept { return was_silent_; }

    /// What a handshake has made an error of its own, and is none of the connection: the end of the
    /// tool, a machine without descriptors.
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
    /// By a reply in due form.
    refused,
    /// By the end of the connection, without a word.
    ended,
    silent,
    /// By something that its protocol does not know.
    malformed
};

struct Attempt {
    Answer answer{};
    /// What the handshake says of a failure.
    std::string text{};

    [[nodiscard]] bool is_refused() const {
        return answer == Answer::refused || answer == Answer::ended;
    }
};

/// Does `act`, a handshake on `client`; throws only what says nothing of the handshake.
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

/// The protocol that the tool is declared to speak. Throws NotApplicable where it is none, and for
/// a tool that ends with its first connection: there is nothing to be learnt from its end.
inline Protocol need_protocol(PairRun& run) {
    auto protocol = run.protocol();
    if (std::holds_alternative<std::monostate>(protocol)) {
        throw NotApplicable{"it declares no protocol (TestTunnel::protocol)"};
    }
    if (serves_once(run)) {
        throw NotApplicable{"it serves just one connection (Traits::serves_again)"};
    }
    return protocol;
}

/// What the handshakes of the library write, one after the other; `greeting` and `credentials` are
/// SOCKS5's only.
struct Script {
    std::string greeting{};
    std::string credentials{};
    std::string request{};

    [[nodiscard]] std::string whole() const { return greeting + credentials + request; }
};

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

} // namespace test_tunnel::check
