#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/checks/detail/proxy_trials.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/kernel/tcp_sockets.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Sends headers in pieces, each when the tool has read the one before.
class CutHeader {
public:
    explicit CutHeader(PairRun& run) : run_{run} {}

    /// Sends `header`, cut behind as many bytes as each of `cuts` says.
    void send(Socket& socket, std::string_view header, const std::vector<std::size_t>& cuts) {
        std::size_t sent = 0;
        for (const auto cut : cuts) {
            socket.write(header.substr(sent, cut - sent));
            sent = cut;
            await_reading(socket);
        }
        socket.write(header.substr(sent));
    }

private:
    /// Waits until the tool has read what was sent. One that only looks at what has come (MSG_PEEK)
    /// until it is enough is waited for in vain once, and then given some time for each piece.
    void await_reading(const Socket& socket) {
        using namespace std::chrono_literals;
        if (!is_reading_) {
            run_.pause(5ms, "the tool to look at what has come");
            return;
        }
        const auto deadline = Deadline::after(1s);
        while (is_reading_ && unread_bytes(socket.peer(), socket.local()).value_or(0) > 0) {
            is_reading_ = !deadline.passed();
            run_.pause(100us, "the tool to read");
        }
    }

    PairRun& run_;
    bool is_reading_ = true;
};

/// Cuts a header behind every byte, and at each place in two. Nobody is served where the tool wants
/// headers in one segment, which is then judged: it has refused the client.
inline bool takes_cut_header(PairRun& run, HeaderTrials& trials, CutHeader& cut,
                             ProxyVersion version) {
    auto trial = usual_header(run, version);
    const auto size = trial.header.size();
    std::vector<std::size_t> every(size - 1);
    std::iota(every.begin(), every.end(), std::size_t{1});
    std::vector<std::vector<std::size_t>> places{every};
    for (const auto at : every) {
        places.push_back({at});
    }
    const auto usual_what = trial.what;
    for (const auto& each : places) {
        const auto steps = run.steps();
        trial.what = fmt::format(
            "{}, cut behind {}", usual_what,
            each.size() == 1 ? fmt::format("byte {} of {}", each.front(), size) : "every byte");
        auto outcome = trials.outcome_of(
            trial, HeaderTrials::served, run.config().timeouts.io,
            [&](Socket& socket, std::string_view header) { cut.send(socket, header, each); });
        if (outcome.fate == Fate::refused) {
            const auto expected = run.expected();
            try {
                run.judge(trait::header_in_one_segment, true);
            } catch (const Unexpected& error) {
                throw Unexpected{expected, fmt::format("{}\n{}", error.actual(), outcome.text)};
            }
            return false;
        }
        trials.finish(trial, std::move(outcome));
        run.forget_steps(steps);
    }
    return true;
}

/// Cuts headers of the versions that the tool takes: TCP keeps no boundaries, and tools should take
/// headers in pieces (§2).
inline void cut_header(PairRun& run) {
    HeaderTrials trials{run};
    CutHeader cut{run};
    bool takes_all = true;
    for (const auto version : versions_taken(run, trials)) {
        takes_all = takes_cut_header(run, trials, cut, version) && takes_all;
    }
    if (takes_all) {
        run.judge(trait::header_in_one_segment, false);
    }
    run.sentinel();
}

inline constexpr Check proxy_cut{
    .id = "proxy.cut",
    .title = "a PROXY header that arrives byte by byte, or in two pieces, is taken",
    .level = Level::strict,
    .trait = trait::header_in_one_segment.name,
    .run = cut_header};

} // namespace test_tunnel::check
