#pragma once

// The harness as the proxy that the tool is a client of: it grants what is asked, or answers as a
// check has it, whenever something is awaited.

#include <sys/socket.h>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/handshakes/detail/reply.hpp"
#include "test_tunnel/handshakes/protocol.hpp"
#include "test_tunnel/private_network/host_names.hpp"
#include "test_tunnel/run/detail/ends_soon.hpp"
#include "test_tunnel/run/detail/pair_state.hpp"
#include "test_tunnel/run/detail/upstream_supervisor.hpp"
#include "test_tunnel/run/pair_run.hpp"
#include "test_tunnel/run/upstream_proxy.hpp"

namespace test_tunnel {

namespace detail {

/// Whether connections can be made to this socket: a check may have closed the listener.
inline bool listens(const Socket& socket) {
    int result = 0;
    socklen_t length = sizeof result;
    return ::getsockopt(socket.fd(), SOL_SOCKET, SO_ACCEPTCONN, &result, &length) == 0 &&
           result != 0;
}

inline void name_step_of_request(PairRun& run) {
    run.step("upstream",
             fmt::format("the tool asks its upstream proxy for the server at {}",
                         run.pair().svc_listen.listen()),
             Party::tool, Party::server);
}

/// A connection has arrived at the upstream proxy while something else was awaited. One that ends
/// before it is granted was made for a client that has gone.
inline void answer_as_upstream(PairRun& run, PairState& state, Socket arrived) {
    state.life.count_early_arrival(arrived);
    if (const auto answer = state.upstream_answer) {
        answer(std::move(arrived));
        return;
    }
    try {
        run.open_server(arrived);
    } catch (const SetupError&) {
        throw;
    } catch (const ToolEnded&) {
        throw;
    } catch (const std::exception& error) { // whatever a hook makes of it
        if (!ends_soon(arrived)) {
            throw;
        }
        run.upstream().keep(error);
        return;
    }
    state.granted.push_back(std::move(arrived));
}

} // namespace detail

TEST_TUNNEL_INLINE UpstreamProxy PairRun::upstream() noexcept {
    return {*this, state_};
}

TEST_TUNNEL_INLINE bool UpstreamProxy::is_there() const noexcept {
    return state_.has_upstream();
}

TEST_TUNNEL_INLINE const Protocol& UpstreamProxy::protocol() const noexcept {
    return state_.upstream;
}

TEST_TUNNEL_INLINE std::string_view UpstreamProxy::name() const noexcept {
    return is_there() ? "upstream proxy" : "server";
}

TEST_TUNNEL_INLINE std::vector<std::string> UpstreamProxy::names() const {
    if (!state_.names_of_target) {
        state_.names_of_target = names_of(run_.pair().svc_listen.address);
    }
    auto result = *state_.names_of_target;
    if (const auto* const name = run_.target_name()) {
        result.push_back(name->text());
    }
    return result;
}

TEST_TUNNEL_INLINE Asked UpstreamProxy::read_asked(Socket& server) const {
    const auto target = run_.pair().svc_listen.listen();
    detail::name_step_of_request(run_);
    server.set_timeout(state_.patience.value_or(run_.config().timeouts.io));
    Asked asked;
    try {
        asked = detail::read_asked(server, target, state_.upstream, names());
    } catch (const detail::CutShort&) {
        throw;
    } catch (const Unexpected& error) {
        throw detail::WrongRequest{error.expected(), error.actual(), error.cause()};
    }
    if (asked.address && !asked.name.empty()) {
        run_.note("it asks its upstream proxy for an address in the place of a name");
    }
    if (asked.other_host) {
        run_.note(
            "as Host, it sends its upstream proxy something else than the target (RFC 9110 "
            "§7.2)");
    }
    return asked;
}

TEST_TUNNEL_INLINE void UpstreamProxy::grant(Socket& server) const {
    if (is_there()) {
        read_asked(server);
        server.write(detail::granting_reply(server.local(), state_.upstream));
    }
}

TEST_TUNNEL_INLINE void UpstreamProxy::require_nothing_past() const {
    state_.life.require_nothing_past();
}

TEST_TUNNEL_INLINE void UpstreamProxy::keep(const std::exception& error) const {
    const auto* const wrong = dynamic_cast<const detail::WrongRequest*>(&error);
    if (wrong != nullptr && !state_.wrong_request && !state_.may_ask_otherwise) {
        state_.wrong_request = *wrong;
    }
}

TEST_TUNNEL_INLINE void UpstreamProxy::require_right_requests() const {
    if (const auto wrong = std::exchange(state_.wrong_request, std::nullopt)) {
        detail::name_step_of_request(run_);
        throw detail::WrongRequest{*wrong};
    }
}

TEST_TUNNEL_INLINE void UpstreamProxy::answer_by(std::function<void(Socket)> answer) const {
    state_.upstream_answer = std::move(answer);
}

TEST_TUNNEL_INLINE std::shared_ptr<Supervisor> UpstreamProxy::supervisor() const {
    if (!is_there()) {
        return run_.supervisor();
    }
    static_cast<void>(run_.tool()); // is started where it does not run
    if (!state_.upstream_supervisor) {
        state_.upstream_supervisor = std::make_shared<detail::UpstreamSupervisor>(
            [&state = state_] { return state.own_supervisor(); },
            [&state = state_]() -> Socket* {
                const bool is_open =
                    state.life.has_tool() && detail::listens(state.life.listener());
                return is_open ? &state.life.listener() : nullptr;
            },
            [&run = run_, &state = state_](Socket arrived) {
                detail::answer_as_upstream(run, state, std::move(arrived));
            });
    }
    return state_.upstream_supervisor;
}

TEST_TUNNEL_INLINE std::optional<Socket> UpstreamProxy::take_granted() const {
    if (state_.granted.empty()) {
        return std::nullopt;
    }
    auto result = std::optional{std::move(state_.granted.front())};
    state_.granted.pop_front();
    return result;
}

TEST_TUNNEL_INLINE std::optional<Socket> PairRun::take_arrival() {
    if (auto granted = upstream().take_granted()) {
        return granted;
    }
    auto arrived = listener().try_accept();
    if (arrived) {
        state_.life.count_arrival(*arrived);
    }
    return arrived;
}

} // namespace test_tunnel
