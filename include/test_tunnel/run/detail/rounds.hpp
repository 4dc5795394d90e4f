#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/discovery/pairs.hpp"
#include "test_tunnel/report/report.hpp"
#include "test_tunnel/run/detail/failures.hpp"
#include "test_tunnel/run/detail/pair_news.hpp"

namespace test_tunnel {
class TestTunnel;
}

namespace test_tunnel::detail {

/// Returns the report of a run that begins now, without any result.
[[nodiscard]] Report begin_report(const TestTunnel& tunnel);

/// Tests pairs, in turn or at once, as often as the configuration says, and tells observers and log
/// what has come of them.
class Rounds {
public:
    /// What is given by reference must outlive it.
    Rounds(TestTunnel& tunnel, Failures& failures);

    /// Adds to `results` what has come of each of `pairs`, in that order, as soon as it is known.
    /// Throws SetupErrors; then `results` has what was done before.
    void run(const std::vector<Pair>& pairs, std::vector<PairResult>& results);

private:
    void run_round(const std::vector<Pair>& pairs, std::uint64_t seed);
    void take(PairResult result);
    void tell(const PairResult& result);
    [[nodiscard]] bool may_be_at_once(std::size_t count);

    TestTunnel& tunnel_;
    Failures& failures_;
    std::size_t rounds_;
    PairNews news_;
    std::vector<PairResult>* results_ = nullptr;
    /// Whether a pair has failed in this round, or before.
    bool has_failed_ = false;
    bool has_warned_ = false;
    std::chrono::system_clock::time_point began_ = std::chrono::system_clock::now();
    /// When a pair was told last.
    Clock::time_point told_at_ = Clock::now();
};

} // namespace test_tunnel::detail
