// The library with doctest, without an adapter: one subcase for each combination of address
// families. A test can't be skipped while it runs in doctest, and what is not tested must not pass:
// so main ends with 77, which is given to CTest as SKIP_RETURN_CODE.

#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <test_tunnel/test_tunnel.hpp>

#include <string>

#include "socat.hpp"

using namespace test_tunnel;

namespace {

std::string skipped;

} // namespace

TEST_CASE("socat forwards") {
    ConfigProg config;
    config.prog = "socat";
    for (const auto* const pair : {"4-4", "4-6", "6-4", "6-6"}) {
        SUBCASE(pair) {
            config.pairs = {pair};
            try {
                Socat{config}.run();
            } catch (const TunnelFailure& failure) {
                FAIL_CHECK(failure.what()); // an exception would end the other subcases
            } catch (const ToolMissing& reason) {
                skipped = reason.what();
            } catch (const PairsMissing& reason) {
                MESSAGE(reason.what()); // the other ones are tested
            }
        }
    }
}

int main(int argc, char** argv) {
    enter_network(network_mode_from_environment());
    const int status = doctest::Context{argc, argv}.run();
    if (status == 0 && !skipped.empty()) {
        stderr_logger()->warn("skipped: {}", skipped);
        return 77;
    }
    return status;
}
