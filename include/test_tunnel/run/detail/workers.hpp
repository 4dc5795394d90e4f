#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/unique_fd.hpp"
#include "test_tunnel/base/log.hpp"
#include "test_tunnel/config/observer.hpp"
#include "test_tunnel/discovery/pairs.hpp"
#include "test_tunnel/report/report.hpp"
#include "test_tunnel/run/detail/pair_news.hpp"

namespace test_tunnel {
class TestTunnel;
}

namespace test_tunnel::detail {

/// Pairs that are tested at once, each in a process that is forked from this one. What the
/// processes have to tell is told here, on the caller's thread: progress and the first failure at
/// once, everything else in the order of the pairs.
class Workers {
public:
    /// What is told in the calling process.
    struct Told {
        PairNews news;
        /// A pair has been tested; called in the order of the pairs.
        std::function<void(PairResult result)> pair_ended;
    };

    /// Begins nothing yet. What is given by reference must outlive it.
    Workers(TestTunnel& tunnel, const std::vector<Pair>& pairs, std::uint64_t seed,
            const Told& told);
    /// Ends the processes that still run, and waits for that: until they have stopped
    /// their tools, or for thrice as long as a tool may take for it.
    ~Workers();
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    /// Tests all pairs, and returns when all results have been told; with `OnFailure::stop`, as
    /// soon as a check has failed, or a moment later. Throws the SetupError that has ended one of
    /// them, SetupError where a process has died, and Interrupted.
    void run();

private:
    /// What a worker says.
    enum class Kind : char { log, begins, failed, ended, error };
    struct Message {
        Kind kind;
        std::string bytes;
    };
    struct Worker {
        std::size_t index;
        pid_t pid;
        UniqueFd from{};
        std::string received{};
        std::vector<Message> waiting{};
        bool has_failed = false;
        bool has_ended = false;
        bool is_unwanted = false;
    };

    void start(std::size_t index);
    [[noreturn]] void work(std::size_t index, int to);
    void read_from(Worker& worker);
    void take(Worker& worker, Message message);
    void tell(Worker& worker, const Message& message);
    void tell_waiting();
    void require_result(Worker& worker);
    void read_from_all(Deadline deadline);
    void end_all();

    TestTunnel& tunnel_;
    const std::vector<Pair>& pairs_;
    std::uint64_t seed_;
    const Told& told_;
    std::vector<Worker> workers_;
    /// The pair whose messages are told as they come.
    std::size_t turn_ = 0;
    bool has_failed_ = false;
    /// What is to be told of workers that ended without a result.
    std::vector<std::string> died_;
    /// What has come of a pair that failed is known, and nothing else is wanted any more.
    bool is_decided_ = false;
};

} // namespace test_tunnel::detail
