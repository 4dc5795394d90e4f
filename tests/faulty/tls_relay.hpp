// One connection of faulty_tls_tunnel: TLS with the client, and none with the server.

#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>

#include "behaviours.hpp"
#include "sockets.hpp"
#include "tls_side.hpp"

class TlsRelay {
public:
    TlsRelay(Descriptor& client, Descriptor& server, SSL* ssl)
        : client_{client}, server_{server}, ssl_{ssl} {
        SSL_set_msg_callback(ssl_, see_message);
        SSL_set_msg_callback_arg(ssl_, &messages_);
        loses_next_ = is("tls-crosses-resumed") && SSL_session_reused(ssl_) == 1;
    }

    /// Blocks until both directions have ended, or until `end`.
    void run(Clock::time_point end) {
        for (const int fd : {client_.get(), server_.get()}) {
            checked(::fcntl(fd, F_SETFL, O_NONBLOCK), "fcntl");
        }
        while (!is_over_ && !(up_.is_passed_on && down_.is_passed_on) && Clock::now() < end) {
            while (step()) {
            }
            if (is_over_ || (up_.is_passed_on && down_.is_passed_on)) {
                break;
            }
            std::array<pollfd, 2> fds{{{client_.get(), 0, 0}, {server_.get(), 0, 0}}};
            if (!up_.has_ended && up_.data.size() < most) {
                fds[0].events |= POLLIN;
            }
            if (wants_to_write_) {
                fds[0].events |= POLLOUT;
            }
            if (!down_.has_ended && down_.data.size() < most) {
                fds[1].events |= POLLIN;
            }
            if (!up_.data.empty()) {
                fds[1].events |= POLLOUT;
            }
            for (auto& each : fds) { // a reset is noticed whatever is awaited
                each.fd = each.events == 0 && is_half_over() ? -1 : each.fd;
            }
            const auto left = end == Clock::time_point::max()
                                  ? -1
                                  : static_cast<int>((end - Clock::now()) / 1ms) + 1;
            const bool spins =
                is("tls-spins-when-cut") && up_.has_ended && !messages_.has_said_goodbye;
            ::poll(fds.data(), fds.size(), spins ? 0 : std::max(left, -1));
            if (((fds[0].revents | fds[1].revents) & (POLLERR | POLLNVAL)) != 0) {
                reset();
            }
        }
    }

private:
    struct Direction {
        std::string data{}; // that is still to be written
        bool has_ended = false;
        bool is_passed_on = false; // the end
    };

    static constexpr std::size_t most = 64 << 10;

    [[nodiscard]] bool is_half_over() const { return up_.has_ended || down_.has_ended; }

    void reset() {
        client_.reset();
        server_.reset();
        is_over_ = true;
    }

    /// Does what can be done without waiting; whether there was any.
    bool step() {
        if (is_over_) {
            return false;
        }
        bool has_acted = read_client();
        has_acted = write_server() || has_acted;
        has_acted = read_server() || has_acted;
        return write_client() || has_acted;
    }

    bool read_client() {
        if (up_.has_ended || up_.data.size() >= most) {
            return false;
        }
        std::array<char, 16384> bytes;
        ERR_clear_error();
        const int count = SSL_read(ssl_, bytes.data(), bytes.size());
        if ((is("tls-ends-at-new-keys") && messages_.key_updates > 0) ||
            (is("tls-ends-when-asked-for-keys") && messages_.is_asked_for_keys)) {
            reset();
            return false;
        }
        loses_next_ = loses_next_ || (is("tls-loses-at-new-keys") && messages_.key_updates == 1);
        if (count > 0) {
            messages_.key_updates += messages_.key_updates > 0 ? 1 : 0;
            if (!std::exchange(loses_next_, false)) {
                up_.data.append(bytes.data(), static_cast<std::size_t>(count));
            }
            return true;
        }
        const int error = SSL_get_error(ssl_, count);
        if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
            return false;
        }
        if (error == SSL_ERROR_ZERO_RETURN) {
            up_.has_ended = true;
            ends_both_ = is("tls-without-half-close") ||
                         (is("tls-answers-close-notify-alone") && has_ended(client_.get()));
            return true;
        }
        be_cut();
        return false;
    }

    /// The client's stream is cut short.
    void be_cut() {
        if (is("tls-crashes-when-cut") && has_ended(client_.get())) {
            crash();
        }
        if (is("tls-leaves-with-alert")) { // that OpenSSL has sent
            server_.reset();
            is_over_ = true;
        } else {
            reset();
        }
    }

    /// Whether the end of the client's direction is never passed on.
    [[nodiscard]] bool keeps_server() const {
        return !messages_.has_said_goodbye &&
               (is("tls-keeps-when-cut") ||
                (is("tls-1-2-keeps-when-cut") && SSL_version(ssl_) == TLS1_2_VERSION));
    }

    bool write_server() {
        if (up_.data.empty()) {
            if (up_.has_ended && !up_.is_passed_on && !keeps_server()) {
                ::shutdown(server_.get(), SHUT_WR);
                up_.is_passed_on = true;
                if (ends_both_) {
                    SSL_shutdown(ssl_);
                    is_over_ = true;
                }
            }
            return false;
        }
        const auto count = ::send(server_.get(), up_.data.data(), up_.data.size(), MSG_NOSIGNAL);
        if (count < 0 && errno != EAGAIN) {
            reset();
            return false;
        }
        up_.data.erase(0, static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
        return count > 0;
    }

    bool read_server() {
        if (is_over_ || down_.has_ended || down_.data.size() >= most) {
            return false;
        }
        std::array<char, 16384> bytes;
        const auto count = ::recv(server_.get(), bytes.data(), bytes.size(), 0);
        if (count < 0) {
            if (errno != EAGAIN) {
                reset();
            }
            return false;
        }
        down_.has_ended = count == 0;
        down_.data.append(bytes.data(), static_cast<std::size_t>(count));
        return true;
    }

    bool write_client() {
        wants_to_write_ = false;
        if (is_over_) {
            return false;
        }
        if (down_.data.empty()) {
            if (down_.has_ended && !down_.is_passed_on) {
                ERR_clear_error();
                if (SSL_in_init(ssl_) == 1 && SSL_do_handshake(ssl_) != 1) { // keys
                    wants_to_write_ = true;
                    return false;
                }
                SSL_shutdown(ssl_);
                down_.is_passed_on = true;
                if (up_.is_passed_on) {
                    ::shutdown(client_.get(), SHUT_WR);
                }
            }
            return false;
        }
        ERR_clear_error();
        const int count = SSL_write(ssl_, down_.data.data(), static_cast<int>(down_.data.size()));
        if (count > 0) {
            down_.data.erase(0, static_cast<std::size_t>(count));
            if (is("tls-renews-keys") && SSL_version(ssl_) == TLS1_3_VERSION) {
                SSL_key_update(ssl_, SSL_KEY_UPDATE_REQUESTED);
            }
            return true;
        }
        const int error = SSL_get_error(ssl_, count);
        wants_to_write_ = error == SSL_ERROR_WANT_WRITE;
        if (error != SSL_ERROR_WANT_WRITE && error != SSL_ERROR_WANT_READ) {
            reset();
        }
        return false;
    }

    Descriptor& client_;
    Descriptor& server_;
    SSL* ssl_;
    Messages messages_;
    bool ends_both_ = false;
    bool loses_next_ = false;
    Direction up_;
    Direction down_;
    bool wants_to_write_ = false;
    bool is_over_ = false;
};
