#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include "../check.hpp"
#include "../detail/kernel_tables.hpp"
#include "../detail/stragglers.hpp"
#include "../pair_run.hpp"

namespace test_tunnel::check {

/// What the processes of a tool have open, as far as this user may know.
struct Holdings {
    std::size_t descriptors = 0;
    std::size_t threads = 0;
    std::size_t zombies = 0;

    [[nodiscard]] std::string text() const {
        return fmt::format("{} descriptors, {} threads, {} zombies", descriptors, threads, zombies);
    }

    /// Whether each is at most `slack` above that of `before`.
    [[nodiscard]] bool is_near(const Holdings& before, std::size_t slack) const {
        return descriptors <= before.descriptors + slack && threads <= before.threads + slack &&
               zombies <= before.zombies + slack;
    }
};

#if TEST_TUNNEL_LINUX

/// "Z" for one that has ended and was not waited for by its parent; empty where there is none.
inline std::string state_of(pid_t pid) {
    const auto status = detail::read_proc(fmt::format("/proc/{}/stat", pid)).value_or("");
    const auto name_end = status.rfind(')');
    return name_end == std::string::npos ? "" : status.substr(name_end + 2, 1);
}

/// Of all its processes, children's children too.
inline Holdings holdings_of(const Server& server) {
    Holdings result;
    for (const pid_t pid : detail::numbers_in("/proc")) {
        for (const auto& process : server.processes()) {
            if (pid != process.pid() && !detail::stems_from(pid, process.pid(), process.mark())) {
                continue;
            }
            if (state_of(pid) == "Z") {
                ++result.zombies;
            } else {
                result.descriptors += detail::numbers_in(fmt::format("/proc/{}/fd", pid)).size();
                result.threads += detail::numbers_in(fmt::format("/proc/{}/task", pid)).size();
            }
            break;
        }
    }
    return result;
}

/// Waits until the tool has no more than it had `before`, or `longest` is over.
inline Holdings settled_holdings(PairRun& run, const Holdings& before, std::size_t slack,
                                 Duration longest) {
    constexpr auto pause = std::chrono::milliseconds{20};
    const auto deadline = Deadline::after(longest);
    auto now = holdings_of(run.server());
    while (!now.is_near(before, slack) && !deadline.passed()) {
        detail::wait_for({}, Deadline{Clock::now() + pause}, run.watch().lock().get(),
                         "the tool to release what its connections needed");
        now = holdings_of(run.server());
    }
    return now;
}

#endif

/// One connection after the other, closed by the client and the server in turn. What a tool does
/// not give back, a slot, a descriptor, a thread, runs out sooner or later.
inline void reuse(PairRun& run) {
    using namespace std::chrono_literals;
    const int count = run.strict() ? 1000 : 100;
    constexpr int least = 10;
    [[maybe_unused]] constexpr int warm_up = 20;
    // The data of a slow tool takes its time; all that counts are the connections.
    const auto enough = run.strict() ? Deadline::after(run.config().timeouts.check / 2)
                                     : Deadline{Clock::now() + 5s};
    [[maybe_unused]] std::optional<Holdings> before;
    int made = 0;
    while (made < count && (made < least || !enough.passed())) {
        const int earlier = run.connections();
        auto connection = run.connect();
        if (made > 0 && run.connections() <= earlier) {
            run.round_trip(connection);
            connection.client.close();
            run.demand_end(connection.server, run.up);
            connection.server.close();
            run.settle();
            throw NotApplicable{"it serves just one connection (Traits::serves_again)"};
        }
        ++made;
        auto& [client, server] = connection;
        run.step("round trip",
                 fmt::format("the tool carries connection {} of {} in a row", made, count),
                 Party::client, Party::server);
        run.say(client, server, run.up);
        run.say(server, client, run.down);
        const bool client_closes = made % 2 == 1;
        auto& first = client_closes ? client : server;
        auto& second = client_closes ? server : client;
        first.close();
        run.demand_end(second, client_closes ? run.up : run.down);
        second.close();
#if TEST_TUNNEL_LINUX
        if (run.strict() && made == warm_up) {
            before = settled_holdings(run, Holdings{}, 0, 500ms);
        }
#endif
    }
    run.require_no_stranger();
#if TEST_TUNNEL_LINUX
    if (before && made > warm_up) {
        // Some grow once, and are done with it.
        const auto slack = std::max<std::size_t>(5, static_cast<std::size_t>(made) / 20);
        run.step("baseline",
                 fmt::format("after {} connections the tool has no more open than after "
                             "{}: {}",
                             made, warm_up, before->text()));
        const auto after = settled_holdings(run, *before, slack, 5s);
        if (!after.is_near(*before, slack)) {
            throw Unexpected{run.expected(), after.text()};
        }
    }
#endif
}

} // namespace test_tunnel::check
