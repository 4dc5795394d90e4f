#include <test_tunnel/process/process.hpp>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <csignal>
#include <fstream>

#include <test_tunnel/process/server.hpp>

#include "support/child.hpp"
#include "support/durations.hpp"
#include "support/fifo.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using support::long_time;
using support::start;
using support::TemporaryDirectory;

TEST_CASE("whoever writes where the outputs have been closed gets SIGPIPE", "[server]") {
    const TemporaryDirectory directory;
    const auto go = directory.file("go");
    Server server{start({"ready", "await", go, "out", "is anybody there?", "exit", "0"})};
    server.await_output("ready", long_time);
    server.close_outputs();
    std::ofstream{go} << "";
    REQUIRE(server.wait_for_end(support::soon()));
    CHECK(server.processes().front().status()->signal() == SIGPIPE);
    CHECK(server.processes().front().out() == "ready\n");
}

TEST_CASE("whoever writes where the outputs are full has to wait until they are read again",
          "[server]") {
    const TemporaryDirectory directory;
    const auto go = directory.file("go");
    Server server{start({"ready", "await", go, "err", "one\n", "out", "two\n", "exit", "0"})};
    server.await_output("ready", long_time);
    if (!server.hold_outputs()) {
        SKIP("this system can't fill a pipe from its other end");
    }
    std::ofstream{go} << "";
    constexpr auto must_not_happen = 100ms;
    CHECK_FALSE(server.wait_for_end(Deadline::unscaled(must_not_happen)));
    CHECK(server.processes().front().err().empty());
    server.release_outputs();
    REQUIRE(server.wait_for_end(support::soon()));
    CHECK(server.processes().front().status()->code() == 0);
    CHECK(server.processes().front().err() == "one\n"); // and nothing of what filled it
    CHECK(server.processes().front().out() == "ready\ntwo\n");
}

TEST_CASE("a tool whose outputs are full can be stopped", "[server]") {
    Server server{start({"ready", "endless"})};
    server.await_output("ready", long_time);
    if (!server.hold_outputs()) {
        SKIP("this system can't fill a pipe from its other end");
    }
    server.stop(long_time);
    CHECK(server.processes().front().status()->signal() == SIGTERM);
}
