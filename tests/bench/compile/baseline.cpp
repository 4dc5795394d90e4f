// What a test costs to compile that logs and checks, and knows no tunnel.

#include <spdlog/spdlog.h>

#include <catch2/catch_test_macros.hpp>

TEST_CASE("one and one are two") {
    spdlog::info("{} and {}", 1, 1);
    CHECK(1 + 1 == 2);
}
