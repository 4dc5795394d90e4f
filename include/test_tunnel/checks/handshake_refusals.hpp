#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "../check.hpp"
#include "../detail/fmt.hpp"
#include "../detail/text.hpp"
#include "../pair_run.hpp"
#include "../protocol.hpp"
#include "handshake_client.hpp"
#include "support.hpp"

namespace test_tunnel::check {

/// What a tool has to do with an odd request.
enum class Demand {
    /// To refuse it, by a reply in due form or by the end of the connection, and to connect to
    /// nobody. `Traits::accepts` may excuse it.
    refusal,
    /// To answer it in due form, and not to connect to the server for it. `Traits::accepts` too.
    elsewhere,
    /// The same, but the answer may take as long as a name server does.
    lookup,
    /// To serve it.
    service,
    /// To answer it in due form, whichever way.
    answer,
    /// Nothing: the RFCs leave it to the server.
    nothing
};

/// A message of a handshake.
enum class Message { none, greeting, credentials, request };

/// The text with another last byte.
inline std::string with_last_changed(std::string text) {
    text.back() = text.back() == 'x' ? 'y' : 'x';
    return text;
}

/// The text with one more byte or, where there can't be one, without its last.
inline std::string with_other_length(const std::string& text) {
    constexpr std::size_t longest = 255;
    return text.size() < longest ? text + 'x' : text.substr(0, longest - 1);
}

struct OddRequest {
    /// By which it can be declared: "socks5.request.version".
    std::string_view name;
    /// "version 6 in the greeting"
    std::string what;
    /// "RFC 1928 §3"
    std::string_view section;
    Script script;
    Demand demand = Demand::refusal;
    /// The client ends its direction behind this message.
    Message ends_behind = Message::none;
};

/// Carries a script out, to the end where the tool lets it; `protocol` says which replies there
/// are. Throws as the library's handshakes do.
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
        // Which of both it takes is its own choice here.
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

/// "refused": what is to become of a request.
constexpr std::string_view wording_of(Demand demand) {
    switch (demand) {
        case Demand::refusal:
            return "refused";
        case Demand::elsewhere:
        case Demand::lookup:
            return "answered, and not by a connection to the server";
        case Demand::service:
            return "served";
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
    /// From where a connection has arrived at the server.
    std::optional<Endpoint> arrival{};
};

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
    pollfd entry{.fd = run.listener().fd(), .events = POLLIN, .revents = 0};
    detail::wait_for({&entry, 1}, Deadline{Clock::now() + (is_served ? run.wait(2s) : 0s)},
                     run.watch().lock().get(), "a connection to the server");
    while (const auto arrived = run.listener().try_accept()) {
        result.arrival = arrived->peer();
    }
    return result;
}

/// What is wrong with the reaction, in words; empty where nothing is.
inline std::string complaint_of(PairRun& run, const Reaction& reaction, Demand demand,
                                Duration patience) {
    const bool is_eager = run.traits().connects_eagerly == true;
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
                "left without an answer for {}{}", detail::text_of(detail::scaled(patience)),
                reaction.arrival ? fmt::format(", and there was a connection to the server from {}",
                                               *reaction.arrival)
                                 : "");
        case Answer::malformed:
            return "answered out of form: " + reaction.attempt.text;
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

/// Tries all of them, each followed by a client who is to be served.
inline void try_requests(PairRun& run, const Protocol& protocol,
                         const std::vector<OddRequest>& requests) {
    using namespace std::chrono_literals;
    constexpr int most_silent = 5; // undeclared: each takes a while
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
        const bool is_free = request.demand == Demand::nothing;
        const bool is_short = is_declared || is_free || request.demand == Demand::lookup;
        const auto patience =
            std::min<Duration>(run.config().timeouts.io, is_short ? 1s : Duration::max());
        const auto reaction = reaction_to(run, request, protocol, patience);
        const auto complaint = complaint_of(run, reaction, request.demand, patience);
        if (is_free) {
            if (reaction.attempt.answer == Answer::served) {
                run.note(
                    fmt::format("{} ({}): served, as it may be", request.what, request.section));
            }
        } else if (is_declared) {
            run.note(fmt::format("{} ({}): {} (Traits::accepts = {{\"{}\"}})", request.what,
                                 request.section,
                                 complaint.empty() ? "as it should be, better than declared"
                                                   : "not as it should be, as declared",
                                 request.name),
                     "accepts");
        } else if (!complaint.empty()) {
            silent += reaction.attempt.answer == Answer::silent ? 1 : 0;
            undeclared.push_back(fmt::format("\"{}\"", request.name));
            complaints += fmt::format("\n{} ({}): {}", request.what, request.section, complaint);
        }
        const auto steps = run.steps();
        run.sentinel();
        run.forget_steps(steps);
    }
    run.step("odd requests", "each of them is refused, answered or served as its protocol demands",
             Party::client, Party::tool);
    if (!undeclared.empty()) {
        throw Unexpected{run.expected(),
                         fmt::format("{} of {} are not; a tool that is known for it has to declare "
                                     "Traits::accepts = {{{}}}{}",
                                     undeclared.size(), requests.size(),
                                     detail::joined(undeclared, ", "), complaints)};
    }
    if (run.traits().connects_eagerly != true) {
        require_no_arrival(run, run.wait(500ms));
    }
}

} // namespace test_tunnel::check
