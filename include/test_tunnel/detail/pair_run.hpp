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
      speaks_first_{traits_.speaks_first},
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
    judge_end(ended);
    server_.reset();
}

inline void PairRun::judge_end(const std::vector<bool>& ended_before) {
    const auto odd = detail::judge_end(server(), ended_before, traits_, expected());
    const auto& declared = traits_.exit_statuses;
    if (odd.empty()) {
        return;
    }
    if (!declared.empty()) {
        throw Unexpected{fmt::format("an exit status that is declared (Traits::exit_statuses): {}",
                                     detail::joined(declared, ", ")),
                         odd + " after SIGTERM"};
    }
    const auto text = odd + " after SIGTERM (undeclared: Traits::exit_statuses)";
    if (strict()) {
        throw Unexpected{"an exit status of 0, 15 or 143 after SIGTERM", text};
    }
    note(text, "exit_statuses");
}

/// Ends the tool, in whatever state it is; only what no tool may do is judged.
inline void PairRun::drop() {
    const auto& processes = server_->processes();
    std::string fault;
    server_->wait_for_end(Deadline{Clock::now()}); // looks
    for (const auto& process : processes) {
        const auto& status = process.status();
        if (status && status->signal() && *status->signal() != SIGTERM) {
            fault = fmt::format("{} {}", process.name(), status->text());
        }
    }
    server_->stop(Duration::zero(), Duration::zero());
    for (const auto& process : processes) {
        fault = process.alarm().empty() ? fault : process.alarm();
    }
    if (!fault.empty()) {
        throw Unexpected{"the tool runs without a crash, and without an error of its memory",
                         fault};
    }
    server_.reset();
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

/// Gives up a tool that has ended after its only connection.
inline void PairRun::serves_just_one() {
    const auto ended = detail::who_has_ended(*server_);
    server_->stop(config().timeouts.stop, config().timeouts.linger);
    judge_end(ended);
    if (connections_ != 1) {
        throw Unexpected{
            "the tool runs on when its connections have ended",
            fmt::format("it ended by itself, with status 0, after {} connections", connections_)};
    }
    judge<bool>("serves_again", "a further connection when the first one has ended",
                traits_.serves_again, false, true);
    server_.reset();
}

inline void PairRun::begin(const Check& check) {
    check_ = check;
    started_ = Clock::now();
    steps_.clear();
    notes_.clear();
    pattern_ = seed_.derive(check.id);
    discarded_ = false;
    patience_.reset();
    if (server_) {
        server_->limit(config().timeouts.check);
    }
}

/// Does what the check does ahead.
inline void PairRun::prepare() {
    // One that ends silent connections would have ended them by the time that they are looked at.
    if (check_.prepare != nullptr && !never_ahead_ && !traits_.idle_timeout && is_concurrent()) {
        auto state = check_.prepare(*this);
        prepared_[check_.id] = {.state = std::move(state),
                                .start = starts_,
                                .started = started_,
                                .steps = std::move(steps_),
                                .notes = std::move(notes_)};
    }
}

/// Gives up what was done ahead, since it is in the way of a tool that serves only some connections
/// at once; whether there was anything.
inline bool PairRun::drop_prepared() {
    never_ahead_ = true;
    return !std::exchange(prepared_, {}).empty();
}

inline std::shared_ptr<void> PairRun::take_prepared() {
    const auto found = prepared_.find(check_.id);
    if (found != prepared_.end()) {
        auto ahead = std::move(found->second);
        prepared_.erase(found);
        // On a machine that is so slow a tool may have taken it for dead.
        constexpr auto stale = std::chrono::seconds{4};
        if (server_ && ahead.start == starts_ && Clock::now() - ahead.started < stale) {
            started_ = ahead.started;
            steps_ = std::move(ahead.steps);
            notes_ = std::move(ahead.notes);
            return ahead.state;
        }
        for (const auto& lost : ahead.notes) {
            noted_.erase(lost.text);
        }
    }
    if (check_.prepare == nullptr) {
        throw InvalidConfig{fmt::format("the check {} prepares nothing", check_.id)};
    }
    return check_.prepare(*this);
}

/// After a check: the tool must have survived it.
inline void PairRun::settle() {
    if (!server_) {
        return;
    }
    if (discarded_) {
        drop();
        return;
    }
    step("afterwards", "the tool runs on when its connections have ended");
    detail::let_settle(*server_, pair_.proxy_listen.listen(), tool_socket_,
                       config().timeouts.linger);
    if (server_->running()) {
        return;
    }
    serves_just_one();
}

// --- Connections

inline Connection PairRun::connect() {
    const int before = connections_;
    try {
        auto connection = tunnel_.connect(*this);
        if (before > 0 && traits_.serves_again == false) {
            judge<bool>("serves_again", "a further connection when the first one has ended",
                        traits_.serves_again, true, true);
        }
        return connection;
    } catch (const SetupError&) {
        throw;
    } catch (const std::exception&) { // whatever a hook makes of it
        if (before != 1 || !has_ended_well()) {
            throw;
        }
    }
    connections_ = before;
    serves_just_one();
    return tunnel_.connect(*this);
}

inline std::optional<Connection> PairRun::connect_within(Duration patience) {
    const auto deadline = Deadline::after(patience);
    patience_ = patience;
    std::optional<Connection> result;
    try {
        result = tunnel_.connect(*this);
    } catch (const SetupError&) {
        throw;
    } catch (const std::exception&) { // whatever a hook makes of it
        patience_.reset();
        if (!deadline.passed()) {
            throw;
        }
        discard();
    }
    patience_.reset();
    return result;
}

inline void PairRun::serves_at_most(std::size_t count) {
    most_at_once_ = count;
    note(fmt::format("it serves {} connections at once, and has others wait", count), "concurrent");
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
    fds.reserve(sockets.size());
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
        } catch (const SetupError&) {
            throw;
        } catch (const std::exception&) {
            second.reset();
        }
        concurrent_ = second && carries(*second, std::exchange(patience_, std::nullopt).value());
        patience_.reset();
    } else {
        concurrent_ = false;
    }
    round_trip(first);
    if (!*concurrent_) {
        // What the second client has left behind would meet the next one. Not judged: how the tool
        // ends is for other checks to say.
        drop();
    }
    return *concurrent_;
}

/// Whether anything that the client writes arrives within `patience`: then all of it must.
inline bool PairRun::carries(Connection& connection, Duration patience) {
    auto& [client, server] = connection;
    const auto text = pattern(said_++).bytes(0, 16);
    client.write(text);
    pollfd entry{.fd = server.fd(), .events = POLLIN, .revents = 0};
    if (!detail::wait_for({&entry, 1}, Deadline::after(patience), watch().lock().get(), "data")) {
        return false;
    }
    tunnel_.expect_read(server, text, up);
    round_trip(connection);
    return true;
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
