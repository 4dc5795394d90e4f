#include <test_tunnel/base/text.hpp>
#include <test_tunnel/process/detail/orphans.hpp>
#include <test_tunnel/process/process.hpp>

#include <signal.h> // NOLINT(modernize-deprecated-headers): sigaction is POSIX, not C
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

#include "support/child.hpp"
#include "support/durations.hpp"
#include "support/fifo.hpp"
#include "support/forked.hpp"
#include "support/supervised.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
using support::all_have_ended;
using support::Forked;
using support::has_children;
using support::keep;
using support::long_time;
using support::SignalDisposition;
using support::soon;
using support::start;
using support::Straggling;
using support::TemporaryDirectory;
using support::told_pid;

namespace fs = std::filesystem;

namespace {

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
        return fmt::format("pid {} {}{}", pid, joined(tool.left_behind(), ", "),
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
