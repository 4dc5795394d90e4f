#include <test_tunnel/process/process.hpp>

#include <signal.h> // NOLINT(modernize-deprecated-headers): sigaction is POSIX, not C
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "support/child.hpp"
#include "support/descriptors.hpp"
#include "support/fifo.hpp"
#include "support/spawned.hpp"

using namespace test_tunnel;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;
using support::child;
using support::has_children;
using support::message_of;
using support::open_descriptors;
using support::output_of;
using support::SignalDisposition;
using support::soon;
using support::start;
using support::TemporaryDirectory;

namespace fs = std::filesystem;

// --- What a child is started with

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

// --- What can't be started

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
    const auto before = open_descriptors();
    for (int i = 0; i < 20; ++i) {
        CHECK_THROWS_AS(Process::spawn({.argv = {path}}), ToolNotExecutable);
    }
    CHECK(open_descriptors() == before);
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
