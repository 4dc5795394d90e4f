#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/discovery/pairs.hpp"
#include "test_tunnel/report/report.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/detail/pair_news.hpp"
#include "test_tunnel/run/detail/pair_state.hpp"
#include "test_tunnel/run/detail/patience.hpp"
#include "test_tunnel/run/pair_run.hpp"
#include "test_tunnel/run/tunnel.hpp"

namespace test_tunnel::detail {

struct Soaking;

/// The test of one pair: first the check that says whether there is a tunnel at all, then what
/// other checks do ahead, then those checks.
class PairTest {
public:
    PairTest(TestTunnel& tunnel, const Pair& pair, std::uint64_t seed, const PairNews& news);

    /// All that has come of it; where the run is interrupted, what has come of it so far, and the
    /// other checks as skipped. Throws SetupErrors only. To be called once.
    [[nodiscard]] PairResult run();

private:
    void run_checks();
    void soak();
    [[nodiscard]] CheckResult soak_rounds(Soaking& soaking);
    void take_sample(Soaking& soaking);
    void judge(const Soaking& soaking);
    void prepare(const Check& check);
    void run_one(const Check& check);
    void take(const Check& check, CheckResult& result);
    [[nodiscard]] std::string heading_of(const Check& check) const;
    void skip(const Check& check, std::string_view reason, Outcome outcome = Outcome::skipped);
    void tell_begin(const Check& check) const;
    void add(const Check& check, CheckResult result);

    [[nodiscard]] CheckResult attempt(const Check& check, const std::function<void()>& act);
    [[nodiscard]] CheckResult judged(const std::function<void()>& act);
    [[nodiscard]] CheckResult failure(Cause cause, std::string expected, std::string actual);

    std::vector<Check> checks_;
    PairResult result_;
    const PairNews& news_;
    PairState state_;
    PairRun run_;
    Patience patience_;
    /// Of checks that failed in what they did ahead, by their ids.
    std::map<std::string_view, CheckResult> failed_ahead_;
};

} // namespace test_tunnel::detail
