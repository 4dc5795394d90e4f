#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <test_tunnel/net/detail/poll.hpp>
#include <test_tunnel/process/detail/child.hpp>
#include <test_tunnel/process/detail/user_group.hpp>
#include <test_tunnel/process/server.hpp>
#include <test_tunnel/process/temp_dir.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "support/child.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

namespace {

std::string content_of(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

mode_t mode_of(const std::string& path) {
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    return info.st_mode & 07777U;
}

} // namespace

TEST_CASE("a tree is copied with its links and programs, and without sockets", "[temp_dir]") {
    TempDir source;
    const auto tree = source.path() + "/tree";
    fs::create_directories(tree + "/empty");
    std::ofstream{tree + "/key"} << "secret";
    std::ofstream{tree + "/run"} << "#!/bin/sh\n";
    fs::permissions(tree + "/key", fs::perms{0444});
    fs::permissions(tree + "/run", fs::perms{04755});
    fs::create_symlink("nowhere", tree + "/link");
    REQUIRE(::mkfifo((tree + "/fifo").c_str(), 0600) == 0);
    fs::permissions(tree, fs::perms{0500}); // its copy can be removed all the same
    std::string path;
    {
        TempDir directory;
        path = directory.copy(tree + "//");
        CHECK(path == directory.path() + "/tree");
        CHECK(directory.files() == std::vector<std::string>{path});
        CHECK(content_of(path + "/key") == "secret");
        CHECK(mode_of(path) == 0700);
        CHECK(mode_of(path + "/empty") == 0700);
        CHECK(mode_of(path + "/key") == 0600);
        CHECK(mode_of(path + "/run") == 0700);
        CHECK(fs::read_symlink(path + "/link") == "nowhere");
        CHECK_FALSE(fs::exists(path + "/fifo"));
        // One that is named stands for what it leads to; a directory is not copied into itself.
        fs::create_symlink(tree + "/key", source.path() + "/other");
        CHECK(content_of(directory.copy(source.path() + "/other")) == "secret");
        CHECK_THROWS_AS(directory.copy(tree), SystemError); // is there already
        CHECK_THROWS_AS(directory.copy("/nonexistent/x"), SystemError);
        CHECK_THROWS_AS(directory.copy(tree + "/fifo"), InvalidConfig);
        CHECK_THROWS_AS(directory.copy("/"), InvalidConfig);
        TempDir inner;
        fs::create_symlink(inner.path(), source.path() + "/itself");
        CHECK_NOTHROW(inner.copy(source.path() + "/itself"));
    }
    fs::permissions(tree, fs::perms{0700});
    CHECK_FALSE(fs::exists(path));
}

TEST_CASE("a temporary directory is private and goes with all that is in it", "[temp_dir]") {
    std::string path;
    {
        TempDir directory;
        path = directory.path();
        CHECK(mode_of(path) == 0700);
        const auto file = directory.write("tool.conf", "listen = 1\n");
        CHECK(file == path + "/tool.conf");
        CHECK(content_of(file) == "listen = 1\n");
        CHECK(mode_of(file) == 0600);
        CHECK(directory.files() == std::vector<std::string>{file});
        fs::create_directories(path + "/made/by/the/tool");
        std::ofstream{path + "/made/by/the/tool/pid"} << "1";
        fs::create_directory_symlink("/usr", path + "/link");
    }
    CHECK_FALSE(fs::exists(path));
    CHECK(fs::exists("/usr/bin"));
}

TEST_CASE("a temporary directory leaves no child", "[temp_dir]") {
    { const TempDir directory; }
    CHECK_FALSE(support::has_children());
}

TEST_CASE("a file is written with the mode that is asked for", "[temp_dir]") {
    TempDir directory;
    CHECK(mode_of(directory.write("script", "#!/bin/sh\n", 0755)) == 0755);
    CHECK(mode_of(directory.write("key", "secret", 0400)) == 0400);
}

TEST_CASE("a file that another program has made becomes one of the directory's", "[temp_dir]") {
    TempDir directory;
    const auto made = directory.path() + "/key";
    std::ofstream{made} << "secret";
    fs::permissions(made, fs::perms{0644});
    CHECK(directory.adopt("key") == made);
    CHECK(mode_of(made) == 0600);
    CHECK(content_of(made) == "secret");
    CHECK(directory.files() == std::vector<std::string>{made});
    CHECK(mode_of(directory.adopt("key", 0400)) == 0400);
    CHECK_THROWS_AS(directory.adopt("../key"), InvalidConfig);
    CHECK_THROWS_WITH(directory.adopt("missing"), ContainsSubstring("/missing: No such file"));
}

TEST_CASE("a name that leads elsewhere is refused", "[temp_dir]") {
    TempDir directory;
    for (const auto* const name : {"", ".", "..", "../x", "a/b"}) {
        INFO(name);
        CHECK_THROWS_AS(directory.write(name, "x"), InvalidConfig);
    }
}

TEST_CASE("a temporary directory that is kept stays", "[temp_dir]") {
    std::string path;
    {
        TempDir directory{{.keep = true}};
        path = directory.path();
        directory.write("a", "b");
    }
    CHECK(content_of(path + "/a") == "b");
    fs::remove_all(path);
    {
        TempDir directory;
        path = directory.path();
        directory.keep();
        CHECK(directory.is_kept());
    }
    CHECK(fs::exists(path));
    fs::remove_all(path);
}

TEST_CASE("a moved temporary directory is removed once, by its new owner", "[temp_dir]") {
    std::optional<TempDir> first{TempDir{}};
    const auto path = first->path();
    TempDir second{std::move(*first)};
    first.reset();
    CHECK(fs::exists(path));
    TempDir third;
    const auto other = third.path();
    third = std::move(second);
    CHECK(third.path() == path);
    CHECK_FALSE(fs::exists(other));
}

TEST_CASE("a directory is made where TMPDIR says", "[temp_dir]") {
    const TempDir outer;
    REQUIRE(::setenv("TMPDIR", outer.path().c_str(), 1) == 0);
    const TempDir inner;
    CHECK_THAT(inner.path(), ContainsSubstring(outer.path() + "/test-tunnel-"));
    REQUIRE(::setenv("TMPDIR", "/no/such/directory", 1) == 0);
    CHECK_THROWS_WITH(TempDir{}, ContainsSubstring("/no/such/directory/test-tunnel-"));
    ::unsetenv("TMPDIR"); // of the tests to come, too
}

TEST_CASE("the user that a tool drops to can read the directory, others can't", "[temp_dir]") {
    if (::geteuid() != 0) {
        SKIP("needs root");
    }
    TempDir directory{{.readable_by = "nobody"}};
    const auto file = directory.write("tool.conf", "x");
    CHECK(mode_of(directory.path()) == 0750);
    CHECK(mode_of(file) == 0640);
    const auto readable_as = [&](uid_t user, gid_t group) {
        const pid_t pid = ::fork();
        if (pid == 0) {
            const bool dropped =
                ::setgroups(0, nullptr) == 0 && ::setgid(group) == 0 && ::setuid(user) == 0;
            ::_exit(dropped && ::open(file.c_str(), O_RDONLY) != -1 ? 0 : 1);
        }
        int status = 0;
        REQUIRE(::waitpid(pid, &status, 0) == pid);
        return status == 0;
    };
    CHECK(readable_as(65534, detail::group_of("nobody")));
    CHECK_FALSE(readable_as(12345, 12345));
    fs::permissions(file, fs::perms{0600});
    REQUIRE(::chown(file.c_str(), 0, 0) == 0);
    CHECK_FALSE(readable_as(65534, detail::group_of("nobody")));
    directory.adopt("tool.conf");
    CHECK(readable_as(65534, detail::group_of("nobody")));
    CHECK_THROWS_WITH((TempDir{{.readable_by = "no-such-user"}}),
                      "there is no user 'no-such-user'");
}

TEST_CASE("a temporary directory goes with a harness that is killed", "[temp_dir]") {
    auto pipe = detail::make_pipe();
    const pid_t harness = ::fork();
    if (harness == 0) {
        TempDir directory;
        directory.write("a", "b");
        const auto path = directory.path();
        [[maybe_unused]] const auto count = ::write(pipe.write_end.get(), path.data(), path.size());
        for (;;) {
            ::pause();
        }
    }
    pipe.write_end.reset(); // so that one which fails is not waited for
    std::string path(4096, '\0');
    const auto count = ::read(pipe.read_end.get(), path.data(), path.size());
    REQUIRE(count > 0);
    path.resize(static_cast<std::size_t>(count));
    CHECK(fs::exists(path + "/a"));
    REQUIRE(::kill(harness, SIGKILL) == 0);
    REQUIRE(::waitpid(harness, nullptr, 0) == harness);
    const auto deadline = Deadline::after(30s);
    while (fs::exists(path) && !deadline.passed()) {
        detail::poll_once({}, 1ms);
    }
    CHECK_FALSE(fs::exists(path));
}

TEST_CASE("a server removes its files when it goes, after its processes", "[temp_dir]") {
    TempDir directory;
    const auto path = directory.path();
    {
        Server server = Process::spawn({.argv = {CHILD_PROGRAM, "wait"}, .directory = path});
        server.add(std::move(directory));
        CHECK(server.directories().size() == 1);
        CHECK(fs::exists(path));
    }
    CHECK_FALSE(fs::exists(path));
}
