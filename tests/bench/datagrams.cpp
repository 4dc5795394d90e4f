// What making and comparing datagrams costs: a flow through socat with 32 of them under way, and
// one at a pace, as the checks carry it, and as plain calls that look at nothing, in turn.
//
//   bench_datagrams [rounds]        default: 11

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <test_tunnel/discovery/pairs.hpp>
#include <test_tunnel/net/datagram_socket.hpp>
#include <test_tunnel/private_network/private_network.hpp>
#include <test_tunnel/run/check.hpp>
#include <test_tunnel/run/pair_run.hpp>
#include <test_tunnel/run/tunnel.hpp>
#include <vector>

#include "bench.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t count = 20'000;
constexpr std::size_t size = 1200;
constexpr auto longest_pause = 500ms; // after which what is under way is lost

std::size_t rounds = 11;

struct Figures {
    std::vector<double> rates; // datagrams a second
    std::size_t lost = 0;
};
Figures verified;
Figures plain;
Figures verified_at_a_pace;
Figures plain_at_a_pace;

/// How a flow is carried: at most `window` are under way, and one is sent every `interval`.
struct Pace {
    std::size_t window;
    Duration interval;
};
constexpr Pace as_fast_as_it_goes{.window = 32, .interval = Duration::zero()};
constexpr Pace ten_thousand_a_second{.window = 256, .interval = 100us};

/// Carries `count` datagrams: `send(number)`, and `receive(wait)`, which returns whether one came.
template <typename Send, typename Receive>
void carry(Pace pace, Figures& figures, Send send, Receive receive) {
    const auto started = Clock::now();
    std::size_t sent = 0;
    std::size_t received = 0;
    std::size_t lost = 0;
    while (received + lost < count) {
        const auto now = Clock::now();
        const auto next = started + sent * pace.interval;
        if (sent < count && sent - received - lost < pace.window && now >= next) {
            send(sent++);
            continue;
        }
        const bool may_send = sent < count && sent - received - lost < pace.window;
        if (receive(may_send ? std::max<Duration>(next - now, 0ns) : Duration{longest_pause})) {
            ++received;
        } else if (!may_send) {
            lost = sent - received;
        }
    }
    figures.rates.push_back(static_cast<double>(received) * 1e3 /
                            bench::milliseconds(Clock::now() - started));
    figures.lost += lost;
}

void carry_verified(PairRun& run, Flow& flow, Pace pace, Figures& figures) {
    auto& server = run.datagram_server();
    std::size_t next = 0;
    const auto payload = [&](std::size_t number) { return run.pattern(number).bytes(0, size); };
    carry(
        pace, figures, [&](std::size_t number) { flow.client.send(payload(number), flow.relay); },
        [&](Duration wait) {
            const auto datagram = server.receive(Deadline::unscaled(wait));
            if (datagram && datagram->data != payload(next++)) {
                throw Unexpected{"each datagram, in order", fmt::format("another one, {}", next)};
            }
            return datagram.has_value();
        });
}

void carry_plain(PairRun& run, Flow& flow, Pace pace, Figures& figures) {
    flow.client.connect(flow.relay);
    const std::string data(size, 'x');
    std::array<char, std::size_t{1} << 16U> buffer{};
    pollfd server{.fd = run.datagram_server().fd(), .events = POLLIN, .revents = 0};
    carry(
        pace, figures, [&](std::size_t) { ::send(flow.client.fd(), data.data(), data.size(), 0); },
        [&](Duration wait) {
            if (::recv(server.fd, buffer.data(), buffer.size(), MSG_DONTWAIT) >= 0) {
                return true;
            }
            const timespec time{.tv_sec = 0, .tv_nsec = wait.count()};
            return ::ppoll(&server, 1, &time, nullptr) == 1 &&
                   ::recv(server.fd, buffer.data(), buffer.size(), MSG_DONTWAIT) >= 0;
        });
}

void compare(PairRun& run) {
    auto checked = run.flow();
    auto simple = run.flow();
    for (std::size_t round = 0; round < rounds; ++round) {
        carry_verified(run, checked, as_fast_as_it_goes, verified);
        carry_plain(run, simple, as_fast_as_it_goes, plain);
        carry_verified(run, checked, ten_thousand_a_second, verified_at_a_pace);
        carry_plain(run, simple, ten_thousand_a_second, plain_at_a_pace);
    }
}

class Socat : public TestTunnel {
public:
    using TestTunnel::TestTunnel;
    std::string slug() const override { return "socat"; }
    Transports transports() const override { return {.udp = true}; }
    Server spawn_server(const AddrPort& proxy, const AddrPort& svc) override {
        return spawn({config().prog,
                      fmt::format("UDP{}-LISTEN:{},bind={},fork", proxy.family_id(), proxy.svc_port,
                                  proxy.address.bracketed()),
                      fmt::format("UDP{}:{},bind={}", svc.family_id(), svc.listen(),
                                  svc.client().address.bracketed())});
    }
    std::vector<Check> checks() const override {
        return {{.id = "datagrams",
                 .title = "many datagrams",
                 .level = Level::hello,
                 .needs = {.udp = true},
                 .run = compare}};
    }
};

std::string per_second(double rate) {
    return fmt::format("{:.0f} a second", rate);
}

std::string loss(std::size_t lost) {
    return fmt::format("{} of {} lost", lost, rounds * count);
}

} // namespace

int main(int argc, char** argv) {
    try {
        rounds = argc > 1 ? static_cast<std::size_t>(std::atoi(argv[1])) : rounds;
        enter_network(NetworkMode::automatic);
        Socat socat{bench::quiet("socat")};
        bench::require_passed(socat.run_pair(socat.pairs().front()));
        const auto rate = bench::median(verified.rates);
        const auto plain_rate = bench::median(plain.rates);
        bench::print(
            {"datagrams of 1,200 bytes through socat, 32 under way, made and compared",
             fmt::format("{}, {}", per_second(rate), loss(verified.lost)),
             fmt::format("{}, {}, by plain calls", per_second(plain_rate), loss(plain.lost)),
             fmt::format("{:.2f}", rate / plain_rate)});
        bench::print(
            {"the same, 10,000 a second",
             fmt::format("{}, {}", per_second(bench::median(verified_at_a_pace.rates)),
                         loss(verified_at_a_pace.lost)),
             fmt::format("{}, {}, by plain calls", per_second(bench::median(plain_at_a_pace.rates)),
                         loss(plain_at_a_pace.lost))});
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return EXIT_FAILURE;
    }
}
