#pragma once

// Connections that carry data, or wait, while something is done to the tool.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "test_tunnel/checks/detail/fill.hpp"
#include "test_tunnel/checks/detail/many_connections.hpp"
#include "test_tunnel/net/stream.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Some connections, each with a stream in either direction. One in three is silent, one in three
/// carries a little all the time, and of one in three the readers stop now and then. All streams
/// may break; what arrives must be what was written.
class HeldStreams {
public:
    HeldStreams(PairRun& run, std::vector<Connection> connections, std::uint64_t number)
        : run_{run}, connections_{std::move(connections)} {
        for (std::size_t i = 0; i < connections_.size(); ++i) {
            auto& [client, server] = connections_[i];
            client.set_send_buffer(own_buffer);
            server.set_send_buffer(own_buffer);
            add(client, server, i, PairRun::up, number + 2 * i);
            add(server, client, i, PairRun::down, number + 2 * i + 1);
        }
        more([](Part /*part*/) { return first_bytes; });
        finish();
    }
    HeldStreams(const HeldStreams&) = delete;
    HeldStreams& operator=(const HeldStreams&) = delete;
    ~HeldStreams() = default;

    /// Has much be under way whose readers have stopped, until `go_on`.
    void stop_readers() {
        for (std::size_t i = 0; i < streams_.size(); ++i) {
            streams_[i].reads = part_of(i) != Part::stops;
        }
        more([](Part part) { return part == Part::stops ? much : part == Part::runs ? some : 0; });
        constexpr auto enough = std::chrono::milliseconds{300}; // a slow tool takes less
        fill(run_, streams_, enough);
    }

    /// Carries what is under way, and writes more where the last has arrived.
    void go_on() {
        more([](Part part) { return part == Part::runs ? some : 0; });
        constexpr auto slice = std::chrono::milliseconds{1};
        transfer(streams_, run_.supervisor(), {.patience = slice, .may_stall = true});
    }

    /// Lets those readers go on.
    void start_readers() {
        for (auto& stream : streams_) {
            stream.reads = true;
        }
    }

    /// Has a byte more arrive on each stream, also on those that have been silent, and all that is
    /// under way. A stream that has broken must have ended for its reader. Throws TimedOut where
    /// one does neither.
    void finish() {
        start_readers();
        more([](Part /*part*/) { return std::uint64_t{1}; });
        transfer(streams_, run_.supervisor(), {.patience = run_.config().timeouts.io});
    }

    /// Returns how the first stream that has broken did so; empty where none has.
    [[nodiscard]] std::string broken() const {
        const auto found = std::find_if(streams_.begin(), streams_.end(),
                                        [](const auto& stream) { return !stream.broken.empty(); });
        return found == streams_.end() ? "" : fmt::format("{}: {}", found->name, found->broken);
    }

private:
    enum class Part { is_silent, runs, stops };
    /// What is under way shall be the tool's: one that is given little room by the system takes but
    /// some KiB a second, and would be busy with what waits here.
    static constexpr std::size_t own_buffer = 1U << 14U;
    static constexpr std::uint64_t first_bytes = 100;
    static constexpr std::uint64_t some = 2000;
    static constexpr std::uint64_t much = 64U << 20U; // more than all buffers hold

    void add(Socket& from, Socket& to, std::size_t index, const char* direction,
             std::uint64_t number) {
        streams_.push_back({.from = from,
                            .to = to,
                            .name = numbered(index, direction),
                            .pattern = run_.pattern(number),
                            .may_break = true,
                            .end_is_optional = true});
    }

    /// By the connection's number: both of its directions are alike.
    [[nodiscard]] static Part part_of(std::size_t stream) {
        constexpr std::size_t directions = 2;
        constexpr std::size_t parts = 3;
        return static_cast<Part>(stream / directions % parts);
    }

    /// Adds to what there is to be written, where all that was has arrived.
    template <typename Amount>
    void more(Amount amount) {
        for (std::size_t i = 0; i < streams_.size(); ++i) {
            auto& stream = streams_[i];
            if (stream.read == stream.size) {
                stream.size += amount(part_of(i));
            }
        }
    }

    PairRun& run_;
    std::vector<Connection> connections_;
    std::vector<Stream> streams_;
};

} // namespace test_tunnel::check
