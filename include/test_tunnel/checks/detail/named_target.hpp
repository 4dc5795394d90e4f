#pragma once

// A target that the tool knows by a name, at one of two addresses.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/refusal.hpp"
#include "test_tunnel/checks/detail/word_arrivals.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/discovery/addresses.hpp"
#include "test_tunnel/discovery/bind.hpp"
#include "test_tunnel/handshakes/protocol.hpp"
#include "test_tunnel/private_network/host_name.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// What has become of a client that has asked for a name.
struct Reached {
    enum class Where { first, second, nowhere };
    Where where = Where::nowhere;
    /// What came instead, where it was connected nowhere.
    std::string text{};
    /// Whether nothing came: neither a connection, nor a refusal.
    bool is_left_waiting = false;
};

/// A name that stands for the pair's target, or for another address of this machine, where the
/// harness can listen on the same port. The tool was told the name, or is asked by it.
class NamedTarget {
public:
    /// Throws NotApplicable where the tool knows no name, and where nothing can be changed in what
    /// it stands for.
    explicit NamedTarget(PairRun& run) : run_{run}, protocol_{run.protocol()}, arrivals_{run} {
        if (run.upstream().is_there()) {
            throw NotApplicable{"it has its upstream proxy connect to its target"};
        }
        if (serves_once(run)) {
            throw NotApplicable{serves_just_one(run)};
        }
        if (std::holds_alternative<std::monostate>(protocol_)) {
            need_told_name();
        } else {
            take_name();
        }
        find_second();
        name_->resolve_to({first().address});
        run.kill_after_check(); // it may remember what the name has stood for
    }
    NamedTarget(const NamedTarget&) = delete;
    NamedTarget& operator=(const NamedTarget&) = delete;
    ~NamedTarget() {
        try {
            name_->resolve_to({first().address});
            if (run_.has_tool()) {
                run_.listener().listen();
            }
        } catch (const std::exception&) { // the check has failed of the same, or its tool is gone
        }
    }

    /// Whether the tool was told the name when it was started, and not by its clients.
    [[nodiscard]] bool is_told() const noexcept { return !own_name_; }
    [[nodiscard]] const std::string& name() const noexcept { return name_->text(); }
    [[nodiscard]] Endpoint first() const { return run_.pair().svc_listen.listen(); }
    [[nodiscard]] Endpoint second() const { return {second_, first().port}; }

    /// Has the name stand for the second address, or for both.
    void resolve_to_second() { name_->resolve_to({second_}); }
    void resolve_to_both() { name_->resolve_to({first().address, second_}); }

    /// Has the server listen there, or refuse. At first, it listens at the pair's target only.
    void listen_at_first(bool listens) {
        listen(run_.listener(), first(), listens);
        first_listens_ = listens;
    }
    void listen_at_second(bool listens) {
        if (!other_) {
            other_.emplace(bind_to(run_.config(), second()));
            other_->supervise(run_.supervisor());
        }
        listen(*other_, second(), listens);
        second_listens_ = listens;
    }

    /// Starts the tool anew, with the name as it stands now: it remembers nothing.
    void restart() {
        run_.settle(); // kills it
        arrivals_.clear();
        other_.reset(); // another tool has another port
        first_listens_ = true;
        second_listens_ = false;
        static_cast<void>(run_.tool());
    }

    /// Has one client ask for the name and say a word, and finds out at which of the addresses that
    /// arrives. The connection must come from where the tool was told to connect from, and carry
    /// the answer. Throws what no refusal may come as: ToolEnded, Unexpected.
    [[nodiscard]] Reached ask() {
        auto client = Socket{run_.pair().proxy_listen.address.family()};
        try {
            client = is_told() ? run_.connect_client() : run_.open_client();
            shake_hands(client);
            const auto word = run_.pattern(++asked_).bytes(0, word_size);
            client.write(word);
            return await(client, word);
        } catch (const SetupError&) {
            throw;
        } catch (const ToolEnded&) {
            throw;
        } catch (const Misdirected& error) {
            throw Unexpected{error.expected(), error.actual(), error.cause()};
        } catch (const SystemError& error) {
            if (detail::is_own_fault(error.code())) {
                throw;
            }
            return {.text = error.what()};
        } catch (const std::exception& error) { // a refusal, whatever a hook makes of it
            return {.text = error.what(),
                    .is_left_waiting = dynamic_cast<const TimedOut*>(&error) != nullptr};
        }
    }

private:
    static constexpr std::size_t word_size = 16;

    /// The connection has come, but is not as it ought to be: no refusal.
    struct Misdirected : Unexpected {
        using Unexpected::Unexpected;
    };

    void need_told_name() {
        name_ = run_.target_name();
        if (name_ == nullptr) {
            throw NotApplicable{fmt::format(
                "it is told no name of its target ({}), or none whose addresses can be changed",
                run_.config().dialect == Dialect::options ? "{target.name}"
                                                          : "TestTunnel::target_name")};
        }
    }

    void take_name() {
        if (run_.traits().resolves_names == false) {
            throw NotApplicable{fmt::format("it can't be asked for a name ({})",
                                            run_.wording(trait::resolves_names, false))};
        }
        own_name_ = HostName::take();
        if (!own_name_) {
            throw NotApplicable{
                "no name's addresses can be changed here: a private network that "
                "can mount a hosts file has such names"};
        }
        name_ = &*own_name_;
    }

    /// Finds another address, to which the tool can connect from where it does: best not from the
    /// address itself, from which it comes when it does not bind its outgoing side.
    void find_second() {
        const auto& source = run_.pair().svc_listen.clients.front();
        auto candidates = get_addresses(run_.config());
        std::erase_if(candidates, [&](const Address& address) {
            return address.family() != source.family() || address == first().address ||
                   !name_->can_be(address);
        });
        std::stable_partition(candidates.begin(), candidates.end(),
                              [&](const Address& address) { return address != source; });
        for (const auto& candidate : candidates) {
            second_ = candidate;
            try {
                listen_at_second(true);
                auto probe = bind_to(run_.config(), {source, 0});
                probe.set_timeout(test_tunnel::detail::probe_timeout);
                if (probe.try_connect(second())) {
                    probe.reset();
                    other_->accept().reset();
                    listen_at_second(false);
                    return;
                }
            } catch (const Error&) { // this one will not do
            }
            other_.reset();
            second_listens_ = false;
        }
        throw NotApplicable{
            fmt::format("there is no second address that {} can connect to, and "
                        "that a name can stand for",
                        source)};
    }

    void listen(Socket& listener, const Endpoint& endpoint, bool listens) {
        if (listens) {
            listener.listen();
        } else {
            stop_listening(run_, listener, endpoint);
        }
    }

    void shake_hands(Socket& client) {
        if (is_told()) {
            run_.handshake(client);
            return;
        }
        run_.step(
            StepKind::handshake,
            fmt::format("the tool does its part of the handshake, in which it is asked for {}",
                        name()),
            Party::client);
        test_tunnel::shake_hands(client, first(),
                                 test_tunnel::detail::with_name(protocol_, name()));
    }

    /// Waits for the connection on which the word arrives, or until the client is refused.
    Reached await(Socket& client, const std::string& word) {
        run_.step(
            StepKind::accept,
            fmt::format("the tool connects to {}, and passes on what the client writes", name()),
            Party::tool, Party::server);
        std::vector<Socket*> listeners;
        if (first_listens_) {
            listeners.push_back(&run_.listener());
        }
        if (second_listens_) {
            listeners.push_back(&*other_);
        }
        auto found =
            arrivals_.find(listeners, client, word, Deadline::after(run_.config().timeouts.io));
        if (!found) {
            return {.text = arrivals_.reason(), .is_left_waiting = arrivals_.timed_out()};
        }
        verify(found->socket, client);
        const bool is_first = first_listens_ && found->place == 0;
        return {.where = is_first ? Reached::Where::first : Reached::Where::second};
    }

    void verify(Socket& server, Socket& client) {
        try {
            run_.verify_source(server.peer(), std::nullopt);
            run_.step("answer", "what the server answers arrives", Party::server, Party::client);
            run_.say(server, client, Party::server);
        } catch (const Unexpected& error) {
            throw Misdirected{error.expected(), error.actual()};
        } catch (const TimedOut& error) {
            throw Misdirected{run_.expected(), error.what(), Cause::timed_out};
        } catch (const SystemError& error) {
            throw Misdirected{run_.expected(), error.what(), Cause::system_error};
        }
    }

    PairRun& run_;
    Protocol protocol_;
    std::optional<HostName> own_name_;
    HostName* name_ = nullptr;
    Address second_;
    std::optional<Socket> other_;
    bool first_listens_ = true;
    bool second_listens_ = false;
    WordArrivals arrivals_;
    std::uint64_t asked_ = 0;
};

} // namespace test_tunnel::check
