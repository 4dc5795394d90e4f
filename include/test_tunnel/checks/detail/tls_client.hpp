#pragma once

// Clients that open their connection by TLS in another manner than usual.

#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/handshake_client.hpp"
#include "test_tunnel/net/detail/poll.hpp"
#include "test_tunnel/net/expect.hpp"
#include "test_tunnel/net/tls_end.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"
#include "test_tunnel/run/upstream_proxy.hpp"

namespace test_tunnel::check {

/// Returns how the client speaks TLS with the tool. Throws NotApplicable where it does not, and for
/// a tool that ends with its first connection.
inline std::shared_ptr<const TlsEnd> need_client_tls(PairRun& run) {
    auto end = run.tls(Party::client);
    if (!end) {
        throw NotApplicable{
            fmt::format("its clients do not speak TLS with it, as far as is "
                        "declared ({})",
                        detail::wording_of_client_tls(run.config().dialect))};
    }
    if (serves_once(run)) {
        throw NotApplicable{serves_just_one(run)};
    }
    return end;
}

/// Opens a client's connection in another manner than usual. Returns whether a session was resumed.
/// What is wrong is told beside what the step expects.
inline bool open_for_step(PairRun& run, Socket& client, const TlsManner& manner) {
    try {
        return run.open_client(client, manner);
    } catch (const SetupError&) {
        throw;
    } catch (const ToolEnded&) {
        throw;
    } catch (const NotApplicable&) {
        throw;
    } catch (const Error& error) {
        throw Unexpected{run.expected(), error.what(), detail::cause_of(error)};
    }
}

/// Returns the connection of a client that is open: asks for the target, where it has to, and says
/// something, since some tools wait for that.
inline Connection connection_of(PairRun& run, Socket client) {
    if (const auto protocol = run.protocol(); !std::holds_alternative<std::monostate>(protocol)) {
        shake_hands(client, run.pair().svc_listen.listen(), protocol);
    }
    const auto text = run.pattern(1).bytes(0, 16);
    client.write(text);
    auto server = run.accept(client);
    expect_read(server, text, run.up);
    return {std::move(client), std::move(server)};
}

/// What arrives at the server while no client is served.
class UnaskedBytes {
public:
    explicit UnaskedBytes(PairRun& run) : run_{run} {}

    /// Adds the events by which `look` learns something.
    void append_to(std::vector<SocketEvent>& events) const {
        events.push_back(run_.listener().event(POLLIN));
        for (const auto& each : arrived_) {
            events.push_back(each.socket.event(POLLIN));
        }
    }

    /// Takes the connections that have arrived. Returns the bytes that have come on one of them,
    /// behind what comes first (`PairRun::open_server`); empty where there are none.
    [[nodiscard]] std::string look() {
        while (auto granted = run_.upstream().take_granted()) {
            has_arrived_ = true;
            arrived_.push_back({.socket = *std::move(granted), .is_open = true});
        }
        while (auto arrived = run_.listener().try_accept()) {
            has_arrived_ = true;
            arrived_.push_back({.socket = *std::move(arrived)});
        }
        std::string bytes;
        std::erase_if(arrived_, [&](Arrived& each) { return bytes.empty() && !read(each, bytes); });
        return bytes;
    }

    /// Whether a connection has arrived.
    [[nodiscard]] bool has_arrived() const noexcept { return has_arrived_; }

private:
    struct Arrived {
        Socket socket;
        bool is_open = false;
    };

    /// Returns whether more may come.
    bool read(Arrived& each, std::string& bytes) {
        std::array<char, 256> buffer{};
        try {
            pollfd entry{.fd = each.socket.fd(), .events = POLLIN, .revents = 0};
            if (!each.is_open && detail::poll_once({&entry, 1}, Duration::zero())) {
                each.is_open = true;
                run_.open_server(each.socket);
            }
            if (!each.is_open) {
                return true;
            }
            const auto count = each.socket.try_read(buffer.data(), buffer.size());
            bytes.assign(buffer.data(), count.value_or(0));
            return !count || *count > 0;
        } catch (const SetupError&) {
            throw;
        } catch (const ToolEnded&) {
            throw;
        } catch (const std::exception&) { // whatever a hook makes of it: its client has gone
            return false;
        }
    }

    PairRun& run_;
    std::vector<Arrived> arrived_;
    bool has_arrived_ = false;
};

/// What has come of a client that was to be refused.
struct RefusedClient {
    /// What is wrong, in words; empty where it was refused.
    std::string complaint{};
    /// The session that it was given all the same; empty where it was given none.
    std::string session{};
    /// Whether the tool has connected to the server for it.
    bool has_arrived = false;
};

/// Has a client that must be refused open its connection, ask for the target, and write.
inline RefusedClient try_refused_client(PairRun& run, Socket client, const TlsEnd& end,
                                        const TlsManner& manner) {
    RefusedClient result;
    UnaskedBytes unasked{run};
    const auto patience = run.config().timeouts.io;
    const auto deadline = Deadline::after(patience);
    run.expect_arrival();
    const auto look = [&] {
        if (const auto bytes = unasked.look(); !bytes.empty()) {
            result.complaint = "bytes of it reached the server: " + bytes_around(bytes, 0);
        }
        return result.complaint.empty();
    };
    std::vector<SocketEvent> events;
    try {
        run.open_client(client, manner);
        if (const auto protocol = run.protocol();
            !std::holds_alternative<std::monostate>(protocol)) {
            shake_hands(client, run.pair().svc_listen.listen(), protocol);
        }
        client.write(run.pattern(2).bytes(0, 16));
        for (bool is_over = false; look() && !is_over;) {
            events.assign(1, client.event(POLLIN));
            unasked.append_to(events);
            if (!run.wait_for(events, deadline, "the client to be refused")) {
                throw TimedOut{"nothing"};
            }
            is_over = events.front().revents != 0;
        }
        std::array<char, 256> buffer{};
        const auto count = client.try_read(buffer.data(), buffer.size()).value_or(0);
        if (count > 0 && result.complaint.empty()) {
            result.complaint = "it was sent bytes: " + bytes_around({buffer.data(), count}, 0);
        }
    } catch (const SetupError&) {
        throw;
    } catch (const ToolEnded&) {
        throw;
    } catch (const NotApplicable&) {
        throw;
    } catch (const TimedOut&) {
        result.complaint =
            fmt::format("neither refused nor served for {}", text_of(scaled(patience)));
    } catch (const Error&) { // it was refused
    }
    result.session = end.session_of(client);
    client.close();
    // What was taken before it was refused may be on its way to the server.
    using namespace std::chrono_literals;
    for (const auto late = Deadline::unscaled(run.wait(500ms)); look() && !late.passed();) {
        events.clear();
        unasked.append_to(events);
        run.wait_for(events, late, "no bytes at the server");
    }
    result.has_arrived = unasked.has_arrived();
    return result;
}

} // namespace test_tunnel::check
