#pragma once

// What PairRun does by means of TestTunnel: included by tunnel.hpp, behind it.

#include "../tunnel.hpp"

namespace test_tunnel {

inline PairRun::PairRun(TestTunnel& tunnel, Pair pair, std::uint64_t seed)
    : tunnel_{tunnel},
      traits_{tunnel.traits()},
      pair_{std::move(pair)},
      seed_{Pattern{seed}.derive(pair_.name())},
      pattern_{seed_},
      speaks_first_{traits_.speaks_first.value_or(false)},
      started_{Clock::now()} {}

inline const ConfigProg& PairRun::config() const noexcept {
    return tunnel_.config();
}

// --- The tool's life

inline void PairRun::start() {
    if (starts_++ > 0) {
        // On the ports of the last one its connections may linger (TIME_WAIT).
        pair_ = {detail::with_fresh_ports(config(), pair_.proxy_listen),
                 detail::with_fresh_ports(config(), pair_.svc_listen)};
    }
    const auto target = pair_.svc_listen.listen();
    // Before the tool is started: whenever it connects, somebody listens.
    step("listen", fmt::format("the server can listen at {}", target), Party::server,
         Party::server);
    listener_.emplace(bind_to(config(), target));
    listener_->listen();

    step("start", "the tool can be started");
    server_.emplace(tunnel_.spawn_server(pair_.proxy_listen, pair_.svc_listen));
    server_->limit(config().timeouts.check);
    listener_->watch(server_->watch());
    connections_ = 0;
    tool_socket_ = 0;
}

inline Server& PairRun::server() {
    if (!server_) {
        start();
    }
    return *server_;
}

inline Socket& PairRun::listener() {
    if (!server_) {
        start();
    }
    return *listener_;
}

inline void PairRun::stop() {
    auto& tool = server();
    step("stop", fmt::format("the tool runs until SIGTERM and then ends within {}",
                             detail::text_of(detail::scaled(config().timeouts.stop))));
    const auto ended = detail::who_has_ended(tool);
    tool.stop(config().timeouts.stop, config().timeouts.linger);
    const auto odd = detail::judge_end(tool, ended, traits_, expected());
    server_.reset();
    if (!odd.empty()) {
        const auto text = odd + " after SIGTERM (undeclared: Traits::exit_statuses)";
        if (strict()) {
            throw Unexpected{"an exit status of 0, 15 or 143, or one that is declared", text};
        }
        note(text, "exit_statuses");
    }
}

/// Whether the tool has ended as one does that serves just one connection.
inline bool PairRun::has_ended_well() {
    constexpr auto moment = std::chrono::milliseconds{50};
    if (!server_ || !server_->wait_for_end(Deadline::after(moment))) {
        return false;
    }
    const auto& processes = server_->processes();
    return std::all_of(processes.begin(), processes.end(), [](const Process& process) {
        return !process.status() || process.status()->code() == 0;
    });
}

/// Gives up a tool that has ended after a connection, and remembers that it is one that does.
inline void PairRun::serves_just_one() {
    const auto ended = detail::who_has_ended(*server_);
    server_->stop(config().timeouts.stop, config().timeouts.linger);
    detail::judge_end(*server_, ended, traits_, expected());
    server_.reset();
    one_shot_ = true;
    judge<bool>("serves_again", "a further connection when the first one has ended",
                traits_.serves_again, false, true);
}

inline void PairRun::begin(const Check& check) {
    check_ = check;
    started_ = Clock::now();
    steps_.clear();
    notes_.clear();
    pattern_ = seed_.derive(check.id);
    discarded_ = false;
    if (server_) {
        server_->limit(config().timeouts.check);
    }
}

/// Does what the check does ahead.
inline void PairRun::prepare() {
    if (check_.prepare != nullptr && is_concurrent()) {
        auto state = check_.prepare(*this);
        prepared_[check_.id] = {.state = std::move(state),
                                .start = starts_,
                                .started = started_,
                                .steps = std::move(steps_),
                                .notes = std::move(notes_)};
    }
}

inline std::shared_ptr<void> PairRun::take_prepared() {
    const auto found = prepared_.find(check_.id);
    if (found != prepared_.end()) {
        auto ahead = std::move(found->second);
        prepared_.erase(found);
        if (server_ && ahead.start == starts_) {
            started_ = ahead.started;
            steps_ = std::move(ahead.steps);
            notes_ = std::move(ahead.notes);
            return ahead.state;
        }
    }
    return check_.prepare(*this);
}

/// After a check: the tool must have survived it.
inline void PairRun::settle() {
    if (!server_) {
        return;
    }
    if (discarded_) {
        server_->stop(Duration::zero(), Duration::zero());
        server_.reset();
        return;
    }
    step("afterwards", "the tool runs on when its connections have ended");
    detail::let_settle(*server_, pair_.proxy_listen.listen(), tool_socket_,
                       config().timeouts.linger);
    if (server_->running()) {
        return;
    }
    if (connections_ == 0 || !has_ended_well()) {
        const auto ended = detail::who_has_ended(*server_);
        server_->stop(config().timeouts.stop, config().timeouts.linger);
        detail::judge_end(*server_, ended, traits_, expected());
    }
    serves_just_one();
}

// --- Connections

inline Connection PairRun::connect() {
    const int before = connections_;
    try {
        return tunnel_.connect(*this);
    } catch (const SetupError&) {
        throw;
    } catch (const Error&) {
        if (before == 0 || !has_ended_well()) {
            throw;
        }
    }
    serves_just_one();
    return tunnel_.connect(*this);
}

inline Socket PairRun::connect_client() {
    return tunnel_.connect_client(*this);
}

inline std::optional<Endpoint> PairRun::handshake(Socket& client) {
    step("handshake", "the tool does its part of the handshake", Party::client);
    return tunnel_.handshake(client, pair_.svc_listen);
}

inline Socket PairRun::accept(Socket& client) {
    return tunnel_.accept(*this, client);
}

inline void PairRun::require_silence(std::vector<Socket*> sockets, Duration duration) {
    std::vector<pollfd> fds;
    for (const auto* socket : sockets) {
        fds.push_back({.fd = socket->fd(), .events = POLLIN, .revents = 0});
    }
    const Deadline deadline{Clock::now() + duration};
    if (!detail::wait_for(fds, deadline, watch().lock().get(), "silence")) {
        return;
    }
    for (std::size_t i = 0; i < fds.size(); ++i) {
        if (fds[i].revents != 0) {
            std::array<char, 256> bytes{};
            std::string what;
            try {
                const auto count = sockets[i]->read_some(bytes.data(), bytes.size());
                what = count == 0 ? "the end of the stream"
                                  : detail::bytes_around({bytes.data(), count}, 0);
            } catch (const SystemError& error) {
                what = error.what();
            }
            throw Unexpected{expected(), what};
        }
    }
}

inline void PairRun::require_no_stranger() {
    if (const auto stranger = listener().try_accept()) {
        throw Unexpected{
            "the tool connects to the server once for each client",
            fmt::format("a connection from {} that no client has asked for", stranger->peer())};
    }
}

inline void PairRun::demand_end(Socket& reader, std::string_view name) {
    if (traits_.passes_eof.value_or(true)) {
        try {
            tunnel_.expect_read(reader, {}, name);
        } catch (const TimedOut& error) {
            throw Unexpected{fmt::format("{}: the end of the stream", name),
                             fmt::format("{}; a tool that does not pass it on has to declare "
                                         "Traits::passes_eof = false",
                                         error.what())};
        }
        return;
    }
    pollfd entry{.fd = reader.fd(), .events = POLLIN, .revents = 0};
    using namespace std::chrono_literals;
    const bool ended = detail::wait_for({&entry, 1}, Deadline{Clock::now() + wait(1s)},
                                        watch().lock().get(), "the end of the stream");
    if (ended) {
        tunnel_.expect_read(reader, {}, name);
    }
    judge<bool>("passes_eof", "the end of a stream is passed on", traits_.passes_eof, ended, true);
}

inline void PairRun::say(Socket& from, Socket& to, std::string_view name) {
    const auto text = fmt::format("Hello from the {} {}\n", name.substr(0, name.find(' ')),
                                  detail::hex(pattern(said_++).bytes(0, 8)));
    from.write(text);
    tunnel_.expect_read(to, text, name);
}

inline void PairRun::round_trip(Connection& connection) {
    auto& [client, server] = connection;
    step("round trip", "a few bytes go from the client to the server and back", Party::client,
         Party::server);
    say(client, server, up);
    say(server, client, down);
}

inline void PairRun::sentinel() {
    auto connection = connect();
    round_trip(connection);
    step("no further bytes", "there is nothing on the connection that nobody has written",
         Party::tool, Party::client);
    require_silence({&connection.client, &connection.server});
}

inline void PairRun::transfer(std::vector<Stream> streams) {
    test_tunnel::transfer(streams, watch(),
                          {.patience = config().timeouts.io, .soft_end = soft_end()});
}

/// Learnt once.
inline bool PairRun::is_concurrent() {
    using namespace std::chrono_literals;
    if (concurrent_) {
        return *concurrent_;
    }
    auto first = connect();
    std::optional<Connection> second;
    if (detail::may_listen(server(), pair_.proxy_listen.listen())) {
        patience_ = strict() ? 5s : 2s;
        try {
            second = tunnel_.connect(*this);
            round_trip(*second);
        } catch (const SetupError&) {
            throw;
        } catch (const Error&) {
            second.reset();
        }
        patience_.reset();
    }
    round_trip(first);
    concurrent_ = second.has_value();
    if (!second) {
        // What the second client has left behind would meet the next one.
        server_->stop(config().timeouts.stop, config().timeouts.linger);
        server_.reset();
    }
    return *concurrent_;
}

inline void PairRun::need_concurrency() {
    const bool concurrent = is_concurrent();
    if (!is_concurrency_judged_) {
        is_concurrency_judged_ = true;
        judge<bool>("concurrent", "a second connection while one is open", traits_.concurrent,
                    concurrent, true);
    }
    if (!concurrent) {
        throw NotApplicable{"it serves one connection at a time (Traits::concurrent)"};
    }
}

// --- The account

inline void PairRun::step(std::string name, std::string expected, Party from, Party to) {
    config().log->debug(
        fmt::format("{} {} / {}: {}: {}", tunnel_.slug(), pair_.name(), check_.id, name, expected));
    steps_.push_back({std::move(name), std::move(expected), from, to, Clock::now() - started_});
}

inline void PairRun::note(std::string text, std::string_view trait) {
    if (noted_.insert(text).second) {
        notes_.push_back({std::string{trait}, std::move(text)});
    }
}

} // namespace test_tunnel
