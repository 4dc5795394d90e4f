#pragma once

// Datagrams that are sent one behind the other, without waiting, by one client or by many.

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/net/datagram_socket.hpp"
#include "test_tunnel/run/flow.hpp"
#include "test_tunnel/run/flow_run.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Says what has come in place of what was said: a part of it, more than it, or something else.
inline std::string odd_datagram(const std::vector<std::string>& said, const Datagram& came) {
    const std::string_view data{came.data};
    std::string what;
    if (data.empty()) {
        what = "that nobody has sent";
    }
    for (const auto& one : said) {
        if (!what.empty() || one.empty()) {
            continue;
        }
        if (data.size() < one.size() && one.starts_with(data)) {
            what = fmt::format("the first {} bytes of one of {}", data.size(), one.size());
        } else if (data.size() < one.size() && one.find(data) != std::string::npos) {
            what = fmt::format("{} bytes out of one of {}", data.size(), one.size());
        } else if (data.size() > one.size() && data.starts_with(one)) {
            what = fmt::format("one of {} bytes, and {} bytes behind it", one.size(),
                               data.size() - one.size());
        }
    }
    return fmt::format("a datagram from {}{}{}: {}", came.from, what.empty() ? "" : ", ", what,
                       bytes_around(data, 0));
}

/// Datagrams of one or many flows, each of which has to arrive as it was, once, and where it
/// belongs. What does not come is sent again, once.
class Burst {
public:
    /// `speaker` is the client or the server.
    Burst(PairRun& run, Party speaker) : run_{run}, speaker_{speaker} {}

    /// Adds a datagram: no two may be alike, and an empty one can't be told from another. For the
    /// server's, `to` is from where the datagram has come that it answers; by default from where
    /// the last one of the flow has.
    void add(Flow& flow, std::string payload, std::optional<Endpoint> to = std::nullopt) {
        numbers_.emplace(payload, items_.size());
        said_.push_back(payload);
        items_.push_back(
            {.flow = &flow, .payload = std::move(payload), .to = to ? to : flow.source});
    }

    /// Sends all of them, and waits until each has arrived. Throws Unexpected where something else
    /// comes, or one comes twice or to somebody else; TimedOut where one does not come at all.
    void carry() {
        send_missing();
        auto first = run_.begin_wait(run_.patience_for(1));
        if (collect(first, Copies::one)) {
            run_.remember_delay(first.waited());
        } else {
            send_missing();
            auto second = run_.begin_wait(run_.patience_for(2));
            if (!collect(second, Copies::one)) {
                throw TimedOut{fmt::format(
                    "{} of {} datagrams did not arrive, though they were sent twice and the tool "
                    "had nothing else to do; the first one has {} bytes",
                    missing(Copies::one), items_.size(), first_missing().payload.size())};
            }
            const auto delay = first.waited() + second.waited();
            // Of those whose other copy comes, too, none was lost.
            auto copies = run_.begin_wait(run_.patience_for_copy(delay));
            if (collect(copies, Copies::each)) {
                run_.remember_delay(delay);
                run_.note_delay();
            } else {
                const auto lost = missing(Copies::each);
                run_.note(
                    fmt::format("of {} datagrams from the {} that were sent at once, {} had to "
                                "be sent again",
                                items_.size(), text_of(speaker_), lost));
                run_.count_losses(lost);
            }
        }
        if (is_out_of_order_) {
            run_.note("datagrams that are sent at once may arrive in another order");
        }
    }

    /// Returns from where the datagram came that was added as number `index`, of the client's.
    [[nodiscard]] const Endpoint& source(std::size_t index) const {
        return items_.at(index).from.value();
    }
    [[nodiscard]] std::size_t size() const { return items_.size(); }

private:
    struct Item {
        Flow* flow;
        std::string payload;
        std::optional<Endpoint> to;
        std::optional<Endpoint> from{};
        int sent = 0;
        int came = 0;
    };

    /// How many copies are wanted of what was sent twice.
    enum class Copies { one, each };

    [[nodiscard]] std::size_t missing(Copies copies) const {
        return static_cast<std::size_t>(std::count_if(
            items_.begin(), items_.end(),
            [&](const Item& item) { return item.came < (copies == Copies::one ? 1 : item.sent); }));
    }

    [[nodiscard]] const Item& first_missing() const {
        return *std::find_if(items_.begin(), items_.end(),
                             [](const Item& item) { return item.came == 0; });
    }

    void send_missing() {
        for (auto& item : items_) {
            if (item.came > 0) {
                continue;
            }
            if (item.sent++ > 0) {
                run_.expect_again(item.payload); // it may come late
            }
            if (speaker_ == Party::client) {
                item.flow->send(item.payload);
            } else {
                run_.datagram_server().send(item.payload, item.to.value());
            }
        }
    }

    void take(const Datagram& came, Flow* at) {
        const auto found = numbers_.find(came.data);
        if (found == numbers_.end()) {
            if (run_.has_been_sent_twice(came.data)) {
                return;
            }
            throw Unexpected{run_.expected(), odd_datagram(said_, came)};
        }
        auto& item = items_[found->second];
        if (at != nullptr && item.flow != at) {
            throw Unexpected{run_.expected(),
                             fmt::format("the client at {} got what was for the one at {}: {}",
                                         at->client.local(), item.flow->client.local(),
                                         bytes_around(came.data, 0))};
        }
        if (++item.came > item.sent) {
            throw Unexpected{run_.expected(),
                             fmt::format("a datagram of {} bytes arrived twice", came.data.size())};
        }
        if (item.came == 1 && item.sent == 1) {
            is_out_of_order_ = is_out_of_order_ || found->second < last_;
            last_ = std::max(last_, found->second);
        }
        if (at == nullptr) {
            run_.take_source(*item.flow, came);
            item.from = came.from;
        }
    }

    void look() {
        if (speaker_ == Party::client) {
            while (const auto came = run_.receive_at_server(Deadline::now())) {
                take(*came, nullptr);
            }
            return;
        }
        std::vector<Flow*> flows;
        for (const auto& item : items_) {
            if (flows.empty() || flows.back() != item.flow) {
                flows.push_back(item.flow);
            }
        }
        for (auto* flow : flows) {
            while (const auto came = run_.receive_at_client(*flow, Deadline::now())) {
                take(*came, flow);
            }
        }
    }

    /// Whether all have come, so many times, before the wait is over.
    bool collect(IdleWait& wait, Copies copies) {
        constexpr Duration slice = std::chrono::milliseconds{5};
        while (!wait.is_over()) {
            look();
            if (missing(copies) == 0) {
                return true;
            }
            std::vector<SocketEvent> events;
            if (speaker_ == Party::client) {
                events.push_back(run_.datagram_server().event(POLLIN));
            } else {
                for (const auto& item : items_) {
                    if (item.came < item.sent) {
                        events.push_back(item.flow->client.event(POLLIN));
                    }
                }
            }
            if (!run_.wait_for(events, Deadline::unscaled(slice), "datagrams")) {
                run_.count_silence(wait, slice);
            }
        }
        return false;
    }

    PairRun& run_;
    Party speaker_;
    std::vector<Item> items_;
    std::vector<std::string> said_;
    std::map<std::string, std::size_t> numbers_;
    std::size_t last_ = 0;
    bool is_out_of_order_ = false;
};

/// Has each of `payloads` go from the client to the server and, each as the answer to a short
/// request of its own, back again: a tool that takes one answer for each datagram is served so.
inline void carry_both_ways(PairRun& run, Flow& flow, const std::vector<std::string>& payloads,
                            std::uint64_t number) {
    run.step("up", "each datagram arrives at the server as it was sent, once", Party::client,
             Party::server);
    Burst up{run, Party::client};
    for (const auto& payload : payloads) {
        up.add(flow, payload);
    }
    up.carry();
    run.step("requests", "each request arrives at the server", Party::client, Party::server);
    Burst requests{run, Party::client};
    for (std::size_t i = 0; i < payloads.size(); ++i) {
        requests.add(flow, "request " + hex(run.pattern(number + i).bytes(0, 8)));
    }
    requests.carry();
    run.step("down", "each datagram arrives at the client as it was sent, once", Party::server,
             Party::client);
    Burst down{run, Party::server};
    for (std::size_t i = 0; i < payloads.size(); ++i) {
        down.add(flow, payloads[i], requests.source(i));
    }
    down.carry();
}

} // namespace test_tunnel::check
