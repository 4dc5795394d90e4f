#include <test_tunnel/process/find_program.hpp>
#include <test_tunnel/process/process.hpp>

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <filesystem>
#include <iterator>

#include "support/child.hpp"
#include "support/fifo.hpp"
#include "support/spawned.hpp"

using namespace test_tunnel;
using Catch::Matchers::ContainsSubstring;
using support::message_of;
using support::output_of;
using support::TemporaryDirectory;

namespace fs = std::filesystem;

namespace {

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

} // namespace

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
