#pragma once

#include <signal.h> // NOLINT(modernize-deprecated-headers): siginfo_t is POSIX, not C
#include <sys/wait.h>

#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "test_tunnel/base/detail/fmt.hpp"

namespace test_tunnel {

/// How a process ended: by itself with a status, or by a signal.
class ExitStatus {
public:
    /// Makes the status of a process whose end could not be seen, with the reason: "could not be
    /// ended".
    static ExitStatus unknown(std::string reason) {
        ExitStatus result;
        result.unknown_ = std::move(reason);
        return result;
    }

    /// Makes a status from what waitid(2) tells of a process that has ended.
    explicit ExitStatus(const siginfo_t& info)
        : value_{info.si_status},
          by_signal_{info.si_code != CLD_EXITED},
          core_dumped_{info.si_code == CLD_DUMPED} {}

    /// Returns the status with which it exited; nothing where a signal killed it, or where that is
    /// unknown.
    [[nodiscard]] std::optional<int> code() const {
        return by_signal_ || !unknown_.empty() ? std::nullopt : std::optional{value_};
    }

    /// Returns the signal that killed it; nothing where it exited, or where that is unknown.
    [[nodiscard]] std::optional<int> signal() const {
        return by_signal_ ? std::optional{value_} : std::nullopt;
    }

    /// Whether the signal made the system write a core dump.
    [[nodiscard]] bool core_dumped() const noexcept { return core_dumped_; }

    /// Returns "exited with status 9", "was killed by signal 9 (Killed)".
    [[nodiscard]] std::string text() const {
        if (!unknown_.empty()) {
            return unknown_;
        }
        if (!by_signal_) {
            return fmt::format("exited with status {}", value_);
        }
        return fmt::format("was killed by signal {} ({}){}", value_,
                           ::strsignal(value_), // NOLINT(concurrency-mt-unsafe)
                           core_dumped_ ? ", core dumped" : "");
    }

    /// Equal where all is equal that they tell.
    friend bool operator==(const ExitStatus&, const ExitStatus&) = default;

private:
    ExitStatus() = default;

    int value_ = 0;
    bool by_signal_ = false;
    bool core_dumped_ = false;
    std::string unknown_;
};

} // namespace test_tunnel
