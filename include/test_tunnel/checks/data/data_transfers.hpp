#pragma once

#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/many_connections.hpp"
#include "test_tunnel/checks/detail/socket_options.hpp"
#include "test_tunnel/net/stream.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// What differs from one transfer to the next.
class Transfers {
public:
    explicit Transfers(const Pattern& pattern) {
        std::array<std::uint32_t, 2> seed{};
        pattern.fill(0, {reinterpret_cast<char*>(seed.data()), // NOLINT(*-reinterpret-cast)
                         sizeof seed});
        std::seed_seq words(seed.begin(), seed.end());
        random_.seed(words);
    }

    /// 1 byte to 100 KiB, as many of each order of magnitude; or close to what many buffers have.
    [[nodiscard]] std::uint64_t size() {
        constexpr std::array<std::uint64_t, 6> usual{1460, 4096, 8192, 16384, 32768, 65536};
        constexpr double most = 100 << 10;
        if (one_in(4)) {
            return usual.at(random_() % usual.size()) + random_() % 3 - 1;
        }
        constexpr double all = 0x1p32;
        return std::uint64_t(std::pow(most, double(random_()) / all));
    }

    /// In which pieces it is written.
    [[nodiscard]] std::span<const std::size_t> pieces() {
        static constexpr std::array<std::size_t, 3> segments{1460, 1460, 536};
        static constexpr std::array<std::size_t, 4> changing{3, 5000, 17, 12000};
        switch (random_() % 4) {
            case 0:
                return odd_pieces;
            case 1:
                return segments;
            case 2:
                return changing;
            default:
                return large_pieces;
        }
    }

    [[nodiscard]] bool one_in(std::uint32_t count) { return random_() % count == 0; }

private:
    std::mt19937 random_;
};

/// Has each stream carry one more transfer; one reader in four stops until nothing moves any more.
/// Returns how many transfers that was.
inline std::size_t carry_turn(PairRun& run, std::vector<Stream>& streams, Transfers& transfers) {
    using namespace std::chrono_literals;
    bool any_stops = false;
    for (auto& stream : streams) {
        stream.size += transfers.size();
        stream.pieces = transfers.pieces();
        stream.next_piece = stream.piece_done = 0;
        stream.reads = !transfers.one_in(4);
        any_stops = any_stops || !stream.reads;
    }
    if (any_stops) {
        transfer(streams, run.supervisor(), {.patience = 2ms, .may_stall = true});
        for (auto& stream : streams) {
            stream.reads = true;
        }
    }
    transfer(streams, run.supervisor(), {.patience = run.config().timeouts.io});
    return streams.size();
}

/// Carries many transfers in many connections, four at once where the tool can: a fault that shows
/// in few of them only is found by their number. What befalls one connection in 200 is found in
/// 1,000 with a probability of 1 - (199/200)^1000, which is 99.3 %, and what befalls one of 200
/// transfers, of which there are more than three in a connection, practically always.
inline void carry_many(PairRun& run) {
    using namespace std::chrono_literals;
    constexpr std::size_t wanted = 1000;
    constexpr std::size_t at_once = 4;
    constexpr int most_turns = 3;
    if (serves_once(run)) {
        throw NotApplicable{serves_just_one(run)};
    }
    const auto enough = Deadline::unscaled(15s);
    auto width = run.is_concurrent() ? std::min(run.most_at_once().value_or(at_once), at_once) : 1;
    Transfers transfers{run.pattern()};
    std::size_t made = 0;
    std::size_t carried = 0;
    std::uint64_t number = 0;
    const auto steps = run.steps();
    while (made < wanted && !enough.passed()) {
        run.forget_steps(steps);
        auto connections = connect_many(run, width, 1);
        width = connections.size();
        run.step("transfers", "each transfer arrives as it was written, however it was cut up",
                 Party::client, Party::server);
        std::vector<Stream> streams;
        for (std::size_t i = 0; i < connections.size(); ++i) {
            auto& [client, server] = connections[i];
            limit_receive_buffer(transfers.one_in(2) ? client : server);
            streams.push_back({.from = client,
                               .to = server,
                               .name = numbered(made + i, run.up),
                               .pattern = run.pattern(++number)});
            streams.push_back({.from = server,
                               .to = client,
                               .name = numbered(made + i, run.down),
                               .pattern = run.pattern(++number)});
        }
        for (int turn = 0; turn < most_turns && (turn == 0 || transfers.one_in(2)); ++turn) {
            carried += carry_turn(run, streams, transfers);
        }
        for (auto& [client, server] : connections) {
            run.require_silence({&client, &server});
            client.close();
            if (run.expects_end(Direction::up)) { // the tool has room for others then
                run.wait_for(server.event(POLLIN), Deadline::after(1s), "the end of the stream");
            }
        }
        made += connections.size();
    }
    if (made < wanted) {
        run.note(fmt::format("{} transfers in {} connections took 15 s: {} were to be made",
                             carried, made, wanted));
    }
}

inline constexpr Check data_transfers{
    .id = "data.transfers",
    .title =
        "some 3,500 transfers of 1 byte to 100 KiB, with readers that pause, arrive as they "
        "were written",
    .level = Level::strict,
    .trait = trait::serves_again.name,
    .presumes = {"data.bulk.up", "data.duplex"},
    .run = carry_many};

} // namespace test_tunnel::check
