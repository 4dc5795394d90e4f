#include <test_tunnel/deadline.hpp>
#include <test_tunnel/detail/capture.hpp>
#include <test_tunnel/detail/find_program.hpp>
#include <test_tunnel/detail/text.hpp>
#include <test_tunnel/process.hpp>

#include <fcntl.h>
#include <signal.h> // NOLINT(modernize-deprecated-headers): sigaction is POSIX, not C
#include <spdlog/sinks/ostream_sink.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "support/child.hpp"
#include "support/fifo.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

using support::child;
using support::Fifo;
using support::has_children;
using support::SignalDisposition;
using support::soon;
using support::start;
using support::TemporaryDirectory;
using support::Words;

namespace fs = std::filesystem;

namespace {

/// What the child prints; it must end by itself.
std::string output_of(SpawnOptions options) {
    auto process = Process::spawn(std::move(options));
    REQUIRE(process.wait(soon()));
    CHECK(process.err().empty());
    CHECK(process.status()->code() == 0);
    return process.out();
}

std::string output_of(Words commands) {
    return output_of(child(std::move(commands)));
}

void wait_for_output(Process& process, const std::string& text) {
    REQUIRE(detail::pump(process, soon(),
                         [&] { return process.out().find(text) != std::string::npos; }));
}

std::size_t count_descriptors() {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator{"/proc/self/fd"}, fs::directory_iterator{}));
}

class CurrentDirectory {
public:
    explicit CurrentDirectory(const fs::path& path) { fs::current_path(path); }
    CurrentDirectory(const CurrentDirectory&) = delete;
    CurrentDirectory& operator=(const CurrentDirectory&) = delete;
    ~CurrentDirectory() {
        std::error_code ignored;
        fs::current_path(before_, ignored);
    }

private:
    fs::path before_ = fs::current_path();
};

std::shared_ptr<Logger> logger_to(std::ostream& stream, spdlog::level::level_enum level) {
    auto log =
        std::make_shared<Logger>("", std::make_shared<spdlog::sinks::ostream_sink_st>(stream));
    log->set_pattern("%v");
    log->set_level(level);
    return log;
}

std::string message_of(SpawnOptions options) {
    try {
        Process::spawn(std::move(options));
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

#if defined(__SANITIZE_ADDRESS__)
constexpr int many_processes = 50;
#else
constexpr int many_processes = 1000;
#endif

} // namespace

// --- What a child is started with
// -------------------------------------------------------------------

TEST_CASE("a child gets its arguments as they are", "[process]") {
    CHECK(output_of({"args", "", "two words", "*", "'\"$HOME\\", "ü\n"}) ==
          "[]\n[two words]\n[*]\n['\"$HOME\\]\n[ü\n]\n");
}

TEST_CASE("a child has the environment that it was given and no other", "[process]") {
    ::setenv("TEST_TUNNEL_OF_THE_PARENT", "1", 1); // NOLINT(concurrency-mt-unsafe)
    auto options = child({"env", "GIVEN", "env", "EMPTY", "env", "TEST_TUNNEL_OF_THE_PARENT"});
    options.environment = {{"GIVEN", "a=b c"}, {"EMPTY", ""}};
    CHECK(output_of(options) == "a=b c\n\n(none)\n");
}

TEST_CASE("a child runs in the directory that was asked for", "[process]") {
    auto options = child({"directory"});
    options.directory = "/proc";
    CHECK(output_of(options) == "/proc\n");
}

TEST_CASE("a child runs in the current directory where none was asked for", "[process]") {
    CHECK(output_of({"directory"}) == fs::current_path().string() + "\n");
}

TEST_CASE("a child's standard input is empty", "[process]") {
    CHECK(output_of({"input"}) == "0\n");
}

TEST_CASE("a child gets no descriptor but its standard streams", "[process]") {
    std::vector<detail::UniqueFd> inherited;
    for (int i = 0; i < 200; ++i) {
        inherited.emplace_back(detail::checked(::dup(2), "dup"));
    }
    CHECK(output_of({"descriptors"}).size() == std::string_view{"0 1 2 \n"}.size());
}

TEST_CASE("a child has its standard streams where the parent has closed its own", "[process]") {
    // Each of the eight combinations; nothing is asserted, and so printed, while they are closed.
    std::vector<std::string> outputs;
    for (unsigned closed = 0; closed < 8; ++closed) {
        std::vector<detail::UniqueFd> saved;
        for (int fd = 0; fd < 3; ++fd) {
            saved.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 10));
        }
        for (int fd = 0; fd < 3; ++fd) {
            if ((closed >> static_cast<unsigned>(fd) & 1U) != 0) {
                ::close(fd);
            }
        }
        std::string output;
        try {
            auto process = start({"descriptors", "input", "out", "to out", "err", "to err"});
            process.wait(soon());
            output = process.out() + "|" + process.err();
        } catch (const std::exception& error) {
            output = error.what();
        }
        for (int fd = 0; fd < 3; ++fd) {
            ::dup2(saved[static_cast<std::size_t>(fd)].get(), fd);
        }
        outputs.push_back(output);
    }
    for (const auto& output : outputs) {
        CHECK(output.size() == std::string_view{"0 1 2 \n0\nto out|to err"}.size());
        CHECK_THAT(output, EndsWith("\n0\nto out|to err"));
    }
}

TEST_CASE("a child blocks and ignores no signal, whatever its parent does", "[process]") {
    const SignalDisposition hangup{SIGHUP, SIG_IGN};
    const SignalDisposition interrupt{SIGINT, SIG_IGN};
    const SignalDisposition pipe{SIGPIPE, SIG_IGN};
    const SignalDisposition real_time{SIGRTMIN + 1, SIG_IGN};
    sigset_t blocked;
    sigset_t before;
    ::sigemptyset(&blocked);
    for (const int number : {SIGTERM, SIGUSR1, SIGCHLD, SIGRTMIN + 2}) {
        ::sigaddset(&blocked, number);
    }
    ::pthread_sigmask(SIG_SETMASK, &blocked, &before);
    const auto output = output_of({"signals"});
    sigset_t after;
    ::pthread_sigmask(SIG_SETMASK, &before, &after);
    CHECK(output == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    for (int number = 1; number <= SIGRTMAX; ++number) {
        CHECK(::sigismember(&after, number) == ::sigismember(&blocked, number));
    }
}

TEST_CASE("a child leads a process group of its own", "[process]") {
    CHECK(output_of({"group"}) == "leads a group\n");
}

// --- How it ended
// -----------------------------------------------------------------------------------

TEST_CASE("a status and a signal of the same number are told apart", "[process]") {
    struct Case {
        Words commands;
        std::optional<int> code;
        std::optional<int> signal;
        std::string text;
    };
    const std::vector<Case> cases{
        {{"exit", "0"}, 0, {}, "exited with status 0"},
        {{"exit", "1"}, 1, {}, "exited with status 1"},
        {{"exit", "9"}, 9, {}, "exited with status 9"},
        {{"exit", "143"}, 143, {}, "exited with status 143"},
        {{"kill", "9"}, {}, 9, "was killed by signal 9 (Killed)"},
        {{"kill", "15"}, {}, 15, "was killed by signal 15 (Terminated)"},
        {{"kill", "11"}, {}, 11, "was killed by signal 11 (Segmentation fault)"},
    };
    for (const auto& [commands, code, signal, text] : cases) {
        auto process = start(commands);
        const auto status = process.wait(soon());
        REQUIRE(status);
        CHECK(status->code() == code);
        CHECK(status->signal() == signal);
        CHECK(status->text() == text);
        CHECK_FALSE(process.had_to_be_killed());
        CHECK_FALSE(process.was_told_to_end());
    }
}

TEST_CASE("a process that runs has no status, and waiting for it ends in time", "[process]") {
    auto process = start({"wait"});
    CHECK_FALSE(process.wait(Deadline::after(20ms)));
    CHECK_FALSE(process.status());
}

TEST_CASE("what a program writes is had by waiting for its end", "[process]") {
    CHECK(start({"out", "a key", "err", "a warning"}).finish(60s) == "a key");
}

TEST_CASE("a program that fails says why to whom needs what it makes", "[process]") {
    CHECK_THROWS_WITH(start({"err", "no entropy\n", "exit", "3"}).finish(60s),
                      ContainsSubstring("child err") &&
                          EndsWith("exit 3: it exited with status 3: no entropy\n"));
    CHECK_THROWS_WITH(start({"kill", "9"}).finish(60s), EndsWith("signal 9 (Killed)"));
    CHECK_THROWS_AS(start({"exit", "1"}).finish(60s), SetupError);
    CHECK_THROWS_WITH(start({"wait"}).finish(20ms),
                      EndsWith("it has not ended within " + detail::text_of(detail::scaled(20ms))));
}

TEST_CASE("the time that a process ran stands still when it has ended", "[process]") {
    auto process = start({"sleep", "20"});
    REQUIRE(process.wait(soon()));
    const auto ran = process.run_time();
    CHECK(ran >= 20ms);
    CHECK(process.run_time() == ran);
}

TEST_CASE("a process is named by its file and its command line can be pasted", "[process]") {
    const auto process = start({"args", "two words", "it's"});
    CHECK(process.name() == fs::path{CHILD_PROGRAM}.filename());
    CHECK_THAT(process.command_line(), EndsWith("child args 'two words' 'it'\\''s'"));
}

// --- What can't be started
// --------------------------------------------------------------------------

TEST_CASE("a program that is not there is a missing tool, and named", "[process]") {
    const std::string name =
        GENERATE("no-such-tool", "/no/such/tool", "./no-such-tool", CHILD_PROGRAM "/no-such-tool");
    CHECK_THROWS_AS(Process::spawn({.argv = {name}}), ToolMissing);
    CHECK_THAT(message_of({.argv = {name}}), ContainsSubstring(name));
}

TEST_CASE("no program at all is a missing tool", "[process]") {
    CHECK_THROWS_AS(Process::spawn({.argv = {}}), ToolMissing);
    CHECK_THROWS_AS(Process::spawn({.argv = {""}}), ToolMissing);
    CHECK(message_of({.argv = {""}}) == "no program was given");
}

TEST_CASE("a directory can't be run", "[process]") {
    const TemporaryDirectory directory;
    const SpawnOptions options{.argv = {directory.file("")}};
    CHECK_THROWS_AS(Process::spawn(options), ToolNotExecutable);
    CHECK_THAT(message_of(options), ContainsSubstring(directory.file("")) &&
                                        ContainsSubstring("is a directory, not a program"));
}

TEST_CASE("a file that nobody may run can't be run, not by root either", "[process]") {
    const TemporaryDirectory directory;
    const auto path = directory.write("tool", "#!/bin/sh\n", fs::perms{0640});
    CHECK_THROWS_AS(Process::spawn({.argv = {path}}), ToolNotExecutable);
    CHECK(message_of({.argv = {path}}) == path + " is not executable (mode 0640)");
}

TEST_CASE("a text without an interpreter can't be run", "[process]") {
    const TemporaryDirectory directory;
    const auto path = directory.write("tool", "echo a shell would run this\n", fs::perms{0755});
    CHECK_THROWS_AS(Process::spawn({.argv = {path}}), ToolNotExecutable);
    CHECK(message_of({.argv = {path}}) == path + ": Exec format error");
}

TEST_CASE("a script whose interpreter is missing says so", "[process]") {
    const TemporaryDirectory directory;
    const auto path = directory.write("tool", "#!/no/such/interpreter\n", fs::perms{0755});
    CHECK_THROWS_AS(Process::spawn({.argv = {path}}), ToolNotExecutable);
    CHECK_THAT(message_of({.argv = {path}}),
               StartsWith(path) && ContainsSubstring("interpreter") && EndsWith("is missing"));
}

TEST_CASE("a program whose dynamic loader is missing says so", "[process]") {
    // A copy of the child that names another loader, of the same length.
    std::ifstream file{CHILD_PROGRAM, std::ios::binary};
    std::string program{std::istreambuf_iterator<char>{file}, {}};
    const auto loader = program.find("/ld-");
    if (loader == std::string::npos || loader > 4096) {
        SKIP("the child is linked statically");
    }
    program.replace(loader, 4, "/no-");
    const TemporaryDirectory directory;
    const auto path = directory.write("tool", program, fs::perms{0755});
    CHECK_THROWS_AS(Process::spawn({.argv = {path}}), ToolNotExecutable);
    CHECK_THAT(message_of({.argv = {path}}),
               StartsWith(path) && ContainsSubstring("dynamic loader") && EndsWith("is missing"));
}

TEST_CASE("a working directory that is not there is an error that names it", "[process]") {
    auto options = child({"exit", "0"});
    options.directory = "/no/such/directory";
    CHECK_THAT(message_of(options), ContainsSubstring("/no/such/directory") &&
                                        ContainsSubstring("exit 0") &&
                                        EndsWith("No such file or directory"));
    try {
        Process::spawn(options);
        FAIL("it was started");
    } catch (const SystemError& error) {
        CHECK(error.code() == ENOENT);
    }
}

TEST_CASE("what could not be started leaves neither descriptors nor zombies", "[process]") {
    const TemporaryDirectory directory;
    const auto path = directory.write("tool", "#!/no/such/interpreter\n", fs::perms{0755});
    start({"exit", "0"}); // the watchdog is there from now on
    const auto before = count_descriptors();
    for (int i = 0; i < 20; ++i) {
        CHECK_THROWS_AS(Process::spawn({.argv = {path}}), ToolNotExecutable);
    }
    CHECK(count_descriptors() == before);
    CHECK_FALSE(has_children());
}

TEST_CASE("nothing is started while SIGCHLD is ignored: no end could be seen", "[process]") {
    const SignalDisposition ignored{SIGCHLD, SIG_IGN};
    CHECK_THROWS_AS(start({"exit", "0"}), InvalidConfig);
    CHECK_THAT(message_of(child({"exit", "0"})),
               StartsWith("SIGCHLD is ignored") &&
                   ContainsSubstring("call signal(SIGCHLD, SIG_DFL) first"));
    CHECK_FALSE(has_children());
}

TEST_CASE("nothing is started while the system reaps children by itself", "[process]") {
    const SignalDisposition no_zombies{SIGCHLD, SIG_DFL, SA_NOCLDWAIT};
    CHECK_THROWS_AS(start({"exit", "0"}), InvalidConfig);
}

// --- Where a program is found
// -----------------------------------------------------------------------

TEST_CASE("a name is looked up in the PATH of the child's environment", "[process]") {
    const TemporaryDirectory directory;
    fs::create_symlink(CHILD_PROGRAM, directory.file("some-tool"));
    SpawnOptions options{.argv = {"some-tool", "out", "found"}};
    options.environment["PATH"] = "/no/such/directory:" + directory.file("");
    CHECK(output_of(options) == "found");
}

TEST_CASE("the lookup passes over what can't be run", "[process]") {
    const TemporaryDirectory first;
    const TemporaryDirectory second;
    const auto unusable = first.write("some-tool", "", fs::perms{0644});
    SpawnOptions options{.argv = {"some-tool", "out", "found"}};
    options.environment["PATH"] = first.file("") + ":" + second.file("");
    CHECK_THROWS_AS(Process::spawn(options), ToolNotExecutable);
    CHECK_THAT(message_of(options), ContainsSubstring("some-tool is not executable"));
    fs::create_symlink(CHILD_PROGRAM, second.file("some-tool"));
    CHECK(output_of(options) == "found");
}

TEST_CASE("an empty element of PATH is the current directory", "[process]") {
    const TemporaryDirectory directory;
    fs::create_symlink(CHILD_PROGRAM, directory.file("some-tool"));
    const CurrentDirectory current{directory.file("")};
    SpawnOptions options{.argv = {"some-tool", "out", "found"}, .directory = "/"};
    options.environment["PATH"] = "/no/such/directory::/nor/this";
    CHECK(output_of(options) == "found");
}

TEST_CASE("a daemon is found in sbin without a PATH that has it", "[process]") {
    fs::path daemon;
    for (const auto& entry : fs::directory_iterator{"/usr/sbin"}) {
        if (entry.is_regular_file() && ::access(entry.path().c_str(), X_OK) == 0) {
            daemon = entry.path();
            break;
        }
    }
    if (daemon.empty()) {
        SKIP("there is nothing in /usr/sbin");
    }
    const auto found = detail::find_program(daemon.filename(), {{"PATH", "/no/such/directory"}});
    CHECK_THAT(found, ContainsSubstring("/sbin/"));
}

TEST_CASE("a relative path is relative to the parent's directory, not to the child's",
          "[process]") {
    const TemporaryDirectory directory;
    fs::create_symlink(CHILD_PROGRAM, directory.file("some-tool"));
    const CurrentDirectory current{directory.file("")};
    CHECK(output_of({.argv = {"./some-tool", "directory"}, .directory = "/"}) == "/\n");
}

// --- Output
// -----------------------------------------------------------------------------------------

TEST_CASE("standard output and standard error are kept apart", "[process]") {
    auto process = start({"out", "to out\n", "err", "to err\n"});
    REQUIRE(process.wait(soon()));
    CHECK(process.out() == "to out\n");
    CHECK(process.err() == "to err\n");
}

TEST_CASE("output may lack its last newline and contain any byte", "[process]") {
    CHECK(output_of({"out", "\x1b[31m\xff\xc3"}) == "\x1b[31m\xff\xc3");
}

TEST_CASE("8 MiB on both streams do not block, and their ends are kept", "[process]") {
    auto process = start({"flood", "8192"});
    REQUIRE(process.wait(soon()));
    CHECK(process.status()->code() == 0);
    const std::string cut_mark =
        fmt::format("\n[... {} bytes cut ...]\n",
                    8192 * 1024 + 2 * std::string_view{"first out\n"}.size() -
                        detail::Capture::head_limit - detail::Capture::tail_limit);
    for (const auto& [text, name] : {std::pair{process.out(), "out"}, {process.err(), "err"}}) {
        CHECK(text.starts_with(fmt::format("first {}\nxxx", name)));
        CHECK(text.ends_with(fmt::format("xxx\nlast {}\n", name)));
        CHECK(text.find(cut_mark) == detail::Capture::head_limit);
        CHECK(text.size() ==
              detail::Capture::head_limit + cut_mark.size() + detail::Capture::tail_limit);
    }
}

TEST_CASE("nothing is cut from an output that fits", "[process]") {
    auto process = start({"flood", "60"});
    REQUIRE(process.wait(soon()));
    CHECK(process.out() == "first out\n" + std::string(60 * 1024UL, 'x') + "\nlast out\n");
}

TEST_CASE("endless output does not keep a wait from its deadline", "[process]") {
    auto process = start({"endless"});
    CHECK_FALSE(process.wait(Deadline::after(100ms)));
    CHECK(process.out().starts_with("y\ny\n"));
}

TEST_CASE("a process of endless output can be stopped", "[process]") {
    auto process = start({"endless"});
    CHECK(process.stop(60s).signal() == SIGTERM);
    CHECK_FALSE(process.had_to_be_killed());
}

TEST_CASE("a child that closes its standard streams is still waited for", "[process]") {
    const Fifo fifo;
    auto process = start(
        {"out", "before", "close", "0", "close", "1", "close", "2", "hold", fifo.path(), "wait"});
    REQUIRE(fifo.wait_for_holders(1));
    CHECK_FALSE(process.wait(Deadline::after(20ms)));
    CHECK(process.out() == "before");
    CHECK(process.stop(60s).signal() == SIGTERM);
}

TEST_CASE("the log tells at debug what a child prints, line by line and harmless", "[process]") {
    std::ostringstream stream;
    auto options = child({"out", "one\n\ntwo \x1b[31m\xff ü\nlast", "err", "trouble\n"});
    options.log = logger_to(stream, spdlog::level::debug);
    auto process = Process::spawn(options);
    REQUIRE(process.wait(soon()));
    const auto log = stream.str();
    CHECK_THAT(log, StartsWith(fmt::format("started {} as process {}\n", process.command_line(),
                                           process.pid())));
    CHECK_THAT(log, ContainsSubstring("\nchild: one\nchild: \nchild: two \\x1b[31m\\xff ü\n"));
    CHECK_THAT(log, ContainsSubstring("\nchild (stderr): trouble\n"));
    CHECK_THAT(log, ContainsSubstring("\nchild: last\n"));
    CHECK_THAT(log, EndsWith("child exited with status 0\n"));
}

TEST_CASE("the log tells nothing of it at info", "[process]") {
    std::ostringstream stream;
    auto options = child({"out", "one\n"});
    options.log = logger_to(stream, spdlog::level::info);
    CHECK(output_of(options) == "one\n");
    CHECK(stream.str().empty());
}

TEST_CASE("a line without an end reaches the log in pieces", "[process]") {
    std::ostringstream stream;
    auto options = child({"out", std::string(2500, 'x')});
    options.log = logger_to(stream, spdlog::level::debug);
    output_of(options);
    CHECK_THAT(stream.str(), ContainsSubstring("child: " + std::string(1000, 'x') + "\n") &&
                                 ContainsSubstring("child: " + std::string(500, 'x') + "\n"));
}

// --- The end
// ----------------------------------------------------------------------------------------

TEST_CASE("a process that honours SIGTERM is stopped by it", "[process]") {
    auto process = start({"wait"});
    const auto status = process.stop(60s);
    CHECK(status.signal() == SIGTERM);
    CHECK(process.was_told_to_end());
    CHECK_FALSE(process.had_to_be_killed());
}

TEST_CASE("a process that takes its time after SIGTERM is waited for", "[process]") {
    auto process = start({"end-slowly", "100", "ready", "wait"});
    wait_for_output(process, "ready");
    CHECK(process.stop(60s).code() == 0);
    CHECK(process.was_told_to_end());
    CHECK_FALSE(process.had_to_be_killed());
}

TEST_CASE("stop escalates to SIGKILL when SIGTERM is ignored", "[process]") {
    auto process = start({"ignore", "15", "ready", "wait"});
    wait_for_output(process, "ready");
    const auto begin = Clock::now();
    CHECK(process.stop(50ms).signal() == SIGKILL);
    CHECK(Clock::now() - begin >= 50ms);
    CHECK(process.was_told_to_end());
    CHECK(process.had_to_be_killed());
}

TEST_CASE("a process that is stopped by SIGSTOP takes the SIGTERM nevertheless", "[process]") {
    auto process = start({"stop"});
    siginfo_t info{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(process.pid()), &info, WSTOPPED | WNOWAIT) == 0);
    CHECK_FALSE(process.wait(Deadline::after(20ms)));
    CHECK(process.stop(10s).signal() == SIGTERM);
    CHECK_FALSE(process.had_to_be_killed());
}

TEST_CASE("stopping a process that has ended leaves its status as it is", "[process]") {
    auto process = start({"exit", "3"});
    REQUIRE(process.wait(soon()));
    CHECK(process.stop(60s).code() == 3);
    CHECK_FALSE(process.was_told_to_end());
}

TEST_CASE("a process whose end was not seen yet has not been told to end", "[process]") {
    auto process = start({"exit", "3"});
    siginfo_t info{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(process.pid()), &info, WEXITED | WNOWAIT) == 0);
    CHECK(process.stop(60s).code() == 3);
    CHECK_FALSE(process.was_told_to_end());
}

TEST_CASE("of all signals only SIGTERM tells a process to end", "[process]") {
    auto process = start({"ignore", "10", "ready", "wait"});
    wait_for_output(process, "ready");
    process.signal(SIGUSR1);
    CHECK_FALSE(process.was_told_to_end());
    process.signal(SIGTERM);
    CHECK(process.was_told_to_end());
    CHECK(process.wait(soon())->signal() == SIGTERM);
}

TEST_CASE("a signal that interrupts a wait is harmless", "[process]") {
    static volatile sig_atomic_t count = 0;
    const SignalDisposition handler{SIGALRM, [](int) { count = count + 1; }};
    const itimerval often{.it_interval = {0, 2000}, .it_value = {0, 2000}};
    const itimerval never{};
    ::setitimer(ITIMER_REAL, &often, nullptr);
    auto process = start({"sleep", "50", "exit", "4"});
    const auto status = process.wait(soon());
    ::setitimer(ITIMER_REAL, &never, nullptr);
    REQUIRE(status);
    CHECK(status->code() == 4);
    CHECK(count > 0);
}

TEST_CASE("the destructor kills a process and reaps it", "[process]") {
    const Fifo fifo;
    {
        auto process = start({"ignore", "15", "hold", fifo.path(), "wait"});
        REQUIRE(fifo.wait_for_holders(1));
    }
    CHECK_FALSE(has_children());
    CHECK(fifo.wait_for_end());
}

TEST_CASE("a process is moved, not copied, and another one in its place is killed", "[process]") {
    STATIC_CHECK_FALSE(std::is_copy_constructible_v<Process>);
    STATIC_CHECK_FALSE(std::is_copy_assignable_v<Process>);
    STATIC_CHECK(std::is_nothrow_move_constructible_v<Process>);
    const Fifo fifo;
    auto process = start({"hold", fifo.path(), "wait"});
    REQUIRE(fifo.wait_for_holders(1));
    process = start({"exit", "5"});
    CHECK(fifo.wait_for_end());
    auto moved = std::move(process);
    CHECK(moved.wait(soon())->code() == 5);
    CHECK_FALSE(has_children());
}

TEST_CASE("what a process has started in its group is gone when it has been stopped", "[process]") {
    const Fifo fifo;
    auto process = start({"fork", "hold", fifo.path(), "wait", "parent", "wait"});
    REQUIRE(fifo.wait_for_holders(1));
    CHECK(process.stop(60s).signal() == SIGTERM);
    CHECK(fifo.wait_for_end());
}

TEST_CASE("what a process has started in its group is gone when it has ended by itself",
          "[process]") {
    const Fifo fifo;
    const TemporaryDirectory directory;
    auto process =
        start({"fork", "ignore", "15", "hold", fifo.path(), "create", directory.file("held"),
               "wait", "parent", "await", directory.file("held"), "exit", "6"});
    REQUIRE(process.wait(soon()));
    CHECK(process.status()->code() == 6);
    CHECK(fifo.wait_for_end());
}

TEST_CASE("what has left the group and holds the pipe hardly delays the end", "[process]") {
    const Fifo fifo;
    auto process =
        start({"fork", "leave-group", "say-pid", "hold", fifo.path(), "wait", "parent", "wait"});
    REQUIRE(fifo.wait_for_holders(1));
    const auto begin = Clock::now();
    CHECK(process.stop(60s, 100ms).signal() == SIGTERM);
    CHECK(Clock::now() - begin < 5s); // 100 ms on an idle machine
    const auto output = process.out();
    REQUIRE_THAT(output, StartsWith("pid "));
    const int pid = std::stoi(output.substr(4));
#ifdef TEST_TUNNEL_POSIX_ONLY
    CHECK(::kill(pid, SIGKILL) == 0); // out of reach without Linux's means
#else
    CHECK(process.left_behind() == std::vector<std::string>{fmt::format("child ({})", pid)});
#endif
    CHECK(fifo.wait_for_end());
}

TEST_CASE("what has left the group and fills the pipe hardly delays the end", "[process]") {
    const Fifo fifo;
    {
        auto process =
            start({"fork", "leave-group", "hold", fifo.path(), "endless", "parent", "wait"});
        REQUIRE(fifo.wait_for_holders(1));
        const auto begin = Clock::now();
        CHECK(process.stop(60s, 100ms).signal() == SIGTERM);
        CHECK(Clock::now() - begin < 5s);
    }
    CHECK(fifo.wait_for_end()); // by SIGPIPE: nobody has the other end any more
}

TEST_CASE("no process leaves a zombie, however it ends", "[process]") {
    start({"exit", "0"});
    start({"wait"});
    start({"exit", "0"}).wait(soon());
    start({"ignore", "15", "wait"}).stop(1ms);
    CHECK_FALSE(has_children());
}

TEST_CASE("many processes use up neither descriptors nor processes", "[process]") {
    start({"exit", "0"}).wait(soon());
    const auto before = count_descriptors();
    for (int i = 0; i < many_processes; ++i) {
        auto process = start({"exit", "7"});
        REQUIRE(process.wait(soon())->code() == 7);
    }
    CHECK(count_descriptors() == before);
    CHECK_FALSE(has_children());
}

#if TEST_TUNNEL_LINUX
TEST_CASE("a process dies with a harness that is killed", "[process]") {
    const Fifo fifo;
    const pid_t harness = detail::checked(::fork(), "fork");
    if (harness == 0) {
        ::alarm(100);
        try {
            const auto process = start({"hold", fifo.path(), "wait"});
            for (;;) {
                ::pause();
            }
        } catch (const std::exception&) {
            ::_exit(1);
        }
    }
    CHECK(fifo.wait_for_holders(1));
    CHECK(::kill(harness, SIGKILL) == 0);
    CHECK(::waitpid(harness, nullptr, 0) == harness);
    CHECK(fifo.wait_for_end());
}
#endif
