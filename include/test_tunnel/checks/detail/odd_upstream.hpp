#pragma once

// The upstream proxy of a tool, which answers otherwise than it usually does.

#include <poll.h>

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "test_tunnel/checks/detail/asking_client.hpp"
#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/handshake_client.hpp"
#include "test_tunnel/handshakes/protocol.hpp"
#include "test_tunnel/kernel/tcp_sockets.hpp"
#include "test_tunnel/net/expect.hpp"
#include "test_tunnel/run/detail/ends_soon.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Throws NotApplicable for a tool that has no upstream proxy.
inline const Protocol& need_upstream(PairRun& run) {
    if (!run.upstream().is_there()) {
        throw NotApplicable{"it is the client of no upstream proxy"};
    }
    return run.upstream().protocol();
}

/// The user whom an upstream proxy demands; nothing where it demands none.
inline std::optional<std::string> user_of(const Protocol& upstream) {
    return detail::accept_options(upstream, {}).user;
}

/// Has the upstream proxy say what a check has it say, as long as this object lives.
class OddUpstream {
public:
    /// Says it to the tool that has connected; everything, from the tool's first byte on.
    using Answer = std::function<void(Socket& tool)>;

    /// `step` and `expected` name what is to come of it, from when it has been said.
    OddUpstream(PairRun& run, std::string step, std::string expected, Answer answer)
        : run_{run},
          step_{std::move(step)},
          expected_{std::move(expected)},
          answer_{std::move(answer)} {
        run_.upstream().answer_by([this](Socket tool) { take(std::move(tool)); });
    }
    OddUpstream(const OddUpstream&) = delete;
    OddUpstream& operator=(const OddUpstream&) = delete;
    ~OddUpstream() { run_.upstream().answer_by(nullptr); }

    /// Waits until it has answered a connection for this client, which may have something to read
    /// then, and returns that. Throws Unexpected where the client is told something before.
    [[nodiscard]] Socket await(Socket& client) {
        return await(client, [&] { return std::optional{what_came(client)}; });
    }
    /// Does the same for a client that may be told success before: by a tool that tells it before
    /// it connects anywhere.
    [[nodiscard]] Socket await(AskingClient& client) {
        return await(client.socket(), [&]() -> std::optional<std::string> {
            if (!client.is_to_be_told()) {
                return what_came(client.socket());
            }
            auto told = client.read_answer();
            return told.answer == check::Answer::served ? std::nullopt : std::optional{told.text};
        });
    }

    /// How many connections it has answered.
    [[nodiscard]] std::size_t count() const noexcept { return count_; }

private:
    /// `look_at_client` reads what the client is told before, and returns it where it may not be.
    template <typename Look>
    Socket await(Socket& client, Look look_at_client) {
        const auto patience = run_.config().timeouts.io;
        const auto deadline = Deadline::after(patience);
        constexpr Duration look = std::chrono::milliseconds{20};
        while (answered_.empty()) {
            run_.pause(Duration::zero(), "the tool to ask its upstream proxy"); // looks
            if (!answered_.empty()) {
                break;
            }
            const bool is_told = run_.wait_for(client.event(POLLIN), Deadline::unscaled(look),
                                               "the tool to ask its upstream proxy");
            const auto told = is_told && answered_.empty() ? look_at_client() : std::nullopt;
            if (told && answered_.empty()) {
                throw Unexpected{
                    fmt::format("the tool asks its upstream proxy before it tells its client "
                                "anything, and {}",
                                expected_),
                    "the client: " + *told};
            }
            if (deadline.passed() && answered_.empty()) {
                throw TimedOut{fmt::format("the tool did not ask its upstream proxy for {}",
                                           text_of(scaled(patience)))};
            }
        }
        auto result = std::move(answered_.back());
        answered_.pop_back();
        return result;
    }

    void take(Socket tool) {
        ++count_;
        tool.set_timeout(run_.config().timeouts.io);
        try {
            answer_(tool);
        } catch (const SetupError&) {
            throw;
        } catch (const ToolEnded&) {
            throw;
        } catch (const std::exception& error) {
            // It may go, with its client, or since it has heard enough.
            if (!detail::ends_soon(tool)) {
                throw;
            }
            run_.upstream().keep(error);
            return;
        }
        answered_.push_back(std::move(tool));
        run_.step(step_, expected_, Party::server, Party::client);
    }

    PairRun& run_;
    std::string step_;
    std::string expected_;
    Answer answer_;
    std::vector<Socket> answered_;
    std::size_t count_ = 0;
};

/// Makes a connection whose grant is said by `answer`, and demands that it works, from its first
/// byte on: `first` is what the server has said behind the grant. `what` is granted so, for texts.
inline void demand_grant(PairRun& run, const std::string& what, std::string_view first,
                         const OddUpstream::Answer& answer) {
    OddUpstream upstream{
        run, fmt::format("grant {}", what),
        fmt::format("the client is connected when the upstream proxy grants it {}", what), answer};
    auto client = run.connect_client();
    run.expect_arrival();
    run.handshake(client);
    std::string word;
    if (run.speaks_first()) {
        word = run.pattern().bytes(0, 16);
        client.write(word);
    }
    auto server = upstream.await(client);
    run.open_granted(server, client.local());
    if (!first.empty()) {
        expect_read(client, first, run.down);
    }
    if (!word.empty()) {
        expect_read(server, word, run.up);
    }
    Connection connection{std::move(client), std::move(server)};
    run.round_trip(connection);
    run.step("no further bytes", "there is nothing on the connection that nobody has written",
             Party::tool, Party::client);
    run.require_silence({&connection.client, &connection.server});
}

/// Writes something, and waits until the tool has read it, as far as the system tells; for a moment
/// at most, since it may wait for more.
inline void write_alone(PairRun& run, Socket& to, std::string_view data) {
    using namespace std::chrono_literals;
    constexpr Duration moment = 100ms;
    const auto reader = to.peer();
    const auto writer = to.local();
    to.write(data);
    if (!unread_bytes(reader, writer)) {
        run.pause(2ms, "the tool to read a piece");
        return;
    }
    wait_until([&] { return unread_bytes(reader, writer).value_or(0) == 0; },
               Deadline::unscaled(moment), run.supervisor().get(), "the tool to read a piece");
}

/// Writes byte by byte, of a long text the first 64.
inline void write_singly(PairRun& run, Socket& to, std::string_view data) {
    constexpr std::size_t most = 64;
    for (std::size_t i = 0; i < data.size(); ++i) {
        if (i == most) {
            to.write(data.substr(i));
            return;
        }
        write_alone(run, to, data.substr(i, 1));
    }
}

/// Reads what the tool asks for, and says all but the grant, each message by `say`.
template <typename Say>
void take_request(PairRun& run, Socket& tool, Say say) {
    HandshakeClient each{tool, [&](Socket& to, std::string_view data) { say(to, data); }};
    static_cast<void>(detail::read_asked(each, run.pair().svc_listen.listen(),
                                         run.upstream().protocol(), run.upstream().names()));
}

} // namespace test_tunnel::check
