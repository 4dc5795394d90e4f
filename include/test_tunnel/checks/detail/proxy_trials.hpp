#pragma once

// Clients of a tool that expects a PROXY header, and what becomes of them.

#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/handshakes/detail/proxy_bytes.hpp"
#include "test_tunnel/handshakes/proxy_protocol.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Returns the version of the PROXY header that the tool is declared to expect. Throws
/// NotApplicable where it expects none, and for a tool that ends with its first connection: its end
/// would tell nothing.
inline ProxyVersion need_client_header(PairRun& run) {
    const auto version = run.client_header();
    if (!version) {
        throw NotApplicable{fmt::format("it expects no PROXY header ({})",
                                        detail::wording_of_client_header(run.config().dialect))};
    }
    if (serves_once(run)) {
        throw NotApplicable{serves_just_one(run)};
    }
    return *version;
}

/// A client that says something before its data.
struct HeaderTrial {
    /// Its name in `Traits::accepts`: "proxy.v2.version". Empty where it has none.
    std::string_view name{};
    /// What is special about it, for a reader: "version 1 in the signature of version 2".
    std::string what{};
    /// What it writes first.
    std::string header{};
    /// Of which client the header tells. Nothing: of none, so that it is the connection's own.
    std::optional<Endpoint> claimed{};
    /// Whether the server has to be told of that one, and not of the connection's own.
    bool is_about_client = false;
    /// Whether the client then ends its direction, and says nothing else.
    bool ends = false;
    /// Whether `header` is no header at all, and whoever serves this client passes it on.
    bool is_data = false;
};

/// What has become of a client.
enum class Fate {
    /// What it said arrived at the server, and nothing else.
    served,
    /// Something else arrived at the server.
    leaked,
    /// Its connection was ended, or reset.
    refused,
    /// Nothing came of it in time.
    waiting
};

/// What has become of a client, and what a failure says of it.
struct HeaderOutcome {
    Fate fate{};
    std::string text{};
    /// Whether the tool has connected to the server for it and ended that without a byte.
    bool has_dialled = false;
    /// The client of which the tool has told the server, where it has.
    std::optional<Endpoint> told{};
    /// Both ends, where the client is served.
    std::optional<Connection> connection{};
};

/// What arrives at the server while a client is tried.
struct TrialArrival {
    Socket socket;
    bool is_opened = false;
    bool has_ended = false;
    std::string bytes{};
    /// What is wrong with what came first, in words.
    std::string complaint{};
    std::optional<Endpoint> told{};
};

/// Tries clients one after the other, and looks at both ends of each.
class HeaderTrials {
public:
    /// What is demanded of most headers.
    static constexpr std::string_view served = "it is served";

    /// Sends a header.
    using Sender = std::function<void(Socket&, std::string_view)>;

    explicit HeaderTrials(PairRun& run) : run_{run} {}

    /// Sends what `trial` says, then a text, and returns what has become of it within `patience`:
    /// `demand` is what should, in words. Throws errors that say nothing of the header.
    HeaderOutcome outcome_of(const HeaderTrial& trial, std::string_view demand, Duration patience,
                             const Sender& send = {}) {
        arrivals_.clear();
        said_.clear();
        auto client = run_.connect_client();
        run_.expect_arrival();
        run_.step(trial.name.empty() ? "header" : std::string{trial.name},
                  fmt::format("{}: {}", trial.what, demand), Party::client, Party::tool);
        client.set_timeout(patience);
        // Each client says something else: what comes late for one is not taken for another's.
        const auto text = trial.ends ? "" : run_.pattern(1000 + count_++).bytes(0, 16);
        const auto deadline = Deadline::after(patience);
        patience_ = patience;
        lost_ = {};
        say(client, trial, text, deadline, send);
        auto result = watch(client, trial, trial.is_data ? trial.header + text : text, deadline);
        if (result.fate == Fate::served) {
            result.connection->client.set_timeout(run_.config().timeouts.io);
        } else if (result.fate == Fate::waiting && !text.empty()) {
            abandoned_.emplace_back(text);
            run_.kill_after_check(); // it may connect for that client when it ends
        }
        return result;
    }

    /// Demands that a client is served, that what it says arrives, that the answer does, and that
    /// nothing else comes at either end.
    void serve(const HeaderTrial& trial, const Sender& send = {}) {
        finish(trial, outcome_of(trial, served, run_.config().timeouts.io, send));
    }

    /// Demands that a client which was tried is served to its end.
    void finish(const HeaderTrial& trial, HeaderOutcome outcome) {
        if (outcome.fate != Fate::served) {
            throw Unexpected{run_.expected(), outcome.text,
                             outcome.fate == Fate::waiting ? Cause::timed_out : Cause::other};
        }
        auto& [client, server] = *outcome.connection;
        if (outcome.told || (trial.claimed && run_.server_header())) {
            const auto& wanted = trial.claimed.value_or(client.local());
            require_told(outcome.told, wanted, client.local(), trial.is_about_client);
        }
        const auto steps = run_.steps();
        run_.round_trip(*outcome.connection);
        run_.require_silence({&client, &server});
        run_.forget_steps(steps);
    }

private:
    static bool is_same(const Endpoint& one, const Endpoint& other) {
        return one.port == other.port && one.address.packed() == other.address.packed();
    }

    void require_told(const std::optional<Endpoint>& told, const Endpoint& wanted,
                      const Endpoint& own, bool is_judged) {
        run_.step("opening", fmt::format("the tool tells the server that its client is {}", wanted),
                  Party::tool, Party::server);
        const bool is_wanted = told && is_same(*told, wanted);
        if (is_wanted || (told && is_same(*told, own))) {
            if (is_judged) {
                run_.judge(trait::passes_client_on, is_wanted);
            }
            return;
        }
        throw Unexpected{run_.expected(),
                         told ? fmt::format("it says {}", *told) : "it says that it is unknown"};
    }

    /// Does the client's part until the text. What goes wrong is no error yet: the tool may refuse.
    void say(Socket& client, const HeaderTrial& trial, std::string_view text, Deadline deadline,
             const Sender& send) {
        try {
            if (send) {
                send(client, trial.header);
            } else if (!trial.header.empty()) {
                client.write(trial.header);
            }
            if (trial.ends) {
                client.shutdown_write();
                return;
            }
            run_.handshake_behind_header(client);
            client.write(text);
        } catch (const SetupError&) {
            throw;
        } catch (const ToolEnded&) {
            throw;
        } catch (const std::exception& error) { // whatever a hook makes of it
            lost_ = deadline.passed() ? "" : error.what();
        }
        client.send_held_back();
    }

    /// Looks at both ends until it is clear what has become of the client.
    HeaderOutcome watch(Socket& client, const HeaderTrial& trial, std::string_view expected,
                        Deadline deadline) {
        bool has_ended = !lost_.empty();
        for (;;) {
            for (auto& each : arrivals_) {
                if (each.bytes.empty() || trial.ends || each.bytes.size() < expected.size()) {
                    continue;
                }
                if (each.bytes == expected && said_.empty()) {
                    return {Fate::served,
                            trial.is_data ? "it is served: all of that arrived at the server"
                                          : "it is served",
                            has_dialled(), each.told,
                            Connection{std::move(client), std::move(each.socket)}};
                }
                break;
            }
            if (auto leak = leaked(trial, expected)) {
                return *std::move(leak);
            }
            std::vector<SocketEvent> events{run_.listener().event(POLLIN)};
            if (!has_ended) {
                events.push_back(client.event(POLLIN));
            }
            const auto first = events.size();
            for (const auto& each : arrivals_) {
                if (!each.has_ended) {
                    events.push_back(each.socket.event(POLLIN));
                }
            }
            // Where the client has been told, nothing else is awaited but what is there already.
            if (!run_.wait_for(events, has_ended ? Deadline::now() : deadline,
                               "what becomes of a client")) {
                if (has_ended) {
                    return {Fate::refused, ending(), has_dialled(), {}, {}};
                }
                return {Fate::waiting,
                        fmt::format("nothing came of it for {}", text_of(scaled(patience_))),
                        has_dialled(),
                        {},
                        {}};
            }
            if (!has_ended && events[1].revents != 0) {
                has_ended = read_client(client);
            }
            auto event = first;
            for (auto& each : arrivals_) {
                if (!each.has_ended && events[event++].revents != 0) {
                    read_arrival(each);
                }
            }
            if (events[0].revents != 0) {
                if (auto arrived = run_.listener().try_accept()) {
                    arrivals_.push_back({*std::move(arrived)});
                }
            }
        }
    }

    /// What arrived at the server and is not what it should be, if there is something.
    [[nodiscard]] std::optional<HeaderOutcome> leaked(const HeaderTrial& trial,
                                                      std::string_view expected) const {
        if (!said_.empty() && std::any_of(arrivals_.begin(), arrivals_.end(),
                                          [](const auto& each) { return !each.bytes.empty(); })) {
            return HeaderOutcome{
                Fate::leaked,
                "the client was sent " + bytes_around(said_, 0) + ", which nobody has written",
                false,
                {},
                {}};
        }
        for (const auto& each : arrivals_) {
            if (!each.complaint.empty()) {
                return HeaderOutcome{Fate::leaked, each.complaint, false, {}, {}};
            }
            if (is_of_earlier_client(each.bytes)) {
                continue;
            }
            const bool is_wrong =
                trial.ends ? !each.bytes.empty() : !expected.starts_with(each.bytes);
            if (is_wrong) {
                return HeaderOutcome{
                    Fate::leaked,
                    "at the server arrived " + bytes_around(each.bytes, 0) +
                        (trial.ends ? "" : ", which is not what the client has said"),
                    false,
                    each.told,
                    {}};
            }
        }
        return std::nullopt;
    }

    /// Returns whether a client has said that for which nobody waits any more: a tool may be slow.
    [[nodiscard]] bool is_of_earlier_client(std::string_view bytes) const {
        return std::any_of(abandoned_.begin(), abandoned_.end(), [&](const std::string& text) {
            return bytes.find(text) != std::string_view::npos;
        });
    }

    /// Returns whether the client's connection has ended. What is said before that may say why.
    bool read_client(Socket& client) {
        std::array<char, 1024> bytes{};
        try {
            const auto count = client.read_some(bytes.data(), bytes.size());
            said_.append(bytes.data(), count);
            lost_ = "its connection was ended";
            return count == 0;
        } catch (const SystemError& error) {
            lost_ = error.what();
            return true;
        }
    }

    /// Reads what has come, of which the first may be a header or a handshake with the server.
    void read_arrival(TrialArrival& arrival) {
        auto& socket = arrival.socket;
        try {
            if (!arrival.is_opened) {
                if (socket.pending() == 0) { // its end
                    arrival.has_ended = true;
                    return;
                }
                arrival.told = run_.read_told_client(socket);
                arrival.is_opened = true;
                return;
            }
            std::array<char, 4096> bytes{};
            const auto count = socket.try_read(bytes.data(), bytes.size());
            arrival.bytes.append(bytes.data(), count.value_or(0));
            arrival.has_ended = count == std::size_t{0};
        } catch (const SetupError&) {
            throw;
        } catch (const ToolEnded&) {
            throw;
        } catch (const SystemError&) { // reset
            arrival.has_ended = true;
        } catch (const TimedOut&) { // in what comes first
            arrival.has_ended = true;
        } catch (const Unexpected& error) {
            arrival.has_ended = true;
            arrival.complaint = fmt::format(
                "the tool opens its connection to the server by what "
                "is not {}: {}",
                error.expected(), error.actual());
        }
    }

    [[nodiscard]] std::string ending() const {
        return said_.empty() ? "it is refused: " + lost_
                             : fmt::format("it is refused, and told {}", bytes_around(said_, 0));
    }

    [[nodiscard]] bool has_dialled() const {
        return std::any_of(arrivals_.begin(), arrivals_.end(),
                           [](const TrialArrival& each) { return each.bytes.empty(); });
    }

    PairRun& run_;
    Duration patience_{};
    std::uint64_t count_ = 0;
    std::vector<TrialArrival> arrivals_;
    std::string said_;
    std::string lost_;
    /// What clients have said of which nothing came in time.
    std::vector<std::string> abandoned_;
};

/// Returns the header that tells of the client's own addresses, as the library writes it.
inline HeaderTrial usual_header(PairRun& run, ProxyVersion version) {
    const auto& at = run.pair().proxy_listen;
    // Which port a client will have is not known yet, and no tool can rely on it.
    constexpr std::uint16_t port = 40'000;
    const Endpoint source{at.clients.front(), port};
    return {.what = fmt::format("a header of version {}", static_cast<int>(version)),
            .header = detail::proxy_header_bytes(
                {.version = version, .source = source, .destination = at.listen()}),
            .claimed = source};
}

/// Returns the versions that the tool takes: the declared one first, and the other one where a
/// client is served that sends it.
inline std::vector<ProxyVersion> versions_taken(PairRun& run, HeaderTrials& trials) {
    using namespace std::chrono_literals;
    const auto declared = need_client_header(run);
    const auto other = declared == ProxyVersion::v1 ? ProxyVersion::v2 : ProxyVersion::v1;
    const auto trial = usual_header(run, other);
    const auto outcome = trials.outcome_of(trial, "it is served, or not", run.wait(3s));
    std::vector<ProxyVersion> result{declared};
    if (outcome.fate == Fate::served) {
        result.push_back(other);
    }
    return result;
}

} // namespace test_tunnel::check
