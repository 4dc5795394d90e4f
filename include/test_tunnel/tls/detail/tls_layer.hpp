#pragma once

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/base/detail/unique_fd.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/net/detail/closing_connections.hpp"
#include "test_tunnel/net/detail/poll.hpp"
#include "test_tunnel/net/layer.hpp"
#include "test_tunnel/tls/detail/openssl.hpp"

namespace test_tunnel::detail {

/// TLS on a connection, from after the handshake. OpenSSL sees nothing but memory: what goes over
/// TCP is read and written here, so that its errors are TCP's, and no more is read than is needed.
class TlsLayer final : public Layer {
public:
    /// `name` tells the connection in errors: "192.0.2.1:6375 → 127.0.0.1:6374".
    TlsLayer(SslConnection ssl, RecordPlace place, int fd, std::string name,
             bool may_omit_close_notify)
        : fd_{checked(::fcntl(fd, F_DUPFD_CLOEXEC, 0), "duplicate a descriptor")},
          ssl_{std::move(ssl)},
          place_{place},
          name_{std::move(name)},
          may_omit_close_notify_{may_omit_close_notify} {
        SSL_set_msg_callback(ssl_.get(), see_message);
        SSL_set_msg_callback_arg(ssl_.get(), &renewals_); // NOLINT(*-cstyle-cast): OpenSSL's
        keep_room(most_unsent);
    }

    TlsLayer(const TlsLayer&) = delete;
    TlsLayer& operator=(const TlsLayer&) = delete;
    ~TlsLayer() override { end(); }

    [[nodiscard]] std::optional<std::size_t> try_read(char* buffer, std::size_t size) override {
        if (size > 0 && !readable()) {
            return std::nullopt;
        }
        if (const auto count = plain().copy(buffer, size); count > 0) {
            taken_ += count;
            return count;
        }
        if (read_error_) {
            std::rethrow_exception(read_error_);
        }
        return 0;
    }

    [[nodiscard]] bool readable() override {
        // Whoever sends much that is no data keeps nobody in here, beyond the caller's deadline.
        constexpr int most_receipts = 16;
        try {
            for (int left = most_receipts;
                 plain().empty() && !ended_ && !read_error_ && advance(left > 0); --left) {
            }
        } catch (...) {
            read_error_ = std::current_exception();
        }
        return !plain().empty() || ended_ || read_error_;
    }

    [[nodiscard]] std::size_t pending() override {
        static_cast<void>(readable());
        return plain().size();
    }

    [[nodiscard]] std::uint64_t received() const noexcept override { return received_; }

    [[nodiscard]] std::size_t try_write(std::string_view data) override {
        flush();
        require_writable();
        if (data.empty() || has_unsent()) {
            return 0;
        }
        constexpr std::size_t record = SSL3_RT_MAX_PLAIN_LENGTH;
        std::size_t count = 0;
        ERR_clear_error();
        if (SSL_write_ex(ssl_.get(), data.data(), std::min(data.size(), record), &count) != 1) {
            const auto reason = openssl_reason();
            if (read_error_) { // that is why
                std::rethrow_exception(read_error_);
            }
            throw Unexpected{fmt::format("data can be written ({})", name_), "TLS: " + reason};
        }
        flush();
        require_writable();
        return count;
    }

    void shutdown_write() override {
        say_goodbye();
        require_writable();
    }

    void flush() noexcept override {
        try {
            collect();
            while (has_unsent()) {
                const auto rest = std::string_view{out_}.substr(sent_);
                const auto count = send_quietly(fd_.get(), rest);
                if (count < 0) {
                    if (errno == EAGAIN || errno == EWOULDBLOCK) {
                        return;
                    }
                    throw SystemError{fmt::format("write ({})", name_), errno};
                }
                sent_ += static_cast<std::size_t>(count);
            }
        } catch (...) {
            write_error_ = std::current_exception();
        }
        out_.clear();
        sent_ = 0;
    }

    [[nodiscard]] bool has_unsent() const noexcept override { return sent_ < out_.size(); }

    bool renew_keys(bool asks) override {
        if (SSL_version(ssl_.get()) != TLS1_3_VERSION || said_goodbye_) {
            return false;
        }
        ERR_clear_error();
        openssl_checked(SSL_key_update(ssl_.get(), asks ? SSL_KEY_UPDATE_REQUESTED
                                                        : SSL_KEY_UPDATE_NOT_REQUESTED),
                        "renew the keys");
        openssl_checked(SSL_do_handshake(ssl_.get()), "renew the keys");
        flush();
        return true;
    }

    [[nodiscard]] std::uint64_t renewals() const noexcept override { return renewals_; }

    void discard() noexcept override { fd_.reset(); }

    /// Returns the session, as it can be resumed once (DER); empty where there is none yet.
    [[nodiscard]] std::string session() const {
        const auto* const session = SSL_get0_session(ssl_.get());
        unsigned id_size = 0;
        if (session != nullptr) {
            SSL_SESSION_get_id(session, &id_size);
        }
        // Whatever became of the connection: that it was refused shall not keep anybody from it.
        if (session == nullptr || (id_size == 0 && SSL_SESSION_has_ticket(session) != 1)) {
            return {};
        }
        std::string der(static_cast<std::size_t>(std::max(i2d_SSL_SESSION(session, nullptr), 0)),
                        '\0');
        auto* out = reinterpret_cast<unsigned char*>(der.data()); // NOLINT(*-reinterpret-cast)
        i2d_SSL_SESSION(session, &out);
        return der;
    }

private:
    /// How much may wait in the system to be sent, before this side takes nothing more.
    static constexpr unsigned most_unsent = 128U << 10U;

    /// Counts the other side's messages that it uses new keys (RFC 8446 §4.6.3).
    static void see_message(int is_written, int /*version*/, int type, const void* bytes,
                            std::size_t size, SSL* /*ssl*/, void* renewals) {
        if (is_written == 0 && type == SSL3_RT_HANDSHAKE && size > 0 &&
            *static_cast<const unsigned char*>(bytes) == SSL3_MT_KEY_UPDATE) {
            ++*static_cast<std::uint64_t*>(renewals);
        }
    }

    [[nodiscard]] std::string_view plain() const noexcept {
        return std::string_view{plain_}.substr(taken_);
    }

    /// Lets the system take less than it could, so that the rest of a record and close_notify find
    /// room when the connection is closed with all buffers full: nobody would wait for that.
    void keep_room([[maybe_unused]] unsigned unsent) const noexcept {
#ifdef TCP_NOTSENT_LOWAT
        ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
#endif
    }

    /// Does one step on the way to data. Returns false where more would have to arrive first, or to
    /// be received.
    bool advance(bool may_receive) {
        plain_.resize(SSL3_RT_MAX_PLAIN_LENGTH);
        taken_ = plain_.size();
        std::size_t count = 0;
        ERR_clear_error();
        const int result = SSL_read_ex(ssl_.get(), plain_.data(), plain_.size(), &count);
        const int error = SSL_get_error(ssl_.get(), result);
        if (result == 1) {
            plain_.resize(count);
            taken_ = 0;
            received_ += count;
            return true;
        }
        const auto reason = error == SSL_ERROR_WANT_READ ? "" : openssl_reason();
        flush(); // an alert, or the answer to a change of keys
        if (error == SSL_ERROR_WANT_READ) {
            return may_receive && receive();
        }
        if (error != SSL_ERROR_ZERO_RETURN) {
            throw Unexpected{fmt::format("records of TLS ({})", name_), "TLS: " + reason};
        }
        ended_ = true;
        return true;
    }

    /// Takes from TCP what has arrived, at most a record or so.
    bool receive() {
        std::array<char, SSL3_RT_MAX_PACKET_SIZE> bytes; // NOLINT(*-member-init): large
        const auto count =
            retry_eintr([&] { return ::recv(fd_.get(), bytes.data(), bytes.size(), 0); });
        if (count > 0) {
            place_.pass({bytes.data(), static_cast<std::size_t>(count)});
            openssl_checked(
                BIO_write(SSL_get_rbio(ssl_.get()), bytes.data(), static_cast<int>(count)),
                "keep what has arrived");
            return true;
        }
        if (count < 0) {
            if (errno == EAGAIN || errno == EWOULDBLOCK) {
                return false;
            }
            throw SystemError{fmt::format("read ({})", name_), errno};
        }
        tcp_ended_ = true;
        const bool in_record = place_.is_within_record();
        if (!may_omit_close_notify_ || in_record) {
            throw Truncated{fmt::format(
                "read ({}): the stream was cut short: TCP ended {} close_notify (RFC 8446 §6.1)",
                name_, in_record ? "within a record, without" : "without")};
        }
        ended_ = true;
        return true;
    }

    /// Takes from OpenSSL what is to be sent: nothing after close_notify, such as an answer to new
    /// keys. Nobody has to read that (RFC 8446 §6.1), and unread it would reset the connection.
    void collect() {
        auto* const bio = SSL_get_wbio(ssl_.get());
        if (has_collected_goodbye_) {
            static_cast<void>(BIO_reset(bio)); // NOLINT(*-cstyle-cast): OpenSSL's
            return;
        }
        while (const auto size = BIO_ctrl_pending(bio)) {
            const auto before = out_.size();
            out_.resize(before + size);
            BIO_read(bio, out_.data() + before, static_cast<int>(size));
        }
    }

    void require_writable() const {
        if (write_error_) {
            std::rethrow_exception(write_error_);
        }
    }

    /// Sends close_notify, behind all that was written.
    void say_goodbye() {
        if (!std::exchange(said_goodbye_, true)) {
            ERR_clear_error();
            SSL_shutdown(ssl_.get());
            ERR_clear_error();
            keep_room(0);
            collect();
            has_collected_goodbye_ = true;
        }
        flush();
    }

    /// Ends the connection as close(2) does: what was written still arrives, then the end of the
    /// stream. Where data has arrived that nobody has read, it is a reset; since that data is in
    /// here and no longer in TCP, TCP has to be told.
    void end() noexcept {
        if (!fd_) {
            return;
        }
        try {
            if (pending() > 0) {
                reset_when_closed(fd_.get());
                fd_.reset();
                return;
            }
            say_goodbye();
            constexpr auto moment = std::chrono::seconds{1};
            for (const auto deadline = Deadline::after(moment);
                 has_unsent() && !deadline.passed();) { // only where no room could be kept
                pollfd entry{.fd = fd_.get(), .events = POLLOUT, .revents = 0};
                poll_once({&entry, 1}, deadline.remaining());
                flush();
            }
            ::shutdown(fd_.get(), SHUT_WR);
            if (!tcp_ended_) {
                ClosingConnections::instance().add(std::move(fd_));
            }
        } catch (const std::exception&) { // no memory: the connection ends, in whatever form
            fd_.reset();
        }
    }

    /// A descriptor of its own, so that this may end before or after the socket.
    UniqueFd fd_;
    std::uint64_t renewals_ = 0;
    SslConnection ssl_;
    RecordPlace place_;
    std::string name_;
    bool may_omit_close_notify_;
    /// Data that has arrived, of which `taken_` bytes have been read.
    std::string plain_{};
    std::size_t taken_ = 0;
    std::uint64_t received_ = 0;
    /// Records to be sent, of which `sent_` bytes have been.
    std::string out_{};
    std::size_t sent_ = 0;
    /// The other side has ended its direction, and TCP's.
    bool ended_ = false;
    bool tcp_ended_ = false;
    bool said_goodbye_ = false;
    bool has_collected_goodbye_ = false;
    std::exception_ptr read_error_{};
    std::exception_ptr write_error_{};
};

} // namespace test_tunnel::detail
