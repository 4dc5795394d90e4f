#pragma once

// The child of support/child.cpp, and what the tests of processes have in common.

#include <signal.h> // NOLINT(modernize-deprecated-headers): sigaction is POSIX, not C
#include <sys/wait.h>
#include <test_tunnel/base/deadline.hpp>
#include <test_tunnel/process/process.hpp>

#include <cerrno>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace support {

using Words = std::vector<std::string>;

/// For what must happen, on a machine that has much else to do.
inline test_tunnel::Deadline soon() {
    return test_tunnel::Deadline::after(std::chrono::seconds{60});
}

/// A child that does `commands`.
inline test_tunnel::SpawnOptions child(Words commands) {
    commands.insert(commands.begin(), CHILD_PROGRAM);
    return {.argv = std::move(commands)};
}

/// A child that does all of these, one list after the other.
template <typename... Lists>
test_tunnel::Process start(Words first, const Lists&... rest) {
    (first.insert(first.end(), rest.begin(), rest.end()), ...);
    return test_tunnel::Process::spawn(child(std::move(first)));
}

/// Whether this process has a child that has not been waited for, running or not.
inline bool has_children() {
    return ::waitpid(-1, nullptr, WNOHANG) != -1 || errno != ECHILD;
}

/// Handles a signal in a way of its own as long as it lives.
class SignalDisposition {
public:
    explicit SignalDisposition(int number, void (*handler)(int), int flags = 0) : number_{number} {
        struct sigaction action {};
        action.sa_handler = handler;
        action.sa_flags = flags;
        ::sigaction(number, &action, &before_);
    }
    SignalDisposition(const SignalDisposition&) = delete;
    SignalDisposition& operator=(const SignalDisposition&) = delete;
    ~SignalDisposition() { ::sigaction(number_, &before_, nullptr); }

private:
    int number_;
    struct sigaction before_ {};
};

} // namespace support
