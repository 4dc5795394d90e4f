#include <test_tunnel/kernel/descriptor_limit.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstdint>

#include <test_tunnel/base/detail/unique_fd.hpp>
#include <test_tunnel/process/process.hpp>

#include "support/child.hpp"
#include "support/comes_true.hpp"

using namespace test_tunnel;

namespace {

int next() {
    const detail::UniqueFd fd{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    return fd.get();
}

} // namespace

TEST_CASE("the next and the highest descriptor of a process are known", "[kernel]") {
    const auto child = support::start({"close", "1", "wait"});
    if (!highest_descriptor(child.pid())) {
        SKIP("this system can't tell");
    }
    CHECK(support::comes_true([&] { return next_descriptor(child.pid()) == 1; }));
    CHECK(highest_descriptor(child.pid()) == 2);
}

TEST_CASE("a process that has as many descriptors as it may have gets no more", "[kernel]") {
    const auto before = descriptor_limit(::getpid());
    REQUIRE(before);
    const int free = next();
    REQUIRE(set_descriptor_limit(::getpid(), static_cast<std::uint64_t>(free)));
    const int got = next();
    const int error = errno;
    REQUIRE(set_descriptor_limit(::getpid(), before->soft));
    CHECK(got == -1);
    CHECK(error == EMFILE);
    CHECK(next() == free);
}

TEST_CASE("no limit is raised above what a process may have", "[kernel]") {
    const auto limit = descriptor_limit(::getpid()).value();
    CHECK_FALSE(set_descriptor_limit(::getpid(), limit.hard + 1));
    CHECK(descriptor_limit(::getpid())->soft == limit.soft);
}

TEST_CASE("the limit of a process that was started can be changed", "[kernel]") {
    const auto child = support::start({"wait"});
    const auto before = descriptor_limit(child.pid());
    if (!before) {
        SKIP("this system can't tell");
    }
    REQUIRE(set_descriptor_limit(child.pid(), 10));
    CHECK(descriptor_limit(child.pid())->soft == 10);
    CHECK(descriptor_limit(child.pid())->hard == before->hard);
}

TEST_CASE("a process that is not there has no limit", "[kernel]") {
    auto child = support::start({"exit", "0"});
    REQUIRE(child.wait(support::soon()));
    CHECK_FALSE(descriptor_limit(child.pid()));
    CHECK_FALSE(set_descriptor_limit(child.pid(), 10));
    CHECK_FALSE(highest_descriptor(child.pid()));
    CHECK_FALSE(next_descriptor(child.pid()));
}
