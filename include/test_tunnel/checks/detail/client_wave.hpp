#pragma once

// Clients that come at the same moment, as closely one behind the other as the system lets them.

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/discovery/bind.hpp"
#include "test_tunnel/net/expect.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// A client was let in, and its connection ended or was reset.
class LostClient : public Unexpected {
public:
    using Unexpected::Unexpected;
};

/// Whether connections may arrive at the server whose clients were lost before.
enum class Strays { none, may_come };

/// Clients of which each is to be let in and served, whatever the tool does meanwhile: none tries
/// again, none may be refused, reset, left without an answer, or given that of another one.
class ClientWave {
public:
    /// Makes the clients' sockets, so that nothing but connecting is left to be done. `number` is
    /// another one for each wave of a check: what the clients say is made from it.
    ClientWave(PairRun& run, std::size_t count, std::uint64_t number, Strays strays = Strays::none)
        : run_{run}, said_{run.pattern(number)}, strays_{strays} {
        const auto own = run.pair().proxy_listen.client().address;
        for (std::size_t i = 0; i < count; ++i) {
            Client client{.socket = bind_to(run.config(), {own, 0}),
                          .word = said_.bytes(i * word_size, word_size)};
            client.socket.set_timeout(run.config().timeouts.io);
            client.socket.supervise(run.upstream().supervisor());
            clients_.push_back(std::move(client));
        }
    }

    /// Connects the next `count` of them, or as many as are left. Throws Unexpected where one is
    /// refused.
    void connect(std::size_t count) {
        expected_ = run_.expected();
        steps_ = run_.steps();
        const auto target = run_.pair().proxy_listen.listen();
        for (const auto end = std::min(connected_ + count, clients_.size()); connected_ < end;
             ++connected_) {
            bool is_let_in = false;
            try {
                is_let_in = clients_[connected_].socket.try_connect(target);
            } catch (const SystemError& error) {
                if (error.code() != ECONNRESET) {
                    throw;
                }
                fail("reset as soon as it had connected");
            }
            if (!is_let_in) {
                run_.forget_steps(steps_);
                throw Unexpected{expected_, "a client was refused"};
            }
        }
    }

    /// Has all that are connected say a word, be answered, and leave. Throws LostClient where one
    /// is not served to the end, and Unexpected where one has to wait.
    void serve() {
        for (std::size_t i = 0; i < connected_; ++i) {
            guarded([&] {
                run_.expect_arrival();
                run_.handshake(clients_[i].socket);
                clients_[i].socket.write(clients_[i].word);
            });
        }
        std::vector<Socket> servers;
        while (servers.size() < connected_) {
            servers.push_back(next_arrival());
        }
        for (std::size_t i = 0; i < connected_; ++i) {
            guarded([&] {
                expect_read(clients_[i].socket, answer_to(clients_[i].word), PairRun::down);
            });
        }
        leave();
    }

    /// Has all of them go, whatever has come of them.
    void leave() {
        clients_.clear();
        connected_ = 0;
    }

private:
    static constexpr std::size_t word_size = 16;

    struct Client {
        Socket socket;
        std::string word;
        bool has_arrived = false;
    };

    static std::string answer_to(const std::string& word) { return {word.rbegin(), word.rend()}; }

    [[noreturn]] void fail(std::string_view how, Cause cause = Cause::unexpected) const {
        run_.forget_steps(steps_); // what the others did
        const auto text = fmt::format("a client was {}", how);
        if (cause == Cause::timed_out) {
            throw Unexpected{expected_, text, cause};
        }
        throw LostClient{expected_, text, cause};
    }

    /// Calls `act`, whose failure, but for the tool's end, is that of a client.
    template <typename Act>
    void guarded(Act act) const {
        constexpr std::string_view lost = "let in, and lost: ";
        try {
            act();
        } catch (const SetupError&) {
            throw;
        } catch (const ToolEnded&) {
            throw;
        } catch (const Unexpected& error) {
            fail(fmt::format("{}{}", lost, error.actual()), error.cause());
        } catch (const TimedOut& error) {
            fail(fmt::format("{}{}", lost, error.what()), Cause::timed_out);
        } catch (const std::exception& error) { // whatever a hook makes of it
            fail(fmt::format("{}{}", lost, error.what()));
        }
    }

    /// Waits for the next connection to the server, finds whose it is by what arrives on it, and
    /// answers.
    Socket next_arrival() {
        for (;;) {
            if (auto server = run_.try_accept()) {
                bool is_answered = false;
                guarded([&] { is_answered = answer(*server); });
                if (is_answered) {
                    return *std::move(server);
                }
                continue;
            }
            std::vector<SocketEvent> events{run_.listener().event(POLLIN)};
            std::vector<Client*> waiting;
            for (std::size_t i = 0; i < connected_; ++i) {
                if (!clients_[i].has_arrived) {
                    waiting.push_back(&clients_[i]);
                    events.push_back(clients_[i].socket.event(POLLIN));
                }
            }
            const auto patience = run_.config().timeouts.io;
            if (!run_.wait_for(events, Deadline::after(patience), "a client to be served")) {
                fail(fmt::format("let in, and not connected to the server for {}, as were {} of {}",
                                 text_of(scaled(patience)), waiting.size(), connected_),
                     Cause::timed_out);
            }
            for (std::size_t i = 0; i < waiting.size() && events[0].revents == 0; ++i) {
                if (events[i + 1].revents != 0) {
                    fail("let in, and lost: " + what_came(waiting[i]->socket));
                }
            }
        }
    }

    /// Answers the client whose word arrives; false where it is one of those that were lost before.
    bool answer(Socket& server) {
        const bool may_be_stray = strays_ == Strays::may_come;
        server.set_timeout(run_.config().timeouts.io);
        std::string word;
        try {
            word = server.read(word_size);
        } catch (const TimedOut&) {
            throw;
        } catch (const ToolEnded&) {
            throw;
        } catch (const Error&) { // it has ended, or was reset
            if (may_be_stray) {
                return false;
            }
            throw;
        }
        for (std::size_t i = 0; i < connected_; ++i) {
            if (!clients_[i].has_arrived && clients_[i].word == word) {
                clients_[i].has_arrived = true;
                server.write(answer_to(word));
                return true;
            }
        }
        if (may_be_stray) {
            return false;
        }
        throw Unexpected{
            expected_, "its server was sent what no client has written: " + bytes_around(word, 0)};
    }

    PairRun& run_;
    Pattern said_;
    std::vector<Client> clients_;
    std::size_t connected_ = 0;
    Strays strays_;
    /// What is expected while they come, and how many steps there were before.
    std::string expected_;
    std::size_t steps_ = 0;
};

} // namespace test_tunnel::check
