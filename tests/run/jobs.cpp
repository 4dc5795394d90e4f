// Combinations that are tested at once, in processes of their own.

#include <signal.h> // NOLINT(modernize-deprecated-headers): raise is POSIX here
#include <unistd.h>
#include <test_tunnel/base/interruption.hpp>
#include <test_tunnel/config/observer.hpp>
#include <test_tunnel/kernel/processes.hpp>
#include <test_tunnel/kernel/usage.hpp>
#include <test_tunnel/run/tunnel.hpp>

#include <algorithm>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/comes_true.hpp"
#include "support/faulty_tunnel.hpp"
#include "support/forked.hpp"
#include "support/quiet_config.hpp"
#include "support/recording_log.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

ConfigProg at_once(Level level) {
    auto config = support::quiet_config(level);
    config.jobs = 4;
    return config;
}

/// For a run that lasts a minute.
ConfigProg silent_for_long(std::size_t jobs) {
    auto config = at_once(Level::strict);
    config.jobs = jobs;
    config.only = {"hello", "idle"};
    config.idle = 60s;
    return config;
}

/// A correct tunnel that does something of its own before it is started.
class Hooked : public support::FaultyTunnel {
public:
    Hooked(const ConfigProg& config, std::function<void(const AddrPort&)> hook)
        : FaultyTunnel{config, "none"}, hook_{std::move(hook)} {}

    Server spawn_server(const AddrPort& proxy_listen, const AddrPort& svc_listen) override {
        hook_(svc_listen);
        return FaultyTunnel::spawn_server(proxy_listen, svc_listen);
    }

private:
    std::function<void(const AddrPort&)> hook_;
};

std::vector<std::string> outcomes_of(const Report& report) {
    std::vector<std::string> result;
    for (const auto& entry : report.pairs) {
        for (const auto& check : entry.checks) {
            result.push_back(fmt::format("{} {} {} {}", entry.pair.name(), check.id, check.title,
                                         text_of(check.outcome)));
        }
    }
    return result;
}

/// Counts what it is told, in the order in which it is told.
class Listener : public Observer {
public:
    void check_begins(const Progress& progress) override {
        begun.push_back(fmt::format("{} {}", progress.pair, progress.id));
    }
    void pair_ended(const Report& report) override {
        for (const auto& entry : report.pairs) {
            ended.push_back(entry.pair.name());
        }
        errors.push_back(report.error);
    }

    std::vector<std::string> begun;
    std::vector<std::string> ended;
    std::vector<std::string> errors;
};

} // namespace

TEST_CASE("combinations at once have the results that they have in turn") {
    auto config = at_once(Level::standard);
    config.only = {"hello", "data.bulk.*", "idle"};
    const auto listener = std::make_shared<Listener>();
    config.observers = {listener};
    const auto report = support::FaultyTunnel{config, "none"}.run_all();
    CHECK(report.passed());
    CHECK(listener->ended == std::vector<std::string>{"4→4", "4→6", "6→4", "6→6"});
    CHECK(listener->begun.size() == 16);

    config.jobs = 1;
    config.observers.clear();
    const auto in_turn = support::FaultyTunnel{config, "none"}.run_all();
    CHECK(outcomes_of(report) == outcomes_of(in_turn));
    CHECK(report.pairs.front().checks.front().steps.size() ==
          in_turn.pairs.front().checks.front().steps.size());
}

TEST_CASE("what combinations at once log comes in their order") {
    const support::RecordingLog log;
    ConfigProg config;
    static_cast<Config&>(config) = log.config();
    config.level = Level::hello;
    config.jobs = 4;
    support::FaultyTunnel{config, "none"}.run_all();
    const auto text = log.text();
    std::size_t last = 0;
    for (const auto* pair : {"4→4", "4→6", "6→4", "6→6"}) {
        const auto begin = text.find(fmt::format("info: faulty {}: client", pair));
        const auto end = text.find(fmt::format("info: faulty {}: passed", pair));
        INFO(pair);
        REQUIRE(begin != std::string::npos);
        REQUIRE(end != std::string::npos);
        CHECK(last <= begin);
        CHECK(begin < end);
        last = end;
    }
    CHECK(log.contains("debug: faulty 6→6 / hello: start")); // a step
}

TEST_CASE("the same failure is told once, and named on the other combinations") {
    const auto in_turn_or_at_once = std::vector<std::size_t>{1, 4};
    for (const auto jobs : in_turn_or_at_once) {
        const support::RecordingLog log;
        ConfigProg config;
        static_cast<Config&>(config) = log.config();
        config.log->set_level(spdlog::level::info);
        config.level = Level::hello;
        config.jobs = jobs;
        const auto report = support::FaultyTunnel{config, "exits"}.run_all();
        INFO(jobs);
        CHECK(report.passed_pairs() == 0);
        std::size_t in_full = 0;
        for (const auto& entry : report.pairs) {
            const auto& hello = entry.checks.front();
            in_full += hello.same_as.empty() ? 1U : 0U;
            CHECK(hello.account.find("command:") != std::string::npos); // nothing is lost
            if (!hello.same_as.empty()) {
                const auto told = hello.told();
                CHECK_THAT(told, ContainsSubstring(", as on " + hello.same_as));
                CHECK(std::count(told.begin(), told.end(), '\n') == 1);
            }
        }
        const auto text = log.text();
        INFO(text);
        CHECK(in_full == 1);
        const auto first = text.find("command:");
        CHECK(first != std::string::npos);
        CHECK(text.find("command:", first + 1) == std::string::npos);
    }
}

TEST_CASE("a process that dies is an error that names its signal") {
    Hooked tunnel{at_once(Level::hello), [](const AddrPort& svc_listen) {
                      if (svc_listen.address.family() == Family::ipv6) {
                          ::raise(SIGKILL);
                      }
                  }};
    REQUIRE_THROWS_MATCHES(
        tunnel.run_all(), SetupError,
        MessageMatches(ContainsSubstring("→6 ended") && ContainsSubstring("killed by signal 9")));
}

TEST_CASE("a process that exits is an error, though it exits with 0") {
    Hooked tunnel{at_once(Level::hello), [](const AddrPort& /*svc_listen*/) { ::_exit(0); }};
    REQUIRE_THROWS_MATCHES(tunnel.run_all(), SetupError,
                           MessageMatches(ContainsSubstring("exited with status 0")));
}

TEST_CASE("an error of the set-up keeps its kind, whatever process it comes from") {
    const auto listener = std::make_shared<Listener>();
    auto config = at_once(Level::hello);
    config.observers = {listener};
    Hooked tunnel{
        config, [](const AddrPort& /*svc_listen*/) { throw ToolMissing{"there is no such tool"}; }};
    REQUIRE_THROWS_AS(tunnel.run_all(), ToolMissing);
    CHECK(listener->errors == std::vector<std::string>{"there is no such tool"});
}

TEST_CASE("an exception that no process can pass on is told as one") {
    Hooked tunnel{at_once(Level::hello), [](const AddrPort& /*svc_listen*/) { throw 7; }};
    REQUIRE_THROWS_MATCHES(tunnel.run_all(), SetupError,
                           MessageMatches(ContainsSubstring("no std::exception")));
}

TEST_CASE("what a hook changes in its object stays in its process") {
    int calls = 0;
    Hooked tunnel{at_once(Level::hello), [&](const AddrPort& /*svc_listen*/) { ++calls; }};
    CHECK(tunnel.run_all().passed());
    CHECK(calls == 0);
}

TEST_CASE("a process with threads is not forked: combinations are tested in turn, and it is told") {
    const support::RecordingLog log;
    ConfigProg config;
    static_cast<Config&>(config) = log.config();
    config.level = Level::hello;
    config.jobs = 4;
    int calls = 0;
    Hooked tunnel{config, [&](const AddrPort& /*svc_listen*/) { ++calls; }};
    std::atomic<bool> is_over = false;
    std::thread other{[&] { is_over.wait(false); }};
    const auto report = tunnel.run_all();
    is_over = true;
    is_over.notify_all();
    other.join();
    CHECK(report.passed());
    CHECK(calls == 4);
    CHECK(log.contains("warning: the combinations are tested in turn and not 4 at once"));
}

TEST_CASE("with OnFailure::stop the first failure is the last thing that is tried") {
    for (const std::size_t jobs : {1U, 4U}) {
        INFO(jobs);
        auto config = at_once(Level::standard);
        config.jobs = jobs;
        config.on_failure = OnFailure::stop;
        config.only = {"hello", "data.bulk.up", "data.bulk.down"};
        const auto report = support::FaultyTunnel{config, "corrupts-late-up"}.run_all();
        CHECK_FALSE(report.passed());
        REQUIRE_FALSE(report.pairs.empty());
        const bool has_failed_one =
            std::any_of(report.pairs.begin(), report.pairs.end(), [](const PairResult& entry) {
                return entry.checks.at(1).outcome == Outcome::failed &&
                       entry.checks.at(2).outcome == Outcome::skipped &&
                       entry.checks.at(2).account == "not tried, since data.bulk.up failed";
            });
        CHECK(has_failed_one);
        if (jobs == 1) {
            CHECK(report.pairs.size() == 1);
        }
    }
}

TEST_CASE("each round has another seed, and a failure its own") {
    for (const std::size_t jobs : {1U, 4U}) {
        INFO(jobs);
        auto config = at_once(Level::standard);
        config.jobs = jobs;
        config.seed = 100;
        config.rounds = 3;
        config.only = {"hello", "data.bulk.up"};
        const auto listener = std::make_shared<Listener>();
        config.observers = {listener};
        const auto good = support::FaultyTunnel{config, "none"}.run_all();
        CHECK(good.passed());
        CHECK(listener->ended.size() == 4); // each once, however many rounds
        CHECK(good.pairs.front().rounds == 3);
        CHECK(good.pairs.front().seed == 102);
        CHECK_THAT(good.rate(), ContainsSubstring("0 of 3 rounds failed"));

        const auto bad = support::FaultyTunnel{config, "corrupts-late-up"}.run_all();
        CHECK_FALSE(bad.passed());
        CHECK(bad.pairs.front().seed == 100);
        CHECK(bad.pairs.front().failed_seeds == std::vector<std::uint64_t>{100, 101, 102});
        CHECK_THAT(bad.rate(), ContainsSubstring("3 of 3 rounds failed: 100 %") &&
                                   ContainsSubstring("seeds: 100, 101, 102"));

        config.until_failure = true;
        const auto first = support::FaultyTunnel{config, "corrupts-late-up"}.run_all();
        CHECK(first.pairs.front().rounds == 1);
        CHECK(first.pairs.front().failed_seeds == std::vector<std::uint64_t>{100});
    }
}

TEST_CASE("a run whose time is over leaves what it has done, and has not passed") {
    for (const std::size_t jobs : {1U, 4U}) {
        INFO(jobs);
        auto config = silent_for_long(jobs);
        const auto listener = std::make_shared<Listener>();
        config.observers = {listener};
        support::FaultyTunnel tunnel{config, "none"};
        const Interruption interruption{1s};
        REQUIRE_THROWS_MATCHES(
            tunnel.run_all(), Interrupted,
            MessageMatches(ContainsSubstring("the 1 s for the whole run are over")));
        REQUIRE_FALSE(listener->ended.empty());
        CHECK(listener->ended.front() == "4→4");
        CHECK_THAT(listener->errors.back(), ContainsSubstring("for the whole run are over"));
    }
}

TEST_CASE("a limit ends with the object that has set it") {
    { const Interruption over{0s}; }
    CHECK(support::FaultyTunnel{at_once(Level::hello), "none"}.run_all().passed());
}

TEST_CASE("a signal ends a run in good order") {
    for (const std::size_t jobs : {1U, 4U}) {
        INFO(jobs);
        const auto config = silent_for_long(jobs);
        support::Forked harness{[&]() -> std::string {
            ::setpgid(0, 0);
            const Interruption interruption;
            struct Raises : Observer {
                void check_begins(const Progress& progress) override {
                    if (progress.id == "idle" && ++count_ == expected_) {
                        // To the workers, too, as a terminal and timeout(1) do it.
                        ::kill(0, SIGTERM);
                        ::raise(SIGTERM);
                    }
                }
                explicit Raises(std::size_t expected) : expected_{expected} {}

            private:
                std::size_t expected_;
                std::size_t count_ = 0;
            };
            auto heard = std::make_shared<Listener>();
            auto noisy = config;
            noisy.observers = {std::make_shared<Raises>(jobs), heard};
            try {
                support::FaultyTunnel{noisy, "none"}.run_all();
            } catch (const Interrupted& error) {
                return fmt::format("{}; {}; children: {}", error.what(), heard->ended.size(),
                                   descendants_of(::getpid()).size() - 1);
            }
            return "not interrupted";
        }};
        const auto text = harness.text();
        CHECK_THAT(text, ContainsSubstring("interrupted by SIGTERM"));
        CHECK_THAT(text, ContainsSubstring("children: 0"));
        CHECK_THAT(text, jobs == 1 ? ContainsSubstring("; 1;") : ContainsSubstring("; 4;"));
    }
}

TEST_CASE("nothing of a run at once outlives its harness") {
    const auto config = silent_for_long(4);
    support::Pipe told;
    support::Forked harness{[&]() -> std::string {
        struct Tells : Observer {
            explicit Tells(int fd) : fd_{fd} {}
            void check_begins(const Progress& progress) override {
                if (progress.id == "idle" && ++count_ == 4) {
                    static_cast<void>(::write(fd_, "4", 1));
                }
            }

        private:
            int fd_;
            int count_ = 0;
        };
        auto watched = config;
        watched.observers = {std::make_shared<Tells>(told.write_end.get())};
        support::FaultyTunnel{watched, "none"}.run_all();
        return "it came to its end";
    }};
    REQUIRE(wait_for({.fd = told.read_end.get(), .events = POLLIN}, Deadline::after(30s), nullptr,
                     "all combinations"));
    const auto all = descendants_of(harness.pid());
    CHECK(all.size() >= 9); // itself, four processes, four tools
    harness.kill();
    CHECK(support::comes_true([&] {
        return std::all_of(all.begin(), all.end(), [](pid_t pid) {
            return ::kill(pid, 0) != 0 || usage_of(pid).value().zombies == 1; // not reaped
        });
    }));
}
