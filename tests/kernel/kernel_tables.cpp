#include <test_tunnel/process/server.hpp>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <test_tunnel/base/detail/file_io.hpp>
#include <test_tunnel/base/detail/system.hpp>
#include <test_tunnel/base/detail/unique_fd.hpp>
#include <test_tunnel/kernel/detail/proc_net_tcp.hpp>
#include <test_tunnel/kernel/detail/sock_diag.hpp>
#include <test_tunnel/kernel/processes.hpp>
#include <test_tunnel/kernel/tcp_sockets.hpp>
#include <test_tunnel/net/detail/socket_address.hpp>
#include <test_tunnel/net/socket.hpp>
#include <test_tunnel/process/detail/listeners.hpp>

#include "support/child.hpp"
#include "support/comes_true.hpp"
#include "support/durations.hpp"
#include "support/listening.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using support::at;
using support::listener;
using support::long_time;
using support::start;

namespace {

std::uint64_t inode_of(const Socket& socket) {
    struct stat info {};
    detail::checked(::fstat(socket.fd(), &info), "fstat");
    return info.st_ino;
}

} // namespace

TEST_CASE("an endpoint in the kernel's tables is in the machine's byte order", "[readiness]") {
    std::string address(4, '\0');
    const std::uint32_t word = 0x0100007f;
    std::memcpy(address.data(), &word, sizeof word);
    CHECK(detail::parse_table_endpoint("0100007F:18E6") ==
          Endpoint{Address::from_packed(address), 6374});
    CHECK(detail::parse_table_endpoint("00000000:0000") == at("0.0.0.0", 0));
    CHECK(detail::parse_table_endpoint("00000000000000000000000000000000:FFFF") == at("::", 65535));
}

TEST_CASE("who receives UDP is in the tables", "[readiness]") {
    for (const auto* const address : {"127.0.0.1", "::1", "0.0.0.0", "::"}) {
        const auto any_port = at(address, 0);
        detail::SocketAddress wanted{any_port};
        const auto family = any_port.address.family();
        const detail::UniqueFd socket{
            ::socket(static_cast<int>(family), SOCK_DGRAM | SOCK_CLOEXEC, 0)};
        REQUIRE(::bind(socket.get(), wanted.data(), *wanted.length()) == 0);
        detail::SocketAddress bound{any_port};
        REQUIRE(::getsockname(socket.get(), bound.data(), bound.length()) == 0);
        const auto here = bound.endpoint();
        struct stat info {};
        detail::checked(::fstat(socket.get(), &info), "fstat");
        const std::vector<std::uint64_t> expected{info.st_ino};
        const auto loopback = family == Family::ipv4 ? "127.0.0.1" : "::1";
        CHECK(udp_receivers(at(loopback, here.port)) == expected);
        CHECK(udp_receivers(at("192.0.2.77", here.port)) ==
              (std::string_view{address} == "0.0.0.0" || std::string_view{address} == "::"
                   ? expected
                   : std::vector<std::uint64_t>{}));
    }
}

TEST_CASE("both ends of a connection are in the tables", "[readiness]") {
    const auto* const address = GENERATE("127.0.0.1", "::1");
    auto from = listener(address);
    Socket client{from.local().address.family()};
    client.connect(from.local());
    const auto server = from.accept();
    const auto sockets = detail::tcp_sockets();
    const auto has = [&](const Socket& socket, const Endpoint& remote, bool listens) {
        return std::any_of(sockets.begin(), sockets.end(), [&](const TcpSocket& entry) {
            return entry.local == socket.local() && entry.remote == remote &&
                   entry.listens == listens && entry.inode == inode_of(socket);
        });
    };
    const auto nobody = at(from.local().address.family() == Family::ipv4 ? "0.0.0.0" : "::", 0);
    CHECK(has(from, nobody, true));
    CHECK(has(client, from.local(), false));
    CHECK(has(server, client.local(), false));
}

TEST_CASE("who waits for a connection to be accepted is in the tables", "[readiness]") {
    auto full = listener(GENERATE("127.0.0.1", "::1"));
    const auto target = full.local();
    CHECK(somebody_dials(target) == false);
    full.listen(0);
    Socket first{target.address.family()};
    first.connect(target);
    CHECK(somebody_dials(target) == false);
    Socket second{target.address.family(), support::short_time};
    CHECK_THROWS_AS(second.connect(target), TimedOut);
    CHECK(somebody_dials(target) == true);
    second.close();
    CHECK(somebody_dials(target) == false);
}

TEST_CASE("a long table is read to its end", "[readiness]") {
    std::vector<Socket> listeners;
    for (int i = 0; i < 150; ++i) {
        listeners.push_back(listener("127.0.0.1"));
        listeners.push_back(listener("::1"));
    }
    const auto all = GENERATE(true, false) ? detail::tcp_sockets() : listening_sockets().value();
    for (const auto& socket : listeners) {
        CHECK(std::count_if(all.begin(), all.end(), [&](const TcpSocket& entry) {
                  return entry.listens && entry.local == socket.local() &&
                         entry.inode == inode_of(socket);
              }) == 1);
    }
}

TEST_CASE("the sockets of a process are known by their inodes", "[readiness]") {
    const auto socket = listener("127.0.0.1");
    const auto inodes = socket_inodes(::getpid());
    REQUIRE(inodes);
    CHECK(detail::contains(*inodes, inode_of(socket)));
    CHECK(owner_of_socket(inode_of(socket)) == ::getpid());
}

TEST_CASE("a process with a TCP socket is told from one with others", "[readiness]") {
    const detail::UniqueFd local{::socket(AF_UNIX, SOCK_STREAM, 0)};
    const detail::UniqueFd datagrams{::socket(AF_INET, SOCK_DGRAM, 0)};
    const detail::UniqueFd file{::open("/dev/null", O_RDONLY)};
    REQUIRE(local);
    REQUIRE(datagrams);
    CHECK(has_tcp_socket(::getpid()) == false);
    const auto socket = Socket{GENERATE(Family::ipv4, Family::ipv6)};
    CHECK(has_tcp_socket(::getpid()) == true);
}

TEST_CASE("who takes the connections is found by one question", "[readiness]") {
    const auto [bound, target] = GENERATE(table<const char*, const char*>(
        {{"127.0.0.1", "127.0.0.1"}, {"::1", "::1"}, {"0.0.0.0", "127.0.0.1"}, {"::", "::1"}}));
    auto server = listener(bound);
    const auto endpoint = at(target, server.local().port);
    const auto found = detail::SockDiag::listener(endpoint);
    REQUIRE(found);
    CHECK(found->inode == inode_of(server));
    auto client = Socket{endpoint.address.family()};
    client.connect(endpoint);
    const auto accepted = server.accept();
    CHECK_FALSE(detail::SockDiag::listener(client.local()));
    server = Socket{endpoint.address.family()};
    CHECK_FALSE(detail::SockDiag::listener(endpoint)); // the connection alone does not count
}

TEST_CASE("a process that waits is told from one that works", "[readiness]") {
    const auto waiting = start({"wait"});
    Server server{start({"ready", "spin"})};
    server.await_output("ready", long_time);
    const auto& working = server.processes().front();
    CHECK(support::comes_true([&] { return is_idle(waiting.pid()) == true; }));
    CHECK(is_idle(working.pid()) == false);
}

TEST_CASE("a process of which one thread works does not sleep", "[readiness]") {
    std::atomic<bool> is_over = false;
    std::thread working{[&] {
        while (!is_over) {
        }
    }};
    const auto here = ::getpid();
    const pid_t looking = detail::checked(::fork(), "fork");
    if (looking == 0) { // while the first thread waits
        bool slept = false;
        const auto deadline = Deadline::after(100ms);
        while (!slept && !deadline.passed()) {
            slept = is_idle(here).value();
        }
        ::_exit(slept ? 1 : 0);
    }
    int status = -1;
    CHECK(::waitpid(looking, &status, 0) == looking);
    CHECK(status == 0);
    is_over = true;
    working.join();
}

TEST_CASE("timers are prompt as long as it is asked for", "[readiness]") {
    const int before = ::prctl(PR_GET_TIMERSLACK);
    {
        const detail::PromptTimers prompt;
        CHECK(::prctl(PR_GET_TIMERSLACK) == 1);
    }
    CHECK(::prctl(PR_GET_TIMERSLACK) == before);
}

TEST_CASE("a process that is not there has neither sockets nor a name", "[readiness]") {
    const pid_t pid = detail::checked(::fork(), "fork");
    if (pid == 0) {
        ::_exit(0);
    }
    REQUIRE(::waitpid(pid, nullptr, 0) == pid);
    CHECK_FALSE(socket_inodes(pid));
    CHECK(has_tcp_socket(pid) == false);
    CHECK(is_idle(pid) == false);
    CHECK(process_name(pid).empty());
    CHECK_FALSE(detail::read_file(fmt::format("/proc/{}/stat", pid)));
}
