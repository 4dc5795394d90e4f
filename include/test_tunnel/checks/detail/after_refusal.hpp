#pragma once

// What a tool does for a client that goes on as if it had not been refused.

#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/handshake_client.hpp"
#include "test_tunnel/checks/detail/odd_requests.hpp"
#include "test_tunnel/checks/detail/refusal.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/handshakes/protocol.hpp"
#include "test_tunnel/net/expect.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// A client that is refused, and goes on.
struct Persistence {
    /// What is refused, for a reader: "a wrong password".
    std::string what;
    /// Where the protocol says what follows from that.
    std::string_view section;
    /// What the client writes first.
    Script script;
    /// What it writes when it has been refused, one after the other.
    std::vector<std::string> then;
    /// Whether it is refused since nobody listens at the target, which comes back then.
    bool is_closed_target = false;
    /// The names in `Traits::accepts` for a tool that refuses without a reply, and for one that
    /// leaves the connection open. Empty where it may.
    std::string_view silent{};
    std::string_view open{};
};

/// What a client has seen that has gone on after a refusal.
struct Aftermath {
    /// What came to the client.
    std::string bytes{};
    bool has_ended = false;
    /// A connection that has arrived at the server, and what came on it.
    std::optional<Endpoint> arrival{};
    std::string arrived{};
};

/// Takes all connections that have arrived at the server, and what has come on them.
inline void take_arrivals(PairRun& run, Aftermath& result) {
    constexpr std::size_t most = 256;
    std::array<char, most> buffer{};
    while (auto server = run.listener().try_accept()) {
        result.arrival = server->peer();
        try {
            // What the client has written comes at once, if it comes.
            if (run.wait_for(server->event(POLLIN),
                             Deadline::unscaled(run.wait(std::chrono::seconds{1})),
                             "bytes that the server should not get")) {
                const auto count = server->try_read(buffer.data(), buffer.size()).value_or(0);
                result.arrived.append(buffer.data(), count);
            }
        } catch (const SystemError&) { // it was reset: nothing has come
        }
    }
}

/// Writes what the client says after the refusal, and looks on for `patience` what comes of it.
inline Aftermath go_on(PairRun& run, Socket& client, const std::vector<std::string>& texts,
                       Duration patience) {
    Aftermath result;
    std::array<char, 1024> buffer{};
    const auto deadline = Deadline::unscaled(patience);
    try {
        for (const auto& text : texts) {
            client.write(text);
            // An answer to it comes before the next one, if there is one.
            while (run.wait_for(client.event(POLLIN),
                                &text == &texts.back()
                                    ? deadline
                                    : Deadline::unscaled(run.wait(std::chrono::milliseconds{500})),
                                "what the tool says after a refusal")) {
                const auto count = client.read_some(buffer.data(), buffer.size());
                result.bytes.append(buffer.data(), count);
                if (count == 0 || result.bytes.size() > buffer.size()) {
                    result.has_ended = count == 0;
                    break;
                }
            }
            if (result.has_ended) {
                break;
            }
        }
    } catch (const SystemError& error) {
        if (test_tunnel::detail::is_own_fault(error.code())) {
            throw;
        }
        result.has_ended = true; // by a reset
    }
    take_arrivals(run, result);
    return result;
}

/// Whether what came to a client after a refusal reports success.
inline bool reports_success(const Protocol& protocol, std::string_view bytes) {
    using namespace std::string_view_literals;
    if (std::holds_alternative<HttpConnectOptions>(protocol)) {
        return bytes.find("HTTP/1.1 2") != std::string_view::npos ||
               bytes.find("HTTP/1.0 2") != std::string_view::npos;
    }
    return bytes.starts_with(std::holds_alternative<Socks4Options>(protocol) ? "\0\x5a"sv
                                                                             : "\x05\0"sv);
}

/// Returns what is wrong with what a client has seen; empty where nothing is.
inline std::string complaint_of(PairRun& run, const Protocol& protocol,
                                const Aftermath& aftermath) {
    if (!aftermath.arrived.empty()) {
        return fmt::format("then the server was sent, from {}: {}", *aftermath.arrival,
                           bytes_around(aftermath.arrived, 0));
    }
    if (aftermath.arrival && !run.is_eager()) {
        return fmt::format("then there was a connection to the server from {}", *aftermath.arrival);
    }
    if (reports_success(protocol, aftermath.bytes)) {
        return "then success was reported: " + bytes_around(aftermath.bytes, 0);
    }
    return {};
}

/// Judges what a tool may be known for by a `name` in `Traits::accepts`: notes it where that is
/// declared, and at `Level::standard`; else throws Unexpected.
inline void judge_by_name(PairRun& run, std::string_view name, const std::string& complaint) {
    const auto& declared = run.traits().accepts;
    const auto wording =
        test_tunnel::detail::wording_of_accepts(run.config().dialect, {std::string{name}});
    if (std::find(declared.begin(), declared.end(), name) != declared.end()) {
        run.note(fmt::format("{} (declared: {})", complaint, wording), trait::accepts.name);
        return;
    }
    if (run.strict()) {
        throw Unexpected{
            run.expected(),
            fmt::format("{}; a tool that is known for that has to declare {}", complaint, wording)};
    }
    run.note(fmt::format("{} (undeclared: {})", complaint, wording), trait::accepts.name);
}

/// Has a client be refused and go on. Returns false where it was not refused by a reply, so that
/// there is nothing to go on after. Throws Unexpected where it gets through.
inline bool try_to_go_on(PairRun& run, const Protocol& protocol, const Persistence& each) {
    using namespace std::chrono_literals;
    // RFC 1928 §6: the end comes at most 10 s after the refusal.
    constexpr Duration longest = 11s;
    auto client = run.open_client();
    run.step("after a refusal",
             fmt::format("{}: refused; a client that goes on then gets nowhere", each.what),
             Party::client, Party::tool);
    client.set_timeout(run.config().timeouts.io);
    HandshakeClient handshake{client};
    const OddRequest request{
        .name = {}, .what = each.what, .section = each.section, .script = each.script};
    const auto result =
        attempt(handshake, [&](HandshakeClient& some) { carry_out(some, request, protocol); });
    if (each.is_closed_target) {
        if (result.answer != Answer::refused && result.answer != Answer::ended) {
            // It may try again for this one, until it ends the connection, or later.
            run.expect_arrival();
            run.wait_for(client.event(POLLIN), Deadline::after(run.config().timeouts.io),
                         "the end of the connection");
        }
        run.listener().listen();
    }
    if (result.answer == Answer::ended && !each.silent.empty()) {
        judge_by_name(run, each.silent,
                      fmt::format("{}: refused without a reply ({})", each.what, each.section));
    }
    if (result.answer != Answer::refused) {
        return false; // which other checks are about
    }
    const bool must_end = run.strict() && !each.open.empty();
    const auto aftermath = go_on(run, client, each.then, must_end ? longest : run.wait(2s));
    if (const auto complaint = complaint_of(run, protocol, aftermath); !complaint.empty()) {
        throw Unexpected{run.expected(),
                         fmt::format("{}\nafter the refusal: {}", complaint, result.text)};
    }
    if (must_end && !aftermath.has_ended) {
        judge_by_name(run, each.open,
                      fmt::format("{}: the connection is left open for {} after the refusal ({})",
                                  each.what, text_of(longest), each.section));
    }
    return true;
}

} // namespace test_tunnel::check
