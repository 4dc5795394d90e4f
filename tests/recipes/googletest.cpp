// The library with GoogleTest, without an adapter: one test for each combination of address
// families. Linked with GTest::gtest_main; test_tunnel has to be told of no more than this.

#include <gtest/gtest.h>
#include <test_tunnel/test_tunnel.hpp>

#include <string>

#include "socat.hpp"

using namespace test_tunnel;

namespace {

/// Entered once, before the first test and not where tests are only listed.
struct Network : testing::Environment {
    void SetUp() override { enter_network(network_mode_from_environment()); }
};
const auto* const network =
    testing::AddGlobalTestEnvironment(new Network); // NOLINT(*-owning-memory): it is GoogleTest's

struct SocatTest : testing::TestWithParam<std::string> {};

// What is thrown becomes the failure's text: a TunnelFailure's is the account of all that failed.
TEST_P(SocatTest, Forwards) {
    ConfigProg config;
    config.prog = "socat";
    config.pairs = {GetParam()};
    try {
        Socat{config}.run();
    } catch (const ToolMissing& reason) {
        GTEST_SKIP() << reason.what();
    } catch (const PairsMissing& reason) {
        GTEST_SKIP() << reason.what();
    }
}

INSTANTIATE_TEST_SUITE_P(Pairs, SocatTest, testing::Values("4-4", "4-6", "6-4", "6-6"),
                         [](const auto& test) {
                             return "from_" + test.param.substr(0, 1) + "_to_" +
                                    test.param.substr(2);
                         });

} // namespace
