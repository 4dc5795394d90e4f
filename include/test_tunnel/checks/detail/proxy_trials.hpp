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
#include <variant>
#include <vector>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/detail/header_trial.hpp"
#include "test_tunnel/handshakes/detail/proxy_bytes.hpp"
#include "test_tunnel/handshakes/detail/reply.hpp"
#include "test_tunnel/handshakes/proxy_protocol.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Tries clients one after the other, and looks at both ends of each.
class HeaderTrials {
public:
    /// What is demanded of most headers.
    static constexpr std::string_view served = "it is served";

    /// Sends a header.
    using Sender = std::function<void(Socket&, std::string_view)>;

    /// Throws NotApplicable where the tool asks an upstream proxy before it answers its client.
    explicit HeaderTrials(PairRun& run) : run_{run} {
        const bool has_handshake = !std::holds_alternative<std::monostate>(run.protocol());
        if (has_handshake && run.upstream().is_there() && run.client_header()) {
            throw NotApplicable{
                "it has a handshake with its clients, and one with an upstream proxy: behind a "
                "PROXY header, the two are not tried"};
        }
    }

    /// Sends what `trial` says, then a text, and returns what has become of it within `patience`:
    /// `demand` is what should, in words. Throws errors that say nothing of the header.
    HeaderOutcome outcome_of(const HeaderTrial& trial, std::string_view demand, Duration patience,
                             const Sender& send = {}) {
        arrivals_.clear();
        said_.clear();
        lost_ = {};
        patience_ = patience;
        // Each client says something else: what comes late for one is not taken for another's.
        const auto text = trial.ends ? "" : run_.pattern(1000 + count_++).bytes(0, 16);
        auto [client, deadline] = begin(trial, demand, text, send);
        // From now on, `watch` looks at both ends itself.
        client.supervise(run_.tool().supervisor());
        auto result = watch(client, trial, trial.is_data ? trial.header + text : text, deadline);
        is_refused_ = result.fate == Fate::refused;
        if (result.fate == Fate::served) {
            result.connection->client.set_timeout(run_.config().timeouts.io);
        } else if (result.fate == Fate::waiting && !text.empty()) {
            abandoned_.emplace_back(text);
            run_.kill_after_check(); // it may connect for that client when it ends
        }
        return result;
    }

    /// Returns what has arrived at the server, in words, since the last client was refused; empty
    /// where nothing has, or that one was not refused.
    std::string late_arrival() {
        if (!is_refused_) {
            return {};
        }
        for (auto& stray : run_.take_strays()) {
            const bool is_granted = run_.upstream().is_there();
            arrivals_.push_back({std::move(stray), is_granted, is_granted});
        }
        for (auto& each : arrivals_) {
            while (!each.has_ended &&
                   run_.wait_for(each.socket.event(POLLIN), Deadline::now(), "what arrives late")) {
                read_arrival(each);
            }
            if (!each.bytes.empty() && !is_of_earlier_client(each.bytes)) {
                return "it is refused, but then at the server arrived " +
                       bytes_around(std::exchange(each.bytes, {}), 0);
            }
        }
        return {};
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
    /// Keeps what arrives at the upstream proxy, if there is one, for `watch`.
    class Collecting {
    public:
        explicit Collecting(HeaderTrials& trials) : run_{trials.run_} {
            if (run_.upstream().is_there()) {
                run_.upstream().answer_by([&trials](Socket arrived) {
                    trials.arrivals_.push_back({std::move(arrived)});
                });
            }
        }
        Collecting(const Collecting&) = delete;
        Collecting& operator=(const Collecting&) = delete;
        ~Collecting() { run_.upstream().answer_by(nullptr); }

    private:
        PairRun& run_;
    };

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

    /// Connects a client, and has it say all that it says. Returns until when its fate is awaited.
    std::pair<Socket, Deadline> begin(const HeaderTrial& trial, std::string_view demand,
                                      std::string_view text, const Sender& send) {
        const Collecting collecting{*this};
        auto client = run_.connect_client();
        run_.expect_arrival();
        run_.step(trial.name.empty() ? "header" : std::string{trial.name},
                  fmt::format("{}: {}", trial.what, demand), Party::client, Party::tool);
        client.set_timeout(patience_);
        const auto deadline = Deadline::after(patience_);
        say(client, trial, text, deadline, send);
        return {std::move(client), deadline};
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
                if (each.bytes.empty() || trial.ends || each.bytes.size() < expected.size() ||
                    is_of_earlier_client(each.bytes)) {
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

    /// Does what comes first on a connection: what the upstream proxy grants, and then what the
    /// server is told.
    void open_arrival(TrialArrival& arrival) {
        auto& socket = arrival.socket;
        if (socket.pending() == 0) { // its end
            arrival.has_ended = true;
        } else if (run_.upstream().is_there() && !std::exchange(arrival.is_granted, true)) {
            try {
                run_.upstream().grant(socket);
            } catch (const detail::CutShort&) { // it was dialled for a client that is refused
                arrival.has_ended = true;
            }
        } else {
            arrival.told = run_.read_told_client(socket);
            arrival.is_opened = true;
        }
    }

    /// Reads what has come, of which the first may be a header or a handshake with the server.
    void read_arrival(TrialArrival& arrival) {
        const auto steps = run_.steps();
        try {
            if (!arrival.is_opened) {
                open_arrival(arrival);
            } else {
                std::array<char, 4096> bytes{};
                const auto count = arrival.socket.try_read(bytes.data(), bytes.size());
                arrival.bytes.append(bytes.data(), count.value_or(0));
                arrival.has_ended = count == std::size_t{0};
            }
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
        run_.forget_steps(steps); // the client's is the one to be judged by
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
    bool is_refused_ = false;
    std::string said_;
    std::string lost_;
    /// What clients have said of which nothing came in time.
    std::vector<std::string> abandoned_;
};

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
