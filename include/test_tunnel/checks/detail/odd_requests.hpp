#pragma once

#include <poll.h>

#include <algorithm>
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
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/handshakes/http_connect.hpp"
#include "test_tunnel/handshakes/protocol.hpp"
#include "test_tunnel/handshakes/socks4.hpp"
#include "test_tunnel/handshakes/socks5.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// What a tool has to do when it gets an odd request.
enum class Demand {
    /// To refuse it, by a well-formed reply or by ending the connection, and to connect to nobody.
    refusal,
    /// To answer it by a well-formed reply, and not to connect to the server for it.
    elsewhere,
    /// Not to connect to the server for it. An answer must be well-formed, but may take as long as
    /// a name server takes.
    lookup,
    /// To serve it.
    service,
    /// To serve it, best; where it does not, a note tells.
    best_service,
    /// To answer it by a well-formed reply, whatever that says.
    answer,
    /// Nothing: the RFCs leave it to the tool.
    nothing
};

/// The messages of a handshake.
enum class Message { none, greeting, credentials, request };

/// A request that a usual client would not send. `Traits::accepts` may excuse a tool from what is
/// demanded.
struct OddRequest {
    /// Its name in `Traits::accepts`: "socks5.request.version".
    std::string_view name;
    /// What is odd about it, for a reader: "version 6 in the greeting".
    std::string what;
    /// Where the protocol says so: "RFC 1928 §3".
    std::string_view section;
    /// What the client writes.
    Script script;
    /// What the tool has to do.
    Demand demand = Demand::refusal;
    /// The message behind which the client ends its direction.
    Message ends_behind = Message::none;
};

/// Writes the messages of a request and reads the replies, in the order of `protocol`, until the
/// tool refuses. Throws what the library's handshakes throw.
inline void carry_out(HandshakeClient& client, const OddRequest& request,
                      const Protocol& protocol) {
    const auto write = [&](Message message, std::string_view text) {
        client.write(text);
        if (request.ends_behind == message) {
            client.end();
        }
    };
    const auto& script = request.script;
    if (std::holds_alternative<Socks5Options>(protocol)) {
        // The tool may choose either method here.
        const Socks5Options both{.user = "", .offer_no_authentication = true};
        write(Message::greeting, script.greeting);
        if (detail::read_socks5_method(client, both)) {
            write(Message::credentials, script.credentials);
            detail::read_socks5_authentication(client);
        }
        write(Message::request, script.request);
        detail::read_socks5_reply(client);
    } else if (std::holds_alternative<Socks4Options>(protocol)) {
        write(Message::request, script.request);
        detail::read_socks4_reply(client);
    } else {
        write(Message::request, script.request);
        detail::read_http_answer(client, std::get<HttpConnectOptions>(protocol).version);
    }
}

/// Returns what must become of a request, in words: "refused".
constexpr std::string_view wording_of(Demand demand) {
    switch (demand) {
        case Demand::refusal:
            return "refused";
        case Demand::elsewhere:
        case Demand::lookup:
            return "answered, and not by a connection to the server";
        case Demand::service:
            return "served";
        case Demand::best_service:
            return "served, best";
        case Demand::answer:
            return "answered";
        case Demand::nothing:
            return "served or not";
    }
    return {};
}

/// What a tool has made of an odd request.
struct Reaction {
    Attempt attempt;
    /// From where a connection has arrived at the server; nothing where none has.
    std::optional<Endpoint> arrival{};
};

/// Sends a request, and returns what the tool has made of it. Waits for `patience` for each answer.
inline Reaction reaction_to(PairRun& run, const OddRequest& request, const Protocol& protocol,
                            Duration patience) {
    using namespace std::chrono_literals;
    auto socket = run.open_client();
    run.step(std::string{request.name},
             fmt::format("{}: {}", request.what, wording_of(request.demand)), Party::client,
             Party::tool);
    socket.set_timeout(patience);
    HandshakeClient client{socket};
    Reaction result{
        attempt(client, [&](HandshakeClient& each) { carry_out(each, request, protocol); })};
    const bool is_served = result.attempt.answer == Answer::served;
    if (is_served && request.demand == Demand::service) {
        socket.set_timeout(run.config().timeouts.io);
        round_trip_after_handshake(run, std::move(socket));
        return result;
    }
    run.wait_for(run.listener().event(POLLIN),
                 is_served ? Deadline::unscaled(run.wait(2s)) : Deadline::now(),
                 "a connection to the server");
    while (const auto arrived = run.take_arrival()) {
        result.arrival = arrived->peer();
    }
    return result;
}

/// Returns what is wrong with a reaction, in words; empty where nothing is.
inline std::string complaint_of(PairRun& run, const Reaction& reaction, Demand demand,
                                Duration patience) {
    const bool is_eager = run.is_eager();
    const bool must_refuse = demand == Demand::refusal;
    switch (reaction.attempt.answer) {
        case Answer::served:
            if (must_refuse) {
                return reaction.arrival
                           ? fmt::format("served, by a connection to the server from {}",
                                         *reaction.arrival)
                           : "reported as a success";
            }
            break;
        case Answer::silent:
            if (demand == Demand::lookup) {
                break;
            }
            return fmt::format(
                "left without an answer for {}{}", text_of(scaled(patience)),
                reaction.arrival ? fmt::format(", and there was a connection to the server from {}",
                                               *reaction.arrival)
                                 : "");
        case Answer::malformed:
            return "the answer is not well-formed: " + reaction.attempt.text;
        case Answer::refused:
        case Answer::ended:
            if (demand == Demand::service) {
                return "refused: " + reaction.attempt.text;
            }
            break;
    }
    const bool is_other = demand == Demand::elsewhere || demand == Demand::lookup;
    if (reaction.arrival && !is_eager && (must_refuse || is_other)) {
        return fmt::format("{}, but there was a connection to the server from {}",
                           must_refuse ? "refused" : "not refused", *reaction.arrival);
    }
    return {};
}

/// Tries all requests. After each of them another client must be served.
inline void try_each(PairRun& run, const Protocol& protocol,
                     const std::vector<OddRequest>& requests) {
    using namespace std::chrono_literals;
    constexpr int most_silent = 5; // each takes a while
    int silent = 0;
    std::vector<std::string> undeclared;
    std::string complaints;
    for (const auto& request : requests) {
        if (silent == most_silent) {
            complaints += fmt::format("\n(others, from {} on, were not tried)", request.what);
            break;
        }
        const auto& declared = run.traits().accepts;
        const bool is_declared =
            std::find(declared.begin(), declared.end(), request.name) != declared.end();
        const bool is_wish = request.demand == Demand::best_service;
        const bool is_free = request.demand == Demand::nothing || is_wish;
        const bool is_short = is_declared || is_free || request.demand == Demand::lookup;
        const auto patience =
            std::min<Duration>(run.config().timeouts.io, is_short ? 1s : Duration::max());
        const auto reaction = reaction_to(run, request, protocol, patience);
        const auto complaint = complaint_of(run, reaction, request.demand, patience);
        if (is_wish) {
            if (reaction.attempt.answer != Answer::served) {
                run.note(fmt::format("{} ({}): not served, which some clients need", request.what,
                                     request.section));
            }
        } else if (is_free) {
            if (reaction.attempt.answer == Answer::served) {
                run.note(
                    fmt::format("{} ({}): served, as it may be", request.what, request.section));
            }
        } else if (is_declared) {
            run.note(fmt::format("{} ({}): {} ({})", request.what, request.section,
                                 complaint.empty() ? "as it should be, better than declared"
                                                   : "not as it should be, as declared",
                                 detail::wording_of_accepts(run.config().dialect,
                                                            {std::string{request.name}})),
                     trait::accepts.name);
        } else if (!complaint.empty()) {
            silent += reaction.attempt.answer == Answer::silent ? 1 : 0;
            undeclared.emplace_back(request.name);
            complaints += fmt::format("\n{} ({}): {}", request.what, request.section, complaint);
        }
        const auto steps = run.steps();
        run.sentinel();
        run.forget_steps(steps);
    }
    run.step("odd requests", "each one is refused, answered or served as the protocol demands",
             Party::client, Party::tool);
    if (!undeclared.empty()) {
        throw Unexpected{
            run.expected(),
            fmt::format("not so with {} of {}; a tool that is known for that has to declare {}{}",
                        undeclared.size(), requests.size(),
                        detail::wording_of_accepts(run.config().dialect, undeclared), complaints)};
    }
    if (!run.is_eager()) {
        require_no_arrival(run, run.wait(500ms));
    }
}

} // namespace test_tunnel::check
