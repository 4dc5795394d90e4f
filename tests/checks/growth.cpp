#include <test_tunnel/checks/detail/growth.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cstddef>
#include <cstdint>
#include <vector>

using namespace test_tunnel;
using check::Growth;
using check::median_slope;

namespace {

constexpr int clients = 100;

Growth growth_of_files(const std::vector<std::size_t>& counts) {
    Growth growth{clients};
    for (const auto count : counts) {
        ToolUsage usage;
        usage.files = count;
        growth.add(usage);
    }
    return growth;
}

Growth growth_of_memory(const std::vector<std::uint64_t>& kibibytes) {
    Growth growth{clients};
    for (const auto count : kibibytes) {
        ToolUsage usage;
        usage.private_memory = count << 10U;
        growth.add(usage);
    }
    return growth;
}

} // namespace

TEST_CASE("one value that is far off does not make a slope", "[growth]") {
    CHECK(median_slope({}) == 0);
    CHECK(median_slope({7}) == 0);
    CHECK(median_slope({1, 3, 5, 7, 9}) == 2);
    CHECK(median_slope({5, 5, 5, 5, 500}) == 0);
    CHECK(median_slope({9, 8, 7}) == -1);
}

TEST_CASE("what leaves one descriptor of ten behind has a leak", "[growth]") {
    const auto growth = growth_of_files({8, 18, 28, 38, 48, 58});
    REQUIRE(growth.find());
    CHECK(growth.find()->name == "descriptors");
    CHECK(growth.text(*growth.find()) == "8, 18, 28, 38, 48, 58");
}

TEST_CASE("what grows once, or a little, or now and then, has none", "[growth]") {
    const auto counts =
        GENERATE(values<std::vector<std::size_t>>({{8, 8, 8, 8, 8, 8},
                                                   {8, 108, 108, 108, 108, 108}, // a pool
                                                   {8, 9, 10, 11, 12, 13},       // one of a hundred
                                                   {8, 40, 8, 50, 8, 60, 8, 40}, // collected
                                                   {8, 58, 108, 158, 158, 158},  // full
                                                   {100, 80, 60, 40, 20, 8}}));
    CHECK_FALSE(growth_of_files(counts).find());
}

TEST_CASE("a leak of memory is one from a kilobyte a client on", "[growth]") {
    CHECK(growth_of_memory({1000, 1300, 1600, 1900, 2200, 2500}).find());
    CHECK_FALSE(growth_of_memory({1000, 1050, 1100, 1150, 1200, 1250}).find());
    CHECK_FALSE(growth_of_memory({1000, 5000, 5000, 5000, 5064, 5064}).find());
}
