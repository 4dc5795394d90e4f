#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace test_tunnel {

/// What lies between a Socket and TCP, as TLS does: once a socket has one (`Socket::set_layer`),
/// all that is read and written goes through it, and everything else works as it does without.
///
/// No call waits. The destructor ends the connection in due form, unless it was discarded.
class Layer {
public:
    Layer() = default;
    Layer(const Layer&) = delete;
    Layer& operator=(const Layer&) = delete;
    virtual ~Layer() = default;

    /// Reads at most `size` bytes, as `Socket::try_read` does. Returns how many; 0 at the end of
    /// the stream, nothing where nothing has arrived that is data. Throws SystemError, Truncated,
    /// and Unexpected where what has arrived is against the layer's protocol.
    [[nodiscard]] virtual std::optional<std::size_t> try_read(char* buffer, std::size_t size) = 0;

    /// Whether `try_read` would return or throw something; takes what has arrived from TCP, as far
    /// as that needs. That a descriptor can be read says nothing: that may be no data, and data may
    /// be here already.
    [[nodiscard]] virtual bool readable() = 0;

    /// Returns how many bytes can be read without waiting; there may be more behind them.
    [[nodiscard]] virtual std::size_t pending() = 0;

    /// Returns how many bytes of data have come from the other side so far, read or not.
    [[nodiscard]] virtual std::uint64_t received() const noexcept = 0;

    /// Takes data to be written, as `Socket::try_write` does, and returns how many bytes it took.
    /// It may keep them for a while: see `has_unsent`.
    [[nodiscard]] virtual std::size_t try_write(std::string_view data) = 0;

    /// Ends this direction of the stream, in the layer and not in TCP.
    virtual void shutdown_write() = 0;

    /// Sends what was taken and could not be sent yet, as far as that goes. An error is thrown by
    /// the next `try_write`.
    virtual void flush() noexcept = 0;
    /// Whether something was taken and could not be sent yet.
    [[nodiscard]] virtual bool has_unsent() const noexcept = 0;

    /// Has this side use new keys from now on, where the layer knows such a thing (TLS 1.3, RFC
    /// 8446 §4.6.3); where `asks`, the other side shall do so, too. Returns whether it does.
    virtual bool renew_keys(bool /*asks*/) { return false; }
    /// Returns how often the other side has used new keys so far, as far as that was read.
    [[nodiscard]] virtual std::uint64_t renewals() const noexcept { return 0; }

    /// Has the layer say nothing more to the other side, not even when it is destroyed.
    virtual void discard() noexcept = 0;
};

} // namespace test_tunnel
