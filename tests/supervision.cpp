#include <test_tunnel/detail/spawn.hpp>
#include <test_tunnel/detail/stragglers.hpp>
#include <test_tunnel/detail/text.hpp>
#include <test_tunnel/detail/watchdog.hpp>
#include <test_tunnel/process.hpp>

#include <fcntl.h>
#include <signal.h> // NOLINT(modernize-deprecated-headers): sigaction is POSIX, not C
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/child.hpp"
#include "support/fifo.hpp"
#include "support/forked.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
using support::Fifo;
using support::Forked;
using support::has_children;
using support::SignalDisposition;
using support::soon;
using support::TemporaryDirectory;
using support::Words;

namespace fs = std::filesystem;

namespace {

/// Much longer than the test may take: what ends earlier has not waited for it.
constexpr auto long_time = 60s;

/// A child that does all of these, one list after the other.
template <typename... Lists>
Process start(const Words& first, const Lists&... rest) {
    Words argv{CHILD_PROGRAM};
    argv.insert(argv.end(), first.begin(), first.end());
    (argv.insert(argv.end(), rest.begin(), rest.end()), ...);
    return Process::spawn({.argv = std::move(argv)});
}

/// The number after "pid " in what a child has printed.
pid_t told_pid(const std::string& output) {
    const auto found = output.find("pid ");
    return found == std::string::npos ? -1 : std::stoi(output.substr(found + 4));
}

pid_t told_pid(Process& process) {
    detail::pump(process, soon(), [&] { return process.out().find("pid ") != std::string::npos; });
    return told_pid(process.out());
}

/// Waits until this process, which adopts whoever loses its parent, has no child any more: so all
/// that stemmed from it have ended.
bool all_have_ended() {
    const auto deadline = soon();
    for (;;) {
        const pid_t pid = ::waitpid(-1, nullptr, WNOHANG);
        if (pid == -1) {
            return errno == ECHILD;
        }
        if (pid == 0) {
            if (deadline.passed()) {
                return false;
            }
            detail::poll_once({}, 2ms);
        }
    }
}

bool is_alive(pid_t pid) {
    return ::kill(pid, 0) == 0;
}

/// Keeps a tool until this process, a forked harness, is killed.
Process& keep(Process process) {
    static std::deque<Process> kept;
    kept.push_back(std::move(process));
    return kept.back();
}

/// As in a program that cares for no signal; the tests' framework does.
void restore_signals() {
    for (const int number : {SIGTERM, SIGINT}) {
        ::signal(number, SIG_DFL);
    }
}

/// That a harness which a signal ends leaves nothing of this tool, which holds the FIFO, and that
/// its watchdog does not stay either.
void check_end_with_harness(const Words& argv, const Fifo& fifo) {
    const int signal = GENERATE(SIGKILL, SIGTERM, SIGINT);
    detail::adopt_orphans();
    Forked harness{[&] {
        restore_signals();
        keep(Process::spawn({.argv = argv}));
        return "started";
    }};
    REQUIRE(harness.text() == "started");
    REQUIRE(fifo.wait_for_holders(1));
    const int status = harness.end_by(signal);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == signal);
    CHECK(fifo.wait_for_end());
    CHECK(all_have_ended());
}

/// A child that a shell has started, and waits for.
Process wrapped(const Words& commands) {
    auto script = detail::shell_quote(CHILD_PROGRAM);
    for (const auto& word : commands) {
        script += ' ' + detail::shell_quote(word);
    }
    return Process::spawn({.argv = {"sh", "-c", script + "; exit $?"}});
}

bool is_ready(Process& process) {
    return detail::pump(process, soon(),
                        [&] { return process.out().find("ready") != std::string::npos; });
}

/// A process that a tool leaves behind: it holds the FIFO and tells its pid.
class Straggling {
public:
    /// What the tool is told: `how` is how it starts the straggler, which then does `what`.
    [[nodiscard]] Words words(Words how, const Words& what = {"wait"}) const {
        for (const auto& word : Words{"say-pid", "hold", fifo_.path(), "create", there_}) {
            how.push_back(word);
        }
        how.insert(how.end(), what.begin(), what.end());
        how.emplace_back("parent");
        return how;
    }

    /// What the tool does until the straggler is there.
    [[nodiscard]] Words await() const { return {"await", there_}; }

    [[nodiscard]] const Fifo& fifo() const { return fifo_; }

private:
    TemporaryDirectory directory_;
    Fifo fifo_;
    std::string there_ = directory_.file("there");
};

/// That a straggler which was started like this is ended and named when the tool exits by itself,
/// and when it is stopped.
void check_straggler(const Words& how) {
    const Straggling straggling;
    const bool exits = GENERATE(true, false);
    auto process = start(straggling.words(how), straggling.await(),
                         exits ? Words{"exit", "6"} : Words{"ready", "wait"});
    if (exits) {
        REQUIRE(process.wait(soon()));
        CHECK(process.status()->code() == 6);
    } else {
        REQUIRE(detail::pump(process, soon(),
                             [&] { return process.out().find("ready") != std::string::npos; }));
        CHECK(process.stop(long_time, 10ms).signal() == SIGTERM);
    }
    CHECK(process.left_behind() == Words{fmt::format("child ({})", told_pid(process.out()))});
    CHECK_FALSE(process.had_to_be_killed());
    CHECK(straggling.fifo().wait_for_end());
    CHECK_FALSE(has_children());
}

/// A copy of the child that runs as root whoever starts it. Skips where that can't be made.
class RootChild {
public:
    RootChild() {
        if (::geteuid() != 0) {
            SKIP("needs root: it makes a program that runs as root");
        }
        fs::copy_file(CHILD_PROGRAM, path());
        fs::permissions(path(), fs::perms{04755});
        fs::permissions(directory_.path(), fs::perms{0755});
        struct statvfs info {};
        if (::statvfs(path().c_str(), &info) == -1 || (info.f_flag & ST_NOSUID) != 0) {
            SKIP("programs in the directory for temporary files can't run as another user");
        }
    }

    [[nodiscard]] std::string path() const { return directory_.file("child"); }

private:
    TemporaryDirectory directory_;
};

} // namespace

// --- The end of the harness
// -------------------------------------------------------------------------

TEST_CASE("a tool ends with its harness", "[supervision]") {
    const Fifo fifo;
    check_end_with_harness({CHILD_PROGRAM, "hold", fifo.path(), "wait"}, fifo);
}

TEST_CASE("a tool behind a wrapper shell ends with its harness", "[supervision]") {
    const Fifo fifo;
    const auto command = fmt::format("{} ignore 15 ignore 1 hold {} wait; true",
                                     detail::shell_quote(CHILD_PROGRAM), fifo.path());
    check_end_with_harness({"sh", "-c", command}, fifo);
}

TEST_CASE("what a tool has started in a session of its own ends with its harness",
          "[supervision]") {
    const Fifo fifo;
    check_end_with_harness(
        {CHILD_PROGRAM, "fork", "leave-group", "hold", fifo.path(), "wait", "parent", "wait"},
        fifo);
}

TEST_CASE("a daemon that a tool has started ends with its harness", "[supervision]") {
    const Fifo fifo;
    check_end_with_harness(
        {CHILD_PROGRAM, "fork-twice", "leave-group", "hold", fifo.path(), "wait", "parent", "wait"},
        fifo);
}

TEST_CASE("a daemon whose tool has ended unnoticed ends with its harness", "[supervision]") {
    const Fifo fifo;
    check_end_with_harness({CHILD_PROGRAM, "fork-twice", "leave-group", "hold", fifo.path(), "wait",
                            "parent", "exit", "0"},
                           fifo);
}

TEST_CASE("a harness that is told to exit leaves nothing of a tool it has not stopped",
          "[supervision]") {
    const Fifo fifo;
    detail::adopt_orphans();
    const pid_t harness = detail::checked(::fork(), "fork");
    if (harness == 0) {
        ::alarm(100);
        try {
            keep(start({"fork", "leave-group", "hold", fifo.path(), "wait", "parent", "wait"}));
            ::_exit(fifo.wait_for_holders(1) ? 3 : 4);
        } catch (const std::exception&) {
            ::_exit(5);
        }
    }
    int status = 0;
    REQUIRE(::waitpid(harness, &status, 0) == harness);
    CHECK(WEXITSTATUS(status) == 3);
    CHECK(fifo.wait_for_end());
    CHECK(all_have_ended());
}

TEST_CASE("tools end with their harness although a process that it has forked lives on",
          "[supervision]") {
    const Fifo fifo;
    const Fifo survivors;
    support::Pipe life;
    detail::adopt_orphans();
    Forked harness{[&] {
        keep(start({"fork", "leave-group", "hold", fifo.path(), "wait", "parent", "wait"}));
        if (::fork() == 0) {
            ::alarm(100);
            life.write_end.reset();
            const int held = ::open(survivors.path().c_str(), O_WRONLY | O_CLOEXEC);
            char byte = '!';
            [[maybe_unused]] auto count = ::write(held, &byte, 1);
            count = ::read(life.read_end.get(), &byte, 1); // until the test closes the other end
            ::_exit(0);
        }
        return "";
    }};
    REQUIRE(fifo.wait_for_holders(1));
    REQUIRE(survivors.wait_for_holders(1));
    harness.kill();
    CHECK(fifo.wait_for_end());
    CHECK(survivors.is_held());
    life.write_end.reset();
    CHECK(all_have_ended());
}

// --- The watchdog
// -----------------------------------------------------------------------------------

TEST_CASE("the watchdog is no child of the harness", "[supervision]") {
    REQUIRE(start({"exit", "0"}).wait(soon()));
    CHECK(is_alive(detail::Watchdog::instance().pid()));
    CHECK_FALSE(has_children());
}

TEST_CASE("the watchdog has been waited for when the time to start is over", "[supervision]") {
    { const detail::Watchdog::Start meanwhile; }
    CHECK_FALSE(has_children());
    CHECK(is_alive(detail::Watchdog::instance().pid()));
}

TEST_CASE("threads that start their first tools at once share a watchdog", "[supervision]") {
    std::array<pid_t, 4> watchdogs{};
    std::vector<std::thread> threads;
    for (auto& watchdog : watchdogs) {
        threads.emplace_back([&watchdog] { watchdog = detail::Watchdog::instance().pid(); });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    CHECK(std::count(watchdogs.begin(), watchdogs.end(), watchdogs.front()) == 4);
    CHECK(watchdogs.front() > 0);
}

TEST_CASE("the watchdog holds no descriptor of the harness", "[supervision]") {
    support::Pipe pipe;
    REQUIRE(start({"exit", "0"}).wait(soon()));
    pipe.write_end.reset();
    detail::wait_for(pipe.read_end.get(), POLLIN, 30s, nullptr, "the end of a pipe");
    char byte = 0;
    CHECK(::read(pipe.read_end.get(), &byte, 1) == 0);
    CHECK(is_alive(detail::Watchdog::instance().pid()));
}

TEST_CASE("a harness outlives its watchdog, and still stops its tools", "[supervision]") {
    const SignalDisposition fatal{SIGPIPE, SIG_DFL};
    const Fifo fifo;
    detail::adopt_orphans();
    auto before = start({"hold", fifo.path(), "wait"});
    REQUIRE(fifo.wait_for_holders(1));
    const pid_t watchdog = detail::Watchdog::instance().pid();
    REQUIRE(::kill(watchdog, SIGKILL) == 0);
    REQUIRE(::waitpid(watchdog, nullptr, 0) == watchdog);
    auto after = start({"hold", fifo.path(), "wait"});
    REQUIRE(fifo.wait_for_holders(1));
    CHECK(after.stop(long_time).signal() == SIGTERM);
    CHECK(before.stop(long_time).signal() == SIGTERM);
    CHECK(fifo.wait_for_end());
    CHECK_FALSE(has_children());
}

TEST_CASE("a process forked from the harness has a watchdog of its own", "[supervision]") {
    const Fifo of_harness;
    const Fifo of_forked;
    auto process = start({"hold", of_harness.path(), "wait"});
    REQUIRE(of_harness.wait_for_holders(1));
    const pid_t watchdog = detail::Watchdog::instance().pid();
    Forked forked{[&] {
        keep(start({"fork", "leave-group", "hold", of_forked.path(), "wait", "parent", "wait"}));
        return fmt::format("pid {}", detail::Watchdog::instance().pid());
    }};
    const pid_t other = told_pid(forked.text());
    CHECK(other > 0);
    CHECK(other != watchdog);
    REQUIRE(of_forked.wait_for_holders(1));
    forked.kill();
    CHECK(of_forked.wait_for_end());
    CHECK(of_harness.is_held());
    CHECK(is_alive(watchdog));
    CHECK(process.stop(long_time).signal() == SIGTERM);
}

TEST_CASE("the watchdog does without the harness's standard streams", "[supervision]") {
    const Fifo fifo;
    detail::adopt_orphans();
    Forked harness{[&] {
        for (const int fd : {0, 1, 2}) {
            ::close(fd);
        }
        keep(start({"fork", "leave-group", "hold", fifo.path(), "wait", "parent", "wait"}));
        const detail::UniqueFd null{::open("/dev/null", O_RDWR | O_CLOEXEC)};
        for (const int fd : {0, 1, 2}) {
            ::dup2(null.get(), fd);
        }
        return fmt::format("pid {}", detail::Watchdog::instance().pid());
    }};
    const pid_t watchdog = told_pid(harness.text());
    REQUIRE(watchdog > 0);
    REQUIRE(fifo.wait_for_holders(1));
    pollfd entry{.fd = -1, .events = 0, .revents = 0};
    CHECK_FALSE(detail::poll_once({&entry, 1}, 50ms)); // time in which nothing must happen
    CHECK(::waitpid(watchdog, nullptr, WNOHANG) == 0);
    CHECK(fifo.is_held());
    harness.kill();
    CHECK(fifo.wait_for_end());
    CHECK(all_have_ended());
}

// --- A harness that is a tool itself
// ----------------------------------------------------------------

TEST_CASE("a harness for the tests that start one", "[.harness]") {
    const auto environment = current_environment();
    const auto& fifo = environment.at("HARNESS_FIFO");
    auto process =
        start({"fork", "leave-group", "hold", fifo, "wait", "parent", "hold", fifo, "wait"});
    if (environment.contains("HARNESS_STOPS")) {
        process.stop(long_time, 0ms);
        return;
    }
    process.wait(soon());
}

namespace {

/// This program, as a harness that starts a tool.
SpawnOptions nested_harness(const Fifo& fifo) {
    SpawnOptions options{.argv = {fs::read_symlink("/proc/self/exe"),
                                  "a harness for the tests that start one", "--network=host"}};
    options.environment["HARNESS_FIFO"] = fifo.path();
    return options;
}

} // namespace

TEST_CASE("a harness that is killed as a tool leaves none of its own tools", "[supervision]") {
    const Fifo fifo;
    {
        const auto harness = Process::spawn(nested_harness(fifo));
        REQUIRE(fifo.wait_for_holders(2));
    }
    CHECK(fifo.wait_for_end());
    CHECK_FALSE(has_children());
}

TEST_CASE("a harness that is killed as a tool and was given an environment leaves none either",
          "[supervision]") {
    const Fifo fifo;
    {
        auto options = nested_harness(fifo);
        options.environment = {{"HARNESS_FIFO", fifo.path()}};
        const auto harness = Process::spawn(options);
        REQUIRE(fifo.wait_for_holders(2));
    }
    CHECK(fifo.wait_for_end());
    CHECK_FALSE(has_children());
}

TEST_CASE("the watchdog of a harness that has ended as a tool is nothing left behind",
          "[supervision]") {
    const Fifo fifo;
    auto options = nested_harness(fifo);
    options.environment["HARNESS_STOPS"] = "1";
    auto harness = Process::spawn(options);
    REQUIRE(harness.wait(soon()));
    CHECK(harness.status()->code() == 0);
    CHECK(harness.left_behind().empty());
    CHECK_FALSE(has_children());
}

// --- What a tool leaves behind
// ----------------------------------------------------------------------

TEST_CASE("a child in the tool's group is ended with it, and named", "[supervision]") {
    check_straggler({"fork"});
}

TEST_CASE("a child in a group of its own is ended with the tool, and named", "[supervision]") {
    check_straggler({"fork", "own-group"});
}

TEST_CASE("a child in a session of its own is ended with the tool, and named", "[supervision]") {
    check_straggler({"fork", "leave-group"});
}

TEST_CASE("a child that ignores SIGTERM is ended with the tool, and named", "[supervision]") {
    check_straggler({"fork", "ignore", "15", "leave-group"});
}

TEST_CASE("a daemon is ended with the tool, and named", "[supervision]") {
    check_straggler({"fork-twice", "leave-group"});
}

TEST_CASE("an orphan in the tool's session is ended with the tool, and named", "[supervision]") {
    check_straggler({"fork-twice", "own-group"});
}

TEST_CASE("a child that has overwritten its environment is found by its session", "[supervision]") {
    check_straggler({"fork", "leave-group", "overwrite-environment"});
}

TEST_CASE("a child that has overwritten its environment is found in the tool's session",
          "[supervision]") {
    check_straggler({"fork", "own-group", "overwrite-environment"});
}

TEST_CASE("a child with another environment in a session of its own is ended", "[supervision]") {
    const Fifo fifo;
    const TemporaryDirectory directory;
    const auto child = detail::shell_quote(CHILD_PROGRAM);
    const auto there = directory.file("there");
    const auto command = fmt::format("env -i setsid {} hold {} create {} wait & exec {} await {}",
                                     child, fifo.path(), there, child, there);
    auto process = Process::spawn({.argv = {"sh", "-c", command}});
    REQUIRE(process.wait(soon()));
    CHECK(process.left_behind().size() == 1);
    CHECK(fifo.wait_for_end());
    CHECK_FALSE(has_children());
}

TEST_CASE("a child of a child is ended with the tool", "[supervision]") {
    const Straggling inner;
    auto commands = Words{"fork", "say-pid"};
    for (const auto& word : inner.words({"fork", "leave-group"})) {
        commands.push_back(word);
    }
    auto process = start(commands, Words{"wait", "parent"}, inner.await(), Words{"exit", "0"});
    REQUIRE(process.wait(soon()));
    REQUIRE_FALSE(process.left_behind().empty());
    CHECK(process.left_behind().front() == fmt::format("child ({})", told_pid(process.out())));
    CHECK(inner.fifo().wait_for_end());
    CHECK_FALSE(has_children());
}

TEST_CASE("what leaves orphans without end is ended with the tool", "[supervision]") {
    auto process =
        Process::spawn({.argv = {"/bin/sh", "-c", "while :; do (true &); done & exit 0"}});
    REQUIRE(process.wait(soon()));
    CHECK_FALSE(process.left_behind().empty());
    CHECK(all_have_ended());
}

TEST_CASE("a child that is stopped by SIGSTOP is ended with the tool", "[supervision]") {
    const Straggling straggling;
    auto process = start(straggling.words({"fork", "leave-group"}, {"stop"}), straggling.await());
    REQUIRE(process.wait(soon()));
    CHECK(process.left_behind().size() == 1);
    CHECK(straggling.fifo().wait_for_end());
}

TEST_CASE("many that a tool leaves behind are all ended and named", "[supervision]") {
    const Fifo fifo;
    constexpr int count = 30;
    Words commands;
    for (int i = 0; i < count; ++i) {
        for (const auto& word :
             Words{"fork-twice", "leave-group", "hold", fifo.path(), "wait", "parent"}) {
            commands.push_back(word);
        }
    }
    auto process = start(commands, Words{"wait"});
    REQUIRE(fifo.wait_for_holders(count));
    process.stop(long_time, 0ms);
    CHECK(process.left_behind().size() == count);
    CHECK(fifo.wait_for_end());
    CHECK_FALSE(has_children());
}

TEST_CASE("an orphan that had ended before the tool leaves no zombie", "[supervision]") {
    const Fifo fifo;
    const TemporaryDirectory directory;
    const auto over = directory.file("over");
    auto process = start({"fork-twice", "own-group", "hold", fifo.path(), "exit", "0", "parent",
                          "await", over, "exit", "0"});
    REQUIRE(fifo.wait_for_holders(1));
    REQUIRE(fifo.wait_for_end());
    std::ofstream{over} << "";
    REQUIRE(process.wait(soon()));
    CHECK_FALSE(has_children());
}

TEST_CASE("a tool that ends all it has started leaves nothing behind", "[supervision]") {
    auto process = start({"fork-twice", "leave-group", "exit", "0", "parent", "wait"});
    CHECK(process.stop(long_time).signal() == SIGTERM);
    CHECK(process.left_behind().empty());
    CHECK_FALSE(has_children());
}

// --- A tool behind a wrapper that does not pass SIGTERM on
// -------------------------------------------

TEST_CASE("a tool is told to end where its wrapper dies without telling it", "[supervision]") {
    const Fifo fifo;
    const TemporaryDirectory directory;
    auto process = wrapped(
        {"end-noting", directory.file("note"), "told", "hold", fifo.path(), "ready", "wait"});
    REQUIRE(is_ready(process));
    CHECK(process.stop(long_time, 0ms).signal() == SIGTERM);
    CHECK(process.left_behind().empty());
    CHECK_FALSE(process.had_to_be_killed());
    CHECK(fs::file_size(directory.file("note")) == 4);
    CHECK(fifo.wait_for_end());
    CHECK_FALSE(has_children());
}

TEST_CASE("a wrapper has not ended before its tool, which has all the time to", "[supervision]") {
    const TemporaryDirectory directory;
    const auto may_end = directory.file("may-end");
    auto process = wrapped({"end-when", may_end, "ready", "wait"});
    REQUIRE(is_ready(process));
    process.terminate(0ms);
    CHECK_FALSE(detail::pump(process, Deadline::after(50ms), [&] { return process.has_ended(); }));
    std::ofstream{may_end} << "";
    CHECK(process.stop(long_time, 0ms).signal() == SIGTERM);
    CHECK(process.left_behind().empty());
    CHECK_FALSE(process.had_to_be_killed());
}

TEST_CASE("a tool that ignores SIGTERM is killed behind a wrapper too", "[supervision]") {
    const Fifo fifo;
    auto process = wrapped({"ignore", "15", "hold", fifo.path(), "ready", "wait"});
    REQUIRE(is_ready(process));
    process.stop(100ms, 0ms);
    CHECK(process.had_to_be_killed());
    CHECK(fifo.wait_for_end());
    CHECK_FALSE(has_children());
}

TEST_CASE("what a tool behind a wrapper leaves behind is named", "[supervision]") {
    auto process = wrapped({"fork", "leave-group", "ready", "wait", "parent", "wait"});
    REQUIRE(is_ready(process));
    CHECK(process.stop(long_time, 0ms).signal() == SIGTERM);
    CHECK(process.left_behind().size() == 1);
    CHECK_FALSE(has_children());
}

TEST_CASE("what a wrapper leaves behind that handles SIGTERM itself is not told", "[supervision]") {
    auto process = Process::spawn({.argv = {"sh", "-c",
                                            fmt::format("trap 'exit 0' TERM; {} ready wait & wait",
                                                        detail::shell_quote(CHILD_PROGRAM))}});
    REQUIRE(is_ready(process));
    CHECK(process.stop(long_time, 0ms).code() == 0);
    CHECK(process.left_behind().size() == 1);
}

TEST_CASE("what a tool leaves behind that listens itself, and is no wrapper, is not told",
          "[supervision]") {
    auto process = start({"bind", "127.0.0.1", "0", "listen", "fork", "exec", "/bin/sh", "-c",
                          "echo ready; exec sleep 60", "parent", "wait"});
    REQUIRE(is_ready(process));
    CHECK(process.stop(long_time, 0ms).signal() == SIGTERM);
    CHECK(process.left_behind().size() == 1);
    CHECK_FALSE(has_children());
}

TEST_CASE("nobody is told to end where a wrapper is killed", "[supervision]") {
    const TemporaryDirectory directory;
    auto process = wrapped({"end-noting", directory.file("note"), "told", "ready", "wait"});
    REQUIRE(is_ready(process));
    process.signal(SIGKILL);
    REQUIRE(process.wait(soon()));
    CHECK(process.left_behind().size() == 1);
    CHECK_FALSE(fs::exists(directory.file("note")));
}

// --- How long it may take
// ---------------------------------------------------------------------------

TEST_CASE("what ends within the time that a tool may linger is not left behind", "[supervision]") {
    const TemporaryDirectory directory;
    const auto done = directory.file("done");
    const Straggling straggling;
    auto process = start(straggling.words({"fork", "leave-group"}, {"await", done, "exit", "0"}),
                         Words{"wait"});
    REQUIRE(straggling.fifo().wait_for_holders(1));
    process.terminate(long_time);
    REQUIRE(detail::pump(process, soon(), [&] { return process.has_ended(); }));
    CHECK_FALSE(process.wait(Deadline::after(20ms))); // not before the child
    CHECK(straggling.fifo().is_held());
    std::ofstream{done} << "";
    const auto status = process.wait(soon());
    REQUIRE(status);
    CHECK(status->signal() == SIGTERM);
    CHECK(process.left_behind().empty());
    CHECK_FALSE(process.had_to_be_killed());
    CHECK(straggling.fifo().wait_for_end());
    CHECK_FALSE(has_children());
}

TEST_CASE("stop waits for what ends by itself as long as it may linger", "[supervision]") {
    const Straggling straggling;
    auto process = start(straggling.words({"fork", "leave-group", "end-slowly", "100"},
                                          {"await", "/proc/self/no-such-file"}),
                         Words{"wait"});
    REQUIRE(straggling.fifo().wait_for_holders(1));
    const pid_t child = told_pid(process);
    REQUIRE(child > 0);
    REQUIRE(::kill(child, SIGTERM) == 0);
    CHECK(process.stop(long_time, long_time).signal() == SIGTERM);
    CHECK(process.left_behind().empty());
    CHECK(straggling.fifo().wait_for_end());
}

TEST_CASE("what does not end is killed when the time to linger is over, not later",
          "[supervision]") {
    const Straggling straggling;
    auto process = start(straggling.words({"fork", "leave-group"}), Words{"wait"});
    REQUIRE(straggling.fifo().wait_for_holders(1));
    const auto begin = Clock::now();
    CHECK(process.stop(long_time, 100ms).signal() == SIGTERM);
    const auto taken = Clock::now() - begin;
    CHECK(taken >= 100ms);
    CHECK(taken < long_time / 2);
    CHECK(process.left_behind().size() == 1);
}

TEST_CASE("a tool that has lingered ran no longer for that", "[supervision]") {
    const Straggling straggling;
    auto process = start(straggling.words({"fork", "leave-group"}), Words{"wait"});
    REQUIRE(straggling.fifo().wait_for_holders(1));
    process.terminate(300ms);
    REQUIRE(detail::pump(process, soon(), [&] { return process.has_ended(); }));
    const auto ran = process.run_time();
    REQUIRE(process.wait(soon()));
    CHECK(process.run_time() == ran);
}

TEST_CASE("the destructor does not wait for what lingers", "[supervision]") {
    const Straggling straggling;
    const auto begin = Clock::now();
    {
        auto process = start(straggling.words({"fork", "leave-group"}), Words{"wait"});
        REQUIRE(straggling.fifo().wait_for_holders(1));
        process.terminate(long_time);
        REQUIRE(detail::pump(process, soon(), [&] { return process.has_ended(); }));
    }
    CHECK(Clock::now() - begin < long_time / 2);
    CHECK(straggling.fifo().wait_for_end());
    CHECK_FALSE(has_children());
}

// --- What is none of a tool's
// -----------------------------------------------------------------------

TEST_CASE("the end of a tool touches no child that the test has started", "[supervision]") {
    const Forked own{[] { return ""; }};
    auto process = start({"exit", "0"});
    REQUIRE(process.wait(soon()));
    CHECK(process.left_behind().empty());
    CHECK(::waitpid(own.pid(), nullptr, WNOHANG) == 0);
}

TEST_CASE("the end of a tool touches no child in a group that the test has made", "[supervision]") {
    Forked own{[] { return fmt::format("{}", ::setpgid(0, 0)); }};
    REQUIRE(own.text() == "0");
    auto process = start({"exit", "0"});
    REQUIRE(process.wait(soon()));
    CHECK(process.left_behind().empty());
    CHECK(::waitpid(own.pid(), nullptr, WNOHANG) == 0);
}

TEST_CASE("the end of a tool touches no other tool and nothing that this has started",
          "[supervision]") {
    const Words how = GENERATE(Words{"fork", "leave-group"}, Words{"fork-twice", "leave-group"},
                               Words{"fork-twice", "own-group"},
                               Words{"fork-twice", "own-group", "overwrite-environment"});
    const Straggling straggling;
    auto other = start(straggling.words(how), Words{"wait"});
    REQUIRE(straggling.fifo().wait_for_holders(1));
    auto process = start({"exit", "0"});
    REQUIRE(process.wait(soon()));
    CHECK(process.left_behind().empty());
    CHECK(straggling.fifo().is_held());
    CHECK_FALSE(other.wait(Deadline::after(10ms)));
    CHECK(other.stop(long_time, 0ms).signal() == SIGTERM);
    CHECK(other.left_behind().size() == 1);
    CHECK(straggling.fifo().wait_for_end());
}

TEST_CASE("the end of a tool leaves the test its own zombies", "[supervision]") {
    const pid_t own = detail::checked(::fork(), "fork");
    if (own == 0) {
        ::_exit(7);
    }
    siginfo_t info{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(own), &info, WEXITED | WNOWAIT) == 0);
    auto process = start({"exit", "0"});
    REQUIRE(process.wait(soon()));
    CHECK(process.left_behind().empty());
    int status = 0;
    REQUIRE(::waitpid(own, &status, WNOHANG) == own);
    CHECK(WEXITSTATUS(status) == 7);
}

// --- Ends that can't be seen, or brought about
// ------------------------------------------------------

TEST_CASE("an unknown end is told by its reason alone", "[supervision]") {
    const auto status = ExitStatus::unknown("was not looked at");
    CHECK(status.text() == "was not looked at");
    CHECK_FALSE(status.code());
    CHECK_FALSE(status.signal());
    CHECK_FALSE(status.core_dumped());
    CHECK(status == ExitStatus::unknown("was not looked at"));
    CHECK_FALSE(status == ExitStatus::unknown("is another"));
}

TEST_CASE("a handler that reaps all children takes the status, but no wait hangs",
          "[supervision]") {
    const SignalDisposition reaping{SIGCHLD, [](int) {
                                        const int error = errno;
                                        while (::waitpid(-1, nullptr, WNOHANG) > 0) {
                                        }
                                        errno = error;
                                    }};
    SECTION("of a tool that ends by itself") {
        auto process = start({"exit", "3"});
        const auto status = process.wait(soon());
        REQUIRE(status);
        CHECK_FALSE(status->code());
        CHECK_FALSE(status->signal());
        CHECK_THAT(status->text(), ContainsSubstring("somebody else has taken its status"));
    }
    SECTION("of a tool that is stopped") {
        auto process = start({"wait"});
        CHECK_THAT(process.stop(long_time).text(),
                   ContainsSubstring("somebody else has taken its status"));
        CHECK_FALSE(process.had_to_be_killed());
    }
    SECTION("of a tool that leaves something behind") {
        const Straggling straggling;
        auto process = start(straggling.words({"fork", "leave-group"}), straggling.await());
        REQUIRE(process.wait(soon()));
        CHECK(process.left_behind().size() == 1);
        CHECK(straggling.fifo().wait_for_end());
    }
}

TEST_CASE("a tool that can't be ended is said to be still there", "[supervision]") {
    const RootChild root_child;
    detail::adopt_orphans();
    Forked harness{[&] {
        support::become_nobody();
        auto& tool = keep(Process::spawn(
            {.argv = {root_child.path(), "become-root", "ignore", "15", "say-pid", "wait"}}));
        const pid_t pid = told_pid(tool);
        const auto begin = Clock::now();
        const auto status = tool.stop(50ms);
        const bool fast = Clock::now() - begin < long_time / 2;
        return fmt::format("pid {} {}{}", pid, status.text(), fast ? "" : ", after a long time");
    }};
    const auto told = harness.text();
    const pid_t pid = told_pid(told);
    REQUIRE(pid > 0);
    CHECK_THAT(told, ContainsSubstring("could not be ended") &&
                         ContainsSubstring("Operation not permitted") &&
                         ContainsSubstring(fmt::format("process {} is still there", pid)));
    CHECK_THAT(told, !ContainsSubstring("after a long time"));
    harness.kill();
    CHECK(::kill(pid, SIGKILL) == 0);
    CHECK(all_have_ended());
}

TEST_CASE("what a tool leaves behind and can't be ended is named and not waited for",
          "[supervision]") {
    const RootChild root_child;
    detail::adopt_orphans();
    Forked harness{[&] {
        support::become_nobody();
        auto& tool = keep(start({"fork", "exec", root_child.path(), "become-root", "say-pid",
                                 "wait", "parent", "wait"}));
        const pid_t pid = told_pid(tool);
        const auto begin = Clock::now();
        tool.stop(long_time, 10ms);
        const bool fast = Clock::now() - begin < long_time / 2;
        return fmt::format("pid {} {}{}", pid, detail::joined(tool.left_behind(), ", "),
                           fast ? "" : ", after a long time");
    }};
    const auto told = harness.text();
    const pid_t pid = told_pid(told);
    REQUIRE(pid > 0);
    CHECK(told == fmt::format("pid {} child ({})", pid, pid));
    harness.kill();
    CHECK(::kill(pid, SIGKILL) == 0);
    CHECK(all_have_ended());
}

TEST_CASE("a core dump is told", "[supervision]") {
    std::string pattern;
    std::getline(std::ifstream{"/proc/sys/kernel/core_pattern"}, pattern);
    if (pattern.empty() || pattern.find_first_of("|/") != std::string::npos) {
        SKIP("this system writes core dumps elsewhere");
    }
    const TemporaryDirectory directory;
    SpawnOptions options{.argv = {"sh", "-c", "ulimit -c unlimited && kill -s ABRT $$"}};
    options.directory = directory.path();
    auto process = Process::spawn(options);
    const auto status = process.wait(soon());
    REQUIRE(status);
    if (status->signal() != SIGABRT) {
        SKIP("this user may not write core dumps");
    }
    CHECK(status->core_dumped());
    CHECK_THAT(status->text(), StartsWith("was killed by signal 6 (") &&
                                   Catch::Matchers::EndsWith("), core dumped"));
}

TEST_CASE("no core dump is told where none was written", "[supervision]") {
    auto process = start({"kill", "6"});
    const auto status = process.wait(soon());
    REQUIRE(status);
    CHECK(status->signal() == SIGABRT);
    CHECK_FALSE(status->core_dumped());
}

TEST_CASE("a tool that is stopped by SIGSTOP and ignores SIGTERM is killed", "[supervision]") {
    auto process = start({"ignore", "15", "stop", "stop", "wait"});
    siginfo_t info{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(process.pid()), &info, WSTOPPED | WNOWAIT) == 0);
    CHECK(process.stop(50ms).signal() == SIGKILL);
    CHECK(process.had_to_be_killed());
    CHECK_FALSE(has_children());
}
