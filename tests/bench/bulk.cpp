// What generating and verifying costs: data through one connection of socat, as the checks carry
// it, and as a plain sender and receiver in C's way do that look at nothing, in turn.
//
//   bench_bulk [rounds]        default: 11

#include <fcntl.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <test_tunnel/discovery/pairs.hpp>
#include <test_tunnel/net/stream.hpp>
#include <test_tunnel/private_network/private_network.hpp>
#include <test_tunnel/run/check.hpp>
#include <test_tunnel/run/pair_run.hpp>
#include <test_tunnel/run/tunnel.hpp>
#include <thread>
#include <vector>

#include "bench.hpp"

using namespace test_tunnel;

namespace {

constexpr std::size_t size = std::size_t{128} << 20U;
constexpr std::size_t piece = 65536;

std::size_t rounds = 11;
std::vector<double> verified; // MiB/s
std::vector<double> plain;

void block(const Socket& socket) {
    ::fcntl(socket.fd(), F_SETFL, ::fcntl(socket.fd(), F_GETFL) & ~O_NONBLOCK);
}

/// The least that can be done: blocking calls on either side, of the size that the checks write.
void carry(const Connection& connection) {
    std::thread sender{[fd = connection.client.fd()] {
        const std::string data(piece, 'x');
        for (std::size_t sent = 0; sent < size;) {
            const auto count = ::send(fd, data.data(), std::min(piece, size - sent), MSG_NOSIGNAL);
            if (count <= 0) {
                return;
            }
            sent += static_cast<std::size_t>(count);
        }
    }};
    std::string data(std::size_t{1} << 18U, '\0');
    std::size_t received = 0;
    while (received < size) {
        const auto count = ::recv(connection.server.fd(), data.data(), data.size(), 0);
        if (count <= 0) {
            break;
        }
        received += static_cast<std::size_t>(count);
    }
    sender.join();
    if (received != size) {
        throw Unexpected{"all of the plain data", fmt::format("{} bytes", received)};
    }
}

template <typename Act>
double throughput(Act act) {
    const auto started = Clock::now();
    act();
    return static_cast<double>(size >> 20U) * 1e3 / bench::milliseconds(Clock::now() - started);
}

void compare(PairRun& run) {
    auto checked = run.connect();
    auto simple = run.connect();
    block(simple.client);
    block(simple.server);
    for (std::size_t round = 0; round <= rounds; ++round) {
        const auto rate = throughput([&] {
            std::vector<Stream> streams{
                {checked.client, checked.server, PairRun::up, run.pattern(round), size}};
            transfer(streams, run.supervisor());
        });
        const auto plain_rate = throughput([&] { carry(simple); });
        if (round > 0) { // not the first one, on cold buffers
            verified.push_back(rate);
            plain.push_back(plain_rate);
        }
    }
}

class Socat : public TestTunnel {
public:
    using TestTunnel::TestTunnel;
    std::string slug() const override { return "socat"; }
    Server spawn_server(const AddrPort& proxy, const AddrPort& svc) override {
        return spawn({config().prog,
                      fmt::format("TCP{}-LISTEN:{},bind={},reuseaddr,fork", proxy.family_id(),
                                  proxy.svc_port, proxy.address.bracketed()),
                      fmt::format("TCP{}:{},bind={}", svc.family_id(), svc.listen(),
                                  svc.client().address.bracketed())});
    }
    std::vector<Check> checks() const override {
        return {{.id = "bulk", .title = "bulk data", .level = Level::hello, .run = compare}};
    }
};

} // namespace

int main(int argc, char** argv) {
    try {
        rounds = argc > 1 ? static_cast<std::size_t>(std::atoi(argv[1])) : rounds;
        enter_network(NetworkMode::automatic);
        Socat socat{bench::quiet("socat")};
        bench::require_passed(socat.run_pair(socat.pairs().front()));
        const auto ratio = bench::median(verified) / bench::median(plain);
        constexpr double budget = 0.9;
        bench::print(
            {"128 MiB through socat, generated and verified",
             fmt::format("{:.0f} MiB/s", bench::median(verified)),
             fmt::format("{:.0f} MiB/s, a plain sender and receiver", bench::median(plain)),
             fmt::format("{:.2f}", ratio), "≥ 0.9", ratio >= budget});
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return EXIT_FAILURE;
    }
}
