#include <test_tunnel/process/tool_usage.hpp>

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <utility>
#include <vector>

#include <test_tunnel/discovery/bind.hpp>
#include <test_tunnel/process/detail/cpu_use.hpp>
#include <test_tunnel/process/detail/peak_use.hpp>
#include <test_tunnel/process/detail/spinning.hpp>
#include <test_tunnel/process/server.hpp>

#include "support/child.hpp"
#include "support/comes_true.hpp"
#include "support/durations.hpp"
#include "support/listening.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using support::long_time;
using support::start;

namespace {

Server ready(support::Words what) {
    what.insert(what.begin(), "ready");
    Server server{start(std::move(what))};
    server.await_output("ready", long_time);
    return server;
}

} // namespace

TEST_CASE("what a tool uses is told by kind", "[tool_usage]") {
    const auto server = ready({"wait"});
    const auto usage = usage_of(server).value();
    CHECK(usage.processes == 1);
    CHECK(usage.threads == 1);
    CHECK(usage.zombies == 0);
    CHECK(usage.pipes == 2); // its outputs
    CHECK(usage.files == 1); // its input is /dev/null
    CHECK(usage.sockets == 0);
    CHECK(usage.descriptors() == 3);
    CHECK(usage.private_memory.value() > 0);
    CHECK(usage.memory.value() >= usage.private_memory.value());
    CHECK(usage.text() == "3 descriptors, 1 processes, 1 threads, 0 zombies");
}

TEST_CASE("what a tool has started counts as the tool's", "[tool_usage]") {
    const auto server = ready({"fork", "wait", "parent", "fork", "exit", "0", "parent", "wait"});
    CHECK(support::comes_true([&] { return usage_of(server)->zombies == 1; }));
    const auto usage = usage_of(server).value();
    CHECK(usage.processes == 2);
    CHECK(usage.descriptors() == 6);
}

TEST_CASE("a tool that works has used a processor", "[tool_usage]") {
    const auto working = ready({"spin"});
    CHECK(support::comes_true([&] { return usage_of(working)->cpu >= 20ms; }));
    const auto waiting = ready({"wait"});
    CHECK(usage_of(waiting)->cpu < 5s);
}

TEST_CASE("a process that is not there uses nothing", "[tool_usage]") {
    auto server = ready({"wait"});
    const auto pid = server.processes().front().pid();
    server.stop(long_time);
    CHECK(usage_of(pid)->descriptors() == 0);
    CHECK(usage_of(pid)->processes == 0);
    CHECK(usage_of(server)->processes == 0);
}

TEST_CASE("the states of a tool's sockets are counted", "[tool_usage]") {
    const auto states = [] { return usage_of(::getpid())->tcp.value_or(TcpStates{}); };
    if (!usage_of(std::vector{::getpid()})->tcp) {
        SKIP("this network has no table of its own");
    }
    CHECK(states() == TcpStates{});
    CHECK(states().text() == "none");
    auto listening = support::listener("127.0.0.1");
    auto client = bind_to(Config{}, support::at("127.0.0.1", 0));
    REQUIRE(client.try_connect(listening.local()));
    auto server = listening.accept();
    CHECK(states() == TcpStates{.listen = 1, .established = 2});
    server.shutdown_write();
    CHECK(support::comes_true([&] { return states().close_wait == 1; }));
    CHECK(states() == TcpStates{.listen = 1, .fin_wait = 1, .close_wait = 1});
    CHECK(states().text() == "1 listen, 1 fin-wait, 1 close-wait");
    // What processes share is there once.
    CHECK(usage_of(std::vector{::getpid(), ::getpid()})->tcp == states());
}

TEST_CASE("the most that a tool has held is known afterwards", "[tool_usage]") {
    auto server = ready({"fork", "wait", "parent", "wait"});
    CHECK(support::comes_true([&] { return usage_of(server)->descriptors() == 6; }));
    detail::PeakUse peak;
    CHECK(peak.seen().peak_descriptors == 0);
    peak.look(server);
    CHECK(peak.seen().peak_descriptors == 6); // of both processes
    const auto memory = peak.seen().peak_memory;
    CHECK(memory > 0);
    server.stop(long_time);
    peak.look_at_connection(server, 7);
    CHECK(peak.seen().peak_descriptors == 6);
    CHECK(peak.seen().peak_memory == memory);
}

TEST_CASE("near is what has no more of anything, give or take some", "[tool_usage]") {
    ToolUsage before;
    before.files = 3;
    before.threads = 1;
    auto now = before;
    now.sockets = 2;
    CHECK(now.is_near(before, 2));
    CHECK_FALSE(now.is_near(before, 1));
    CHECK(before.is_near(now, 0));
    now = before;
    now.zombies = 2;
    CHECK_FALSE(now.is_near(before, 1));
}

TEST_CASE("of what may not be asked, the sum is unknown", "[tool_usage]") {
    ToolUsage sum;
    ToolUsage other;
    other.private_memory = 4096;
    other.memory.reset();
    sum += other;
    CHECK(sum.private_memory == 4096);
    CHECK_FALSE(sum.memory);
}

TEST_CASE("a tool that computes without end is found, and one that waits is not", "[tool_usage]") {
    auto working = ready({"spin"});
    const auto spin = detail::find_spin(working, 10ms, working.supervisor().get());
    REQUIRE(spin);
    CHECK(spin->ran >= 900ms);
    CHECK(spin->watched > Duration::zero());
    auto waiting = ready({"wait"});
    CHECK_FALSE(detail::find_spin(waiting, 10ms, waiting.supervisor().get()));
}

TEST_CASE("a tool that has ended meanwhile is not watched any longer", "[tool_usage]") {
    auto ending = ready({"exit", "3"});
    CHECK_THROWS_AS(detail::find_spin(ending, long_time, ending.supervisor().get()), ToolEnded);
}
