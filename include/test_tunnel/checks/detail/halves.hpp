#pragma once

// A tool that comes in halves, of which one dies, or does nothing for a while.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/word_arrivals.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/kernel/processes.hpp"
#include "test_tunnel/kernel/tcp_sockets.hpp"
#include "test_tunnel/net/expect.hpp"
#include "test_tunnel/process/detail/listeners.hpp"
#include "test_tunnel/process/detail/settle.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has a process of the tool do nothing as long as this object lives.
class Suspension {
public:
    Suspension(Server& tool, std::size_t place) : tool_{tool}, place_{place} {
        tool_.suspend(place_);
    }
    Suspension(const Suspension&) = delete;
    Suspension& operator=(const Suspension&) = delete;
    ~Suspension() { tool_.resume(place_); }

private:
    Server& tool_;
    std::size_t place_;
};

/// Waits for these bytes; false: the connection ends instead. Throws where others come.
[[nodiscard]] inline bool arrives(Socket& reader, std::string_view data, std::string_view tag) {
    try {
        expect_read(reader, data, tag);
        return true;
    } catch (const SystemError& error) {
        if (error.code() != ECONNRESET && error.code() != EPIPE) {
            throw;
        }
    } catch (const Unexpected&) {
        if (reader.pending() > 0) {
            throw;
        }
    }
    return false;
}

/// The processes of a tool. One that ends by itself since another has died is started again, as
/// whoever runs such a tool does; it must not crash.
class Halves {
public:
    explicit Halves(PairRun& run)
        : run_{run},
          arrivals_{run},
          patience_{run.traits().comes_back_within.value_or(*trait::comes_back_within.rule)} {}

    /// "stunnel (process 1 of 2)"
    [[nodiscard]] std::string name_of(std::size_t place) const {
        const auto& processes = run_.tool().processes();
        return fmt::format("{} (process {} of {})", processes.at(place).name(), place + 1,
                           processes.size());
    }

    /// Whose connections a half has. Where the system can't tell: both sides'.
    struct Sides {
        bool has_client = true;
        bool has_server = true;
    };

    [[nodiscard]] Sides sides_of(std::size_t place, const Connection& connection) const {
        const auto pids = descendants_of(run_.tool().processes().at(place).pid());
        const auto own = detail::inodes_of(pids);
        const auto has = [&](const Socket& other_end) {
            const auto socket = tcp_connection(other_end.peer(), other_end.local());
            return !socket || detail::contains(own, socket->inode);
        };
        return {has(connection.client), has(connection.server)};
    }

    void restart(std::size_t place) {
        begin();
        run_.tool().restart(place);
    }

    /// From now on the tool has its time to come back.
    void begin() {
        since_ = Clock::now();
        used_ = Duration::zero();
        last_look_ = since_;
    }

    /// Demands that this side learns, in time, that the half at `place` has died, and judges how.
    void judge_ending(Socket& socket, Party side, std::size_t place) {
        const auto direction = side == Party::client ? Direction::down : Direction::up;
        run_.step(StepKind::end_of_stream,
                  fmt::format("the {} learns that {} has died, by a reset", text_of(side),
                              name_of(place)),
                  Party::tool, side);
        const auto expected = run_.expected();
        std::optional<Ending> ending;
        while (!ending) {
            const bool is_over = !has_time();
            look_after([&] { ending = await_ending(run_, socket, Deadline::unscaled(look)); });
            if (!ending && is_over) {
                throw Unexpected{expected, in_vain("nothing came"), Cause::timed_out};
            }
        }
        look_after([&] { // of its end, a connection tells before its status does
            constexpr Duration moment = std::chrono::milliseconds{20};
            run_.pause(moment, "the end of a half");
        });
        run_.judge(trait::half_death, direction,
                   *ending == Ending::reset ? ResetShows::as_reset : ResetShows::as_end);
    }

    /// How long the tool may take until it works again.
    [[nodiscard]] Duration patience() const { return scaled(patience_); }

    /// Demands that a new client is served in time, `when` something has been done; and notes after
    /// which time one was, where that was no less than `least`.
    void demand_service(const std::string& when, Duration least = Duration::zero()) {
        const auto expected =
            fmt::format("a client is served within {} when {}", text_of(scaled(patience_)), when);
        run_.step("service", expected, Party::client, Party::server);
        const auto steps = run_.steps();
        for (;;) {
            run_.forget_steps(steps);
            const bool is_over = !has_time();
            bool is_served = false;
            look_after([&] { is_served = serves(); });
            if (is_served) {
                break;
            }
            if (is_over) {
                throw Unexpected{expected, in_vain(why_not_), Cause::timed_out};
            }
            look_after([&] { run_.pause(look, "the tool to serve again"); });
        }
        if (const auto taken = Clock::now() - since_; taken >= least) {
            run_.note(fmt::format("when {}, clients are served {} later", when, text_of(taken)),
                      trait::comes_back_within.name);
        }
    }

private:
    static constexpr Duration look = std::chrono::milliseconds{50};

    /// Whether there is time left. What the tool needs to compute, or gets no processor for, when
    /// it is started anew, is not counted.
    bool has_time() {
        const auto now = Clock::now();
        const auto& processes = run_.tool().processes();
        const bool has_ended =
            std::any_of(processes.begin(), processes.end(),
                        [](const Process& process) { return process.status().has_value(); });
        if (has_ended || detail::is_idle(run_.tool())) {
            used_ += now - last_look_;
        }
        last_look_ = now;
        constexpr int most = 4; // of one that never rests
        return used_ < scaled(patience_) && now - since_ < most * scaled(patience_);
    }

    [[nodiscard]] std::string in_vain(const std::string& what) const {
        return fmt::format("{} after {}; a tool that takes longer has to declare {}", what,
                           text_of(Clock::now() - since_),
                           run_.wording(trait::comes_back_within.name));
    }

    /// Calls `act`. Where a process of the tool has ended by itself, it is started again.
    template <typename Act>
    void look_after(Act act) {
        try {
            act();
        } catch (const ToolEnded& error) {
            why_not_ = error.what();
            require_no_crash(run_, "no half of the tool crashes when another one has died");
            revive();
        }
    }

    void revive() {
        auto& tool = run_.tool();
        for (std::size_t place = 0; place < tool.processes().size(); ++place) {
            const auto& process = tool.processes()[place];
            if (!process.status()) {
                continue;
            }
            run_.note(fmt::format("{} ends, with status {}, when the other one has died",
                                  name_of(place), process.status()->code().value_or(0)));
            // As whoever starts it again waits for a moment, where it ends again and again.
            constexpr Duration moment = std::chrono::milliseconds{200};
            if (process.run_time() < moment) {
                pause(moment, nullptr, "the next start");
            }
            tool.restart(place);
        }
    }

    /// Whether a client is served, in a moment.
    bool serves() {
        constexpr Duration moment = std::chrono::seconds{2};
        const auto patience = run_.time_to_connect(moment);
        try {
            auto client = run_.connect_client();
            client.set_timeout(patience);
            run_.handshake(client);
            constexpr std::size_t word_size = 16;
            const auto word = run_.pattern(1000 + ++asked_).bytes(0, word_size);
            client.write(word);
            auto found =
                arrivals_.find({&run_.listener()}, client, word, Deadline::after(patience));
            if (!found) {
                why_not_ = arrivals_.reason();
                return false;
            }
            client.set_timeout(run_.config().timeouts.io);
            run_.say(found->socket, client, Party::server);
            return true;
        } catch (const SetupError&) {
            throw;
        } catch (const ToolEnded&) {
            throw;
        } catch (const SystemError& error) {
            if (detail::is_own_fault(error.code())) {
                throw;
            }
            why_not_ = error.what();
        } catch (const std::exception& error) { // whatever a hook makes of it
            why_not_ = error.what();
        }
        return false;
    }

    PairRun& run_;
    WordArrivals arrivals_;
    Duration patience_;
    Clock::time_point since_ = Clock::now();
    Clock::time_point last_look_ = since_;
    Duration used_ = Duration::zero();
    std::string why_not_;
    std::uint64_t asked_ = 0;
};

} // namespace test_tunnel::check
