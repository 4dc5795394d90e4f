#pragma once

// A second target beside the pair's own, for tools that are told by each client where to connect.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "test_tunnel/checks/detail/handshake_client.hpp"
#include "test_tunnel/checks/detail/word_arrivals.hpp"
#include "test_tunnel/discovery/addresses.hpp"
#include "test_tunnel/discovery/bind.hpp"
#include "test_tunnel/discovery/detail/port_lock.hpp"
#include "test_tunnel/discovery/detail/probing.hpp"
#include "test_tunnel/handshakes/protocol.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/private_network/host_names.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// In what a second target differs from the first one: by its port only; by a port, moreover, that
/// has five digits, its highest bit set and its last byte zero; or by its address only.
enum class Differs { by_port, by_odd_port, by_address };

/// Returns a socket that listens at `endpoint`; nothing where that can't be had, or can't be
/// reached from where the tool connects.
inline std::optional<Socket> listen_beside(PairRun& run, const Endpoint& endpoint) {
    try {
        auto listener = bind_to(run.config(), endpoint);
        listener.supervise(run.supervisor());
        listener.listen();
        auto probe = bind_to(run.config(), {run.pair().svc_listen.clients.front(), 0});
        probe.set_timeout(test_tunnel::detail::probe_timeout);
        if (!probe.try_connect(endpoint)) {
            return std::nullopt;
        }
        probe.reset();
        listener.accept().reset();
        return listener;
    } catch (const ToolEnded&) {
        throw;
    } catch (const Error&) { // this one will not do
        return std::nullopt;
    }
}

/// Returns where a second target may be. All port numbers are kept for this run, on whatever
/// address, or are for whoever takes their `PortLock` (Differs::by_odd_port); those at which the
/// tool or a client was told to be come last.
inline std::vector<Endpoint> places_beside(PairRun& run, Differs differs) {
    const auto& [proxy_listen, svc_listen] = run.pair();
    if (differs == Differs::by_odd_port) {
        constexpr std::uint16_t highest = 0xff00;
        constexpr std::uint16_t lowest = 0xef00; // above those that systems give out
        constexpr std::uint16_t step = 0x100;
        std::vector<Endpoint> result;
        for (std::uint16_t port = highest; port >= lowest; port -= step) {
            result.push_back({svc_listen.address, port});
        }
        return result;
    }
    if (differs == Differs::by_port) {
        return {svc_listen.spare(), {svc_listen.address, proxy_listen.proxy_port}};
    }
    const auto& source = svc_listen.clients.front();
    std::vector<Endpoint> result;
    // Best not the address from which a tool comes that does not bind its outgoing side.
    for (const bool is_source : {false, true}) {
        for (const auto& address : get_addresses(run.config())) {
            if (address.family() == source.family() && address != svc_listen.address &&
                (address == source) == is_source) {
                result.push_back({address, svc_listen.svc_port});
            }
        }
    }
    return result;
}

/// The pair's own target and another one: clients ask for either, and it is known to which of them
/// they were connected.
class TwoTargets {
public:
    static constexpr std::size_t own = 0;
    static constexpr std::size_t other = 1;

    TwoTargets(PairRun& run, Protocol protocol, Differs differs)
        : run_{run}, protocol_{std::move(protocol)}, arrivals_{run} {
        static_cast<void>(run.tool()); // what it was told is known only while it runs
        endpoints_[own] = run.pair().svc_listen.listen();
        for (const auto& place : places_beside(run, differs)) {
            if (differs == Differs::by_odd_port) {
                lock_ = test_tunnel::detail::PortLock::take(place.port);
                if (!lock_) {
                    continue;
                }
            }
            other_ = listen_beside(run, place);
            if (other_) {
                endpoints_[other] = place;
                break;
            }
        }
    }

    /// Whether there is a second target.
    [[nodiscard]] bool has_other() const noexcept { return other_.has_value(); }

    /// Where a target is.
    [[nodiscard]] const Endpoint& at(std::size_t target) const { return endpoints_.at(target); }

    /// Has clients ask for the targets by name from now on. Returns false where they have none.
    [[nodiscard]] bool ask_by_name() {
        constexpr std::array both{own, other};
        return std::all_of(both.begin(), both.end(), [&](std::size_t target) {
            names_.at(target) = host_name_of(at(target).address);
            return names_.at(target).has_value();
        });
    }

    /// Has a client ask for a target, and returns the connection, on which both sides have said a
    /// word; nothing where it was refused: `refusal` tells. Throws Unexpected where it was
    /// connected to the other target, or comes from where it should not.
    [[nodiscard]] std::optional<Connection> ask(std::size_t target) {
        auto client = run_.open_client();
        const auto& name = names_.at(target);
        run_.step("target",
                  name ? fmt::format("the client that asks for {}:{} is connected to {}", *name,
                                     at(target).port, at(target))
                       : fmt::format("the client that asks for {} is connected there", at(target)),
                  Party::client, Party::server);
        std::optional<Endpoint> reported;
        HandshakeClient handshake{client};
        const auto result = attempt(handshake, [&](HandshakeClient& each) {
            reported = shake_hands(each, at(target), protocol_for(target));
        });
        if (result.answer == Answer::malformed) {
            throw Unexpected{run_.expected(), result.text};
        }
        if (result.answer != Answer::served) {
            refusal_ = result.text;
            return std::nullopt;
        }
        const auto word = run_.pattern(++asked_).bytes(0, word_size);
        client.write(word);
        auto found = arrivals_.find({&run_.listener(), &*other_}, client, word,
                                    Deadline::after(run_.config().timeouts.io));
        if (!found) {
            refusal_ = "success was reported, then: " + arrivals_.reason();
            return std::nullopt;
        }
        if (found->place != target) {
            throw Unexpected{run_.expected(), fmt::format("it was connected to {}, where others "
                                                          "have asked to be connected",
                                                          at(found->place))};
        }
        if (reported == at(target)) { // what is known of a tool that reports its target
            reported = at(own);
        }
        run_.verify_source(found->socket.peer(), reported);
        run_.say(found->socket, client, Party::server);
        return Connection{std::move(client), std::move(found->socket)};
    }

    /// What has come of the last client that was not served.
    [[nodiscard]] const std::string& refusal() const noexcept { return refusal_; }

    /// Demands that no connection has arrived at the second target that nobody has asked for.
    void require_no_other() {
        arrivals_.clear();
        if (const auto arrived = other_->try_accept()) {
            throw Unexpected{
                fmt::format("no connection to {} that no client has asked for", at(other)),
                fmt::format("a connection from {}", arrived->peer())};
        }
        run_.require_no_unasked_connection();
    }

private:
    static constexpr std::size_t word_size = 16;

    [[nodiscard]] Protocol protocol_for(std::size_t target) const {
        if (const auto& name = names_.at(target)) {
            return detail::with_name(protocol_, *name);
        }
        return protocol_;
    }

    PairRun& run_;
    Protocol protocol_;
    std::array<Endpoint, 2> endpoints_{};
    std::array<std::optional<std::string>, 2> names_{};
    std::optional<test_tunnel::detail::PortLock> lock_;
    std::optional<Socket> other_;
    WordArrivals arrivals_;
    std::uint64_t asked_ = 0;
    std::string refusal_;
};

/// Whether a protocol is declared with a name in place of the target's address.
inline bool has_name(const Protocol& protocol) {
    return std::visit(
        [](const auto& options) {
            if constexpr (requires { options.name; }) {
                return options.name.has_value();
            } else {
                return false;
            }
        },
        protocol);
}

} // namespace test_tunnel::check
