// A tool that comes in halves: whichever of them misbehaves, it is noticed, and told which.

#include <test_tunnel/test_tunnel.hpp>

#include <signal.h> // NOLINT(modernize-deprecated-headers): kill is POSIX, not C

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "support/faulty_tunnel.hpp"
#include "support/quiet_config.hpp"

using namespace test_tunnel;
using Catch::Matchers::ContainsSubstring;
using support::quiet_config;

namespace {

/// Two forwarders behind one another, each with a behaviour of its own.
class Chain : public TestTunnel {
public:
    Chain(std::string first, std::string second, ConfigProg config = quiet_config(Level::hello))
        : TestTunnel{std::move(config)}, first_{std::move(first)}, second_{std::move(second)} {}

    std::string slug() const override { return "chain"; }

    Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override {
        const auto inner = svc_listen.spare();
        const auto half = [&](const Endpoint& from, const Endpoint& to, const auto& behaviour) {
            return spawn({FAULTY_TUNNEL, from.address.text(), std::to_string(from.port),
                          svc_listen.client().address.text(), to.address.text(),
                          std::to_string(to.port), behaviour, "forward"});
        };
        Server server = half(inner, svc_listen.listen(), second_);
        server.await_listening(inner);
        server.add(half(proxy_listen.listen(), inner, first_));
        pids_ = {server.processes()[0].pid(), server.processes()[1].pid()};
        return server;
    }

    std::optional<Endpoint> handshake(Socket& /*client*/, const AddrPort& /*svc*/) override {
        if (victim_) {
            ::kill(pids_.at(*victim_), SIGKILL);
        }
        return std::nullopt;
    }

    /// Of the processes that are killed by somebody else as soon as there is a client.
    void kill_at_handshake(std::size_t victim) { victim_ = victim; }

private:
    std::string first_;
    std::string second_;
    std::array<pid_t, 2> pids_{};
    std::optional<std::size_t> victim_;
};

CheckResult failure_of(TestTunnel& tunnel) {
    const auto result = tunnel.run_pair(discover_pairs(tunnel.config()).front());
    for (const auto& check : result.checks) {
        if (check.outcome == Outcome::failed) {
            return check;
        }
    }
    return {};
}

} // namespace

TEST_CASE("a chain of two passes on all four combinations", "[chain]") {
    auto config = quiet_config(Level::hello);
    config.level = Level::standard;
    const auto report = Chain{"none", "none", config}.run_all();
    INFO(report.text());
    CHECK(report.passed());
    CHECK(report.pairs.size() == 4);
}

TEST_CASE("a chain fails when either half ends, crashes or does not stop", "[chain]") {
    struct Fault {
        std::string name;
        std::string actual;
    };
    const auto fault = GENERATE(values<Fault>({
        {"exits", "exited with status 4"},
        {"exits-in-transfer", "exited with status 7"},
        {"crashes-in-transfer", "killed by signal"},
        {"crashes-on-sigterm", "killed by signal"},
        {"exits-after-transfer", "exited with status 5"},
    }));
    const bool is_first = GENERATE(true, false);
    INFO(fault.name << (is_first ? ", first half" : ", second half"));
    Chain tunnel{is_first ? fault.name : "none", is_first ? "none" : fault.name};
    const auto failed = failure_of(tunnel);
    INFO(failed.account);
    CHECK(failed.outcome == Outcome::failed);
    CHECK_THAT(failed.actual,
               ContainsSubstring("faulty_tunnel ") && ContainsSubstring(fault.actual));
    CHECK_THAT(failed.account, ContainsSubstring(' ' + fault.name + " forward"));
}

TEST_CASE("a chain of which one half is killed meanwhile fails, and says so", "[chain]") {
    const std::size_t victim = GENERATE(0U, 1U);
    INFO(victim);
    Chain tunnel{"none", "none"};
    tunnel.kill_at_handshake(victim);
    const auto failed = failure_of(tunnel);
    CHECK_THAT(failed.actual, ContainsSubstring("killed by signal 9"));
}
