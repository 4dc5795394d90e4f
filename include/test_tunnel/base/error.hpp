#pragma once

#include <cerrno>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "test_tunnel/base/detail/fmt.hpp"

namespace test_tunnel {

/// The base of all that the library throws.
class Error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// The machine or the configuration is not fit for a test; nothing is said about the tunnel.
/// `TestTunnel::run_all` lets these through, it never counts them as a failed pair.
class SetupError : public Error {
public:
    using Error::Error;
};

/// An address family is neither AF_INET nor AF_INET6.
class UnsupportedAddressFamily : public SetupError {
public:
    /// `family`: an AF_ constant.
    explicit UnsupportedAddressFamily(int family)
        : SetupError{
              fmt::format("unsupported address family {}: neither AF_INET nor AF_INET6", family)} {}
};

/// A text, or the bytes of a protocol, are not an IPv4 or IPv6 address.
class InvalidAddress : public Error {
public:
    using Error::Error;
};

/// A value in the configuration or in an environment variable that makes no sense.
class InvalidConfig : public SetupError {
public:
    using SetupError::SetupError;
};

/// No interface that is up has an address that can be used.
class NoAddresses : public SetupError {
public:
    using SetupError::SetupError;
};

/// There are addresses, but no client can reach any of them: nothing could be tested.
class NoCombinations : public SetupError {
public:
    using SetupError::SetupError;
};

/// This machine has combinations, but not all of those that `Config::pairs` asks for. Adapters may
/// turn this into a skipped test.
class PairsMissing : public NoCombinations {
public:
    using NoCombinations::NoCombinations;
};

/// The search for free ports started outside 1..65535 or ran past it.
class PortRangeError : public SetupError {
public:
    using SetupError::SetupError;
};

/// The system refuses this user what was asked for, a port below 1024 for instance.
class PermissionDenied : public SetupError {
public:
    using SetupError::SetupError;
};

/// The program under test is not there. Adapters may turn this into a skipped test.
class ToolMissing : public SetupError {
public:
    using SetupError::SetupError;
};

/// The program under test is there, but the system can't run it: a directory, a file without
/// the right to be run, a script whose interpreter is missing.
class ToolNotExecutable : public SetupError {
public:
    using SetupError::SetupError;
};

/// This system does not let this user have a network namespace of their own.
class PrivateNetworkUnavailable : public SetupError {
public:
    using SetupError::SetupError;
};

/// A system call failed; `code()` is its errno.
class SystemError : public Error {
public:
    /// `attempted` is what was to be done ("bind to 127.0.0.1:80"), `code` the errno of it.
    SystemError(std::string_view attempted, int code)
        : Error{fmt::format("{}: {}", attempted, std::generic_category().message(code))},
          code_{code} {}

    /// The errno, such as ECONNRESET.
    [[nodiscard]] int code() const noexcept { return code_; }

protected:
    /// Makes an error with a text of its own.
    SystemError(int code, const std::string& text) : Error{text}, code_{code} {}

private:
    int code_;
};

/// A stream was cut short: TCP has ended it, but the protocol above it has not, as TLS does by
/// close_notify. It says no more about the data than a reset does, and counts as one: `code()` is
/// ECONNRESET.
class Truncated : public SystemError {
public:
    /// `text` says of which stream, and how.
    explicit Truncated(const std::string& text) : SystemError{ECONNRESET, text} {}
};

/// A deadline passed; the text says what was being waited for.
class TimedOut : public Error {
public:
    using Error::Error;
};

/// A process under test ended while something was awaited from it.
class ToolEnded : public Error {
public:
    using Error::Error;
};

/// What ended a check that has failed, or a step of it: for programs, since texts are for readers.
enum class Cause {
    /// Nothing did: it has not failed.
    none,
    /// Something else came than was expected.
    unexpected,
    /// Nothing came in time.
    timed_out,
    /// A process of the tool ended.
    tool_ended,
    /// A system call failed: a connection was reset, for one.
    system_error,
    /// An exception of a hook's own.
    other
};

/// Something other than what the protocol or the check demands; keeps both sides apart so
/// that a report can show them under each other.
class Unexpected : public Error {
public:
    /// The text becomes "expected …, got …". `cause` says what ended it where `actual` tells of
    /// that, too: that nothing more came in time, or that the tool has ended.
    Unexpected(std::string expected, std::string actual, Cause cause = Cause::unexpected)
        : Error{fmt::format("expected {}, got {}", expected, actual)},
          expected_{std::move(expected)},
          actual_{std::move(actual)},
          cause_{cause} {}

    /// What was demanded; may have several lines.
    [[nodiscard]] const std::string& expected() const noexcept { return expected_; }
    /// What came instead; may have several lines.
    [[nodiscard]] const std::string& actual() const noexcept { return actual_; }
    /// What ended it.
    [[nodiscard]] Cause cause() const noexcept { return cause_; }

private:
    std::string expected_;
    std::string actual_;
    Cause cause_;
};

namespace detail {

/// The cause that an exception stands for.
inline Cause cause_of(const std::exception& error) {
    if (const auto* unexpected = dynamic_cast<const Unexpected*>(&error)) {
        return unexpected->cause();
    }
    return dynamic_cast<const TimedOut*>(&error) != nullptr      ? Cause::timed_out
           : dynamic_cast<const ToolEnded*>(&error) != nullptr   ? Cause::tool_ended
           : dynamic_cast<const SystemError*>(&error) != nullptr ? Cause::system_error
                                                                 : Cause::other;
}

} // namespace detail

} // namespace test_tunnel
