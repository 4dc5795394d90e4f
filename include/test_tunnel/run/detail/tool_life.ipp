#pragma once

#include <algorithm>
#include <chrono>
#include <csignal>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/discovery/bind.hpp"
#include "test_tunnel/discovery/detail/probing.hpp"
#include "test_tunnel/process/detail/settle.hpp"
#include "test_tunnel/process/listening.hpp"
#include "test_tunnel/run/detail/end_of_tool.hpp"
#include "test_tunnel/run/detail/judge.hpp"
#include "test_tunnel/run/detail/tool_life.hpp"

namespace test_tunnel::detail {

TEST_TUNNEL_INLINE ToolLife::ToolLife(const Config& config, const Traits& traits, Pair pair,
                                      Spawn spawn, Journal& journal, const Habits& habits,
                                      Transports transports)
    : config_{config},
      traits_{traits},
      pair_{std::move(pair)},
      spawn_{std::move(spawn)},
      journal_{journal},
      habits_{habits},
      transports_{transports} {}

TEST_TUNNEL_INLINE void ToolLife::start(Target state) {
    if (starts_ > 0) {
        // On the ports of the last one its connections may still be in TIME_WAIT.
        pair_ = {with_fresh_ports(config_, pair_.proxy_listen),
                 with_fresh_ports(config_, pair_.svc_listen)};
    }
    set_guard();
    const auto target = pair_.svc_listen.server();
    // Before the tool is started: whenever it connects, somebody listens.
    journal_.step(StepKind::other, "listen", fmt::format("the server can listen at {}", target),
                  Party::server, Party::server);
    listener_.emplace(bind_to(config_, target));
    if (state == Target::listens) {
        listener_->listen();
    }
    datagram_server_.reset();
    if (transports_.udp && state == Target::listens) {
        datagram_server_.emplace(bind_datagrams_to(config_, pair_.svc_listen.listen()));
    }
    is_there_again_ = false;
    start_tool();
}

/// Finds an endpoint for the upstream proxy that the tool can reach: at another address than the
/// target's, since many a client of proxies tells by addresses what to go to the proxy for.
TEST_TUNNEL_INLINE AddrPort ToolLife::find_upstream() const {
    const auto& [proxy_listen, svc_listen] = pair_;
    const auto family = *upstream_family_;
    const bool has_source = svc_listen.clients.front().family() == family;
    const auto& later = proxy_listen.proxy_port > svc_listen.proxy_port ? proxy_listen : svc_listen;
    const auto loopback = Address::parse(family == Family::ipv4 ? "127.0.0.1" : "::1");
    for (const auto& address : {proxy_listen.address, loopback}) {
        if (address.family() != family || address == svc_listen.address) {
            continue;
        }
        auto found = fresh_ports_at(config_, later, address);
        auto listener = bind_to(config_, found.listen());
        listener.set_timeout(probe_timeout);
        listener.listen();
        if (!has_source || can_connect(config_, svc_listen.clients.front(), listener)) {
            return found;
        }
    }
    return fresh_ports_at(config_, later, has_source ? svc_listen.address : loopback);
}

/// Where there is an upstream proxy, it gets an endpoint, and a listener of its own stands at the
/// target, so that a connection is seen that is made past the proxy; and a UDP socket, unless
/// datagrams are to arrive there.
TEST_TUNNEL_INLINE void ToolLife::set_guard() {
    if (!upstream_family_) {
        return;
    }
    auto found = find_upstream();
    pair_.svc_listen.upstream = found.listen();
    upstream_port_ = std::move(found.reservation);
    guard_.emplace(bind_to(config_, pair_.svc_listen.listen()));
    guard_->listen();
    datagram_guard_.reset();
    if (transports_.udp) {
        return;
    }
    try {
        datagram_guard_.emplace(bind_datagrams_to(config_, pair_.svc_listen.listen()));
    } catch (const SystemError&) { // only the port of TCP was looked for
    }
}

TEST_TUNNEL_INLINE void ToolLife::require_nothing_past() {
    if (!guard_) {
        return;
    }
    const auto found = [&](std::string_view what, const Endpoint& from) {
        journal_.hint("it goes to the target itself, not by way of its upstream proxy");
        return Unexpected{fmt::format("the tool connects to nobody but its upstream proxy at {}",
                                      pair_.svc_listen.server()),
                          fmt::format("{} from {} to the target itself, {}", what, from,
                                      pair_.svc_listen.listen())};
    };
    if (const auto past = guard_->try_accept()) {
        throw found("a connection", past->peer());
    }
    if (datagram_guard_) {
        if (const auto past = datagram_guard_->try_receive()) {
            throw found(fmt::format("a datagram of {} byte{}", past->data.size(),
                                    past->data.size() == 1 ? "" : "s"),
                        past->from);
        }
    }
}

/// Starts the tool, for which a listener is there.
TEST_TUNNEL_INLINE void ToolLife::start_tool() {
    ++starts_;
    journal_.step(StepKind::other, "start", "the tool can be started", Party::tool, Party::tool);
    tool_.emplace(spawn_(pair_.proxy_listen, pair_.svc_listen));
    tool_->limit(config_.timeouts.check);
    listener_->supervise(tool_->supervisor());
    if (datagram_server_) {
        datagram_server_->supervise(tool_->supervisor());
    }
    if (habits_.listens_too_early()) {
        journal_.step(StepKind::other, "settle", "the tool has got ready, and runs", Party::tool,
                      Party::tool);
        constexpr auto moment = std::chrono::milliseconds{500};
        pause(scaled(moment), tool_->supervisor().get(), "the tool to be ready");
    }
    connections_ = 0;
    expected_ = 0;
    is_early_ = false;
    tool_end_.reset();
}

TEST_TUNNEL_INLINE Server& ToolLife::tool() {
    if (!tool_) {
        start(Target::listens);
    }
    return *tool_;
}

TEST_TUNNEL_INLINE void ToolLife::restart_early() {
    if (tool_) {
        kill();
    }
    start(Target::is_closed);
}

TEST_TUNNEL_INLINE void ToolLife::restart_there() {
    if (tool_) {
        kill();
    }
    if (starts_ == 0) {
        start(Target::listens);
    } else {
        is_there_again_ = true;
        start_tool();
    }
}

TEST_TUNNEL_INLINE Socket& ToolLife::listener() {
    static_cast<void>(tool());
    return *listener_;
}

TEST_TUNNEL_INLINE DatagramSocket& ToolLife::datagram_server() {
    if (!transports_.udp) {
        throw InvalidConfig{"the tool carries no datagrams: TestTunnel::transports says so"};
    }
    static_cast<void>(tool());
    if (!datagram_server_) { // nobody has received at the target so far
        datagram_server_.emplace(bind_datagrams_to(config_, pair_.svc_listen.listen()));
        datagram_server_->supervise(tool_->supervisor());
    }
    return *datagram_server_;
}

TEST_TUNNEL_INLINE void ToolLife::count_connection() {
    if (connections_++ == 0 && starts_ == 1 && !tool_->processes().empty()) {
        time_to_start_ = tool_->processes().front().run_time();
    }
}

TEST_TUNNEL_INLINE bool ToolLife::may_have_been_too_early() {
    constexpr auto moment = std::chrono::seconds{1};
    return was_reset_ && !habits_.listens_too_early() && tool_ && tool_->running() &&
           tool_->processes().front().run_time() < scaled(moment);
}

TEST_TUNNEL_INLINE bool ToolLife::ends_well() {
    constexpr Duration moment = std::chrono::milliseconds{50};
    // One that has closed its listener ends, but may have to wait for a CPU.
    const auto here = pair_.proxy_listen.listen();
    const bool listens = !tool_ || (transports_.tcp ? listens_at(*tool_, here).value_or(true)
                                                    : receives_at(*tool_, here).value_or(true));
    const auto patience = listens ? moment : config_.timeouts.linger;
    if (!tool_ || !tool_->wait_for_end(Deadline::after(patience))) {
        return false;
    }
    const auto& processes = tool_->processes();
    return std::all_of(processes.begin(), processes.end(), [](const Process& process) {
        return !process.status() || process.status()->code() == 0;
    });
}

TEST_TUNNEL_INLINE void ToolLife::end_by_itself() {
    const auto ended = who_has_ended(*tool_);
    stop_unjudged();
    judge_end(ended);
    if (connections_ != 1) {
        throw Unexpected{
            "the tool runs on when its connections have ended",
            fmt::format("it ended by itself, with status 0, after {} connections", connections_)};
    }
    journal_.take(judge(trait::serves_again, false, traits_, config_, {}));
    tool_.reset();
}

/// Whether it passes the ends of streams on in both directions, as it has to or as it was seen to.
TEST_TUNNEL_INLINE bool ToolLife::passes_ends() const {
    const auto passes = [&](Direction direction) {
        return traits_.passes_eof.in(direction).value_or(true) || habits_.passes_end(direction);
    };
    return passes(Direction::up) && passes(Direction::down);
}

TEST_TUNNEL_INLINE void ToolLife::stop() {
    auto& ending = tool();
    journal_.step(StepKind::other, "stop",
                  fmt::format("the tool runs until SIGTERM and then ends within {}",
                              text_of(scaled(config_.timeouts.stop))),
                  Party::tool, Party::tool);
    const auto ended = who_has_ended(ending);
    const auto begin = Clock::now();
    stop_unjudged();
    time_to_stop_ = time_to_stop_.value_or(Clock::now() - begin);
    judge_end(ended);
    tool_.reset();
}

TEST_TUNNEL_INLINE void ToolLife::judge_end(const std::vector<bool>& ended_before) {
    if (!transports_.tcp) { // no flow has an end of which somebody could be told
        const auto& processes = tool().processes();
        const bool leaves_none =
            std::all_of(processes.begin(), processes.end(),
                        [](const Process& process) { return process.left_behind().empty(); });
        journal_.take(judge(trait::stops_connections, leaves_none, traits_, config_, {}));
    }
    const auto odd = detail::judge_end(tool(), ended_before, traits_,
                                       transports_.tcp && passes_ends(), journal_.expected());
    if (!odd) {
        return;
    }
    if (odd->code == 0) {
        journal_.note({std::string{trait::exit_statuses.name},
                       fmt::format("{}, better than declared ({}: {})", odd->text,
                                   wording(config_.dialect, trait::exit_statuses.name),
                                   joined(traits_.exit_statuses, ", "))});
        return;
    }
    const auto& declared = traits_.exit_statuses;
    const auto trait = wording(config_.dialect, trait::exit_statuses.name);
    if (!declared.empty()) {
        throw Unexpected{
            fmt::format("an exit status that is declared ({}): {}", trait, joined(declared, ", ")),
            odd->text};
    }
    const auto text = fmt::format("{} (undeclared: {})", odd->text, trait);
    if (config_.level == Level::strict) {
        throw Unexpected{"an exit status of 0, 15 or 143 after SIGTERM", text};
    }
    const std::string name{trait::exit_statuses.name};
    journal_.note({name, text, NamedTrait{name, fmt::format("0,15,143,{}", odd->code)}});
}

TEST_TUNNEL_INLINE void ToolLife::kill() {
    const auto& processes = tool_->processes();
    std::string fault;
    tool_->wait_for_end(Deadline::now()); // looks
    for (const auto& process : processes) {
        const auto& status = process.status();
        if (status && status->signal() && *status->signal() != SIGTERM) {
            fault = fmt::format("{} {}", process.name(), status->text());
        }
    }
    tool_->stop(Duration::zero(), Duration::zero());
    count_use();
    for (const auto& process : processes) {
        fault = process.alarm().empty() ? fault : process.alarm();
    }
    if (!fault.empty()) {
        throw Unexpected{"the tool runs without a crash, and without an error of its memory",
                         fault};
    }
    tool_.reset();
}

TEST_TUNNEL_INLINE void ToolLife::settle() {
    if (!tool_) {
        return;
    }
    require_nothing_past();
    if (kill_after_check_) {
        kill();
        return;
    }
    journal_.step(StepKind::other, "afterwards", "the tool runs on when its connections have ended",
                  Party::tool, Party::tool);
    // One that never rests, as was seen more than once, is not waited for.
    constexpr Duration moment = std::chrono::milliseconds{20};
    constexpr Duration longest = std::chrono::milliseconds{250};
    const bool rests = let_settle(*tool_, pair_.proxy_listen.listen(), transports_, tool_end_,
                                  config_.timeouts.linger, never_rests() ? moment : longest);
    restless_ = rests ? 0 : restless_ + 1;
    peak_.look(*tool_);
    if (!tool_->running()) {
        end_by_itself();
    }
}

TEST_TUNNEL_INLINE void ToolLife::stop_unjudged() {
    if (tool_) {
        // What serves a flow is not told of its end, and would be waited for in vain.
        constexpr Duration moment = std::chrono::milliseconds{50};
        tool_->stop(config_.timeouts.stop, transports_.tcp ? config_.timeouts.linger : moment);
        count_use();
    }
}

/// Adds what the tool that has ended has used, once.
TEST_TUNNEL_INLINE void ToolLife::count_use() {
    if (std::exchange(counted_, starts_) == starts_) {
        return;
    }
    for (const auto& process : tool_->processes()) {
        use_ += process.use();
    }
}

TEST_TUNNEL_INLINE void ToolLife::discard_datagrams() {
    constexpr int most = 10000; // one that never ends to send is for the check to see
    const bool receives = datagram_server_ && datagram_server_->fd() != -1; // a check may close it
    for (int i = 0; receives && i < most && datagram_server_->try_receive(); ++i) {
    }
    if (receives) {
        static_cast<void>(datagram_server_->take_errors());
    }
}

TEST_TUNNEL_INLINE void ToolLife::begin_check() {
    kill_after_check_ = false;
    expected_ = 0;
    is_early_ = false;
    if (tool_) {
        tool_->limit(config_.timeouts.check);
    }
}

} // namespace test_tunnel::detail
