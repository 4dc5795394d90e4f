#pragma once

#include <array>
#include <csignal>
#include <cstddef>
#include <string>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/error.hpp"

namespace test_tunnel {

/// A run was told to end before its end: by a signal, or since its time is over. The tool is
/// stopped on the way, and what has been found out so far is in the reports.
class Interrupted : public SetupError {
public:
    using SetupError::SetupError;
};

/// While an object of this class lives, SIGHUP, SIGINT and SIGTERM end this process's tests in good
/// order, and so does the end of a limit: all that waits for a tool to do something throws
/// Interrupted then; that a tool ends is still waited for. Such a signal that comes more than half
/// a second after the first one ends the process at once. The destructor has the signals do again
/// what they did before. There should be one object at a time, and no other thread that takes these
/// signals.
class Interruption {
public:
    /// Takes the signals, but for those that are ignored; from now on the limit is `limit`, not
    /// multiplied by the timeout scale.
    explicit Interruption(Duration limit = Duration::max());

    /// Says that this process has been forked off from one whose tests it is part of.
    struct Forked {};
    /// Takes the signals in such a process. The limit is that of the Interruption that lived when
    /// it was forked off, or none; no signal has come, and a second one does no more than the
    /// first.
    explicit Interruption(Forked here);

    Interruption(const Interruption&) = delete;
    Interruption& operator=(const Interruption&) = delete;
    ~Interruption();

    /// Takes the signals again, where somebody else has taken them meanwhile.
    void take_signals();

    /// Returns the signal that has come; 0 where none has, or where no such object lives.
    [[nodiscard]] static int signal() noexcept;

    /// Returns why tests shall end now: "interrupted by SIGTERM"; empty where they may go on.
    [[nodiscard]] static std::string reason();

    /// Throws Interrupted where tests shall end now.
    static void throw_if_any();

    /// Where a signal has come, ends this process by it, as its parent expects it; else returns.
    static void end_by_signal();

    /// Returns how long a wait may last until `throw_if_any` should be called again.
    [[nodiscard]] static Duration longest_wait() noexcept;

    /// The signals that are taken.
    static constexpr std::array signals{SIGHUP, SIGINT, SIGTERM};

private:
    std::array<struct sigaction, signals.size()> before_{};
};

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/base/detail/interruption.ipp" // IWYU pragma: export
#endif
