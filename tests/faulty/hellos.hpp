// faulty_tls_tunnel where it passes TLS on, and only looks at the hello.

#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "behaviours.hpp"
#include "sockets.hpp"

/// What a client has said first.
struct Hello {
    /// All bytes of it.
    std::string bytes;
    /// The messages in its records.
    std::string message;
    bool is_one_record = true;
    bool is_whole = false;

    /// Adds a byte. Returns whether it can still be a hello that is not whole.
    bool add(char byte) {
        bytes += byte;
        ++in_record_;
        const auto last = static_cast<unsigned char>(byte);
        switch (in_record_) {
            case 1:
                return last == 0x16;
            case 2:
                return last == 0x03;
            case 3:
                return true;
            case 4:
                size_ = std::size_t{last} << 8;
                return true;
            case 5:
                size_ += last;
                return size_ > 0;
            default:
                break;
        }
        message += byte;
        if (message[0] != 1) {
            return false;
        }
        is_whole = message.size() >= 4 && message.size() >= 4 + length();
        if (in_record_ == 5 + size_) {
            in_record_ = 0;
            is_one_record = is_one_record && is_whole;
        }
        return !is_whole;
    }

    [[nodiscard]] bool asks_for(const std::string& name) const {
        return is_whole && message.find(std::string(1, '\0') +
                                        std::string(1, static_cast<char>(name.size() >> 8)) +
                                        std::string(1, static_cast<char>(name.size())) + name) !=
                               std::string::npos;
    }

private:
    [[nodiscard]] std::size_t length() const {
        const auto at = [&](std::size_t i) {
            return std::size_t{static_cast<unsigned char>(message[i])};
        };
        return at(1) << 16 | at(2) << 8 | at(3);
    }

    std::size_t in_record_ = 0;
    std::size_t size_ = 0;
};

/// Reads what a client says first, as far as it may be a hello.
inline Hello read_hello(int fd) {
    Hello hello;
    begin_message(fd);
    const auto first = readable_bytes(fd);
    try {
        while (hello.add(read_exactly(fd, 1)[0])) {
            constexpr int moment = 50; // ms
            if (is("sni-waits-for-a-moment") && !is_readable(fd, moment)) {
                break;
            }
            if (is("sni-one-piece") && hello.bytes.size() == first) {
                break;
            }
        }
    } catch (const Gone&) { // it is what it is
    }
    return hello;
}

/// Reads the hello of a client, and returns what is to be passed on; nothing: it was refused.
inline std::optional<std::string> looked_at(Descriptor& client) {
    static std::mutex mutex;
    std::unique_lock lock{mutex, std::defer_lock};
    if (is("sni-one-slow-stops-all")) {
        lock.lock();
    }
    auto hello = read_hello(client.get());
    const bool is_long = hello.bytes.size() > 1500;
    const bool is_bad =
        (is("sni-below-1500") && is_long) || (is("sni-one-record") && !hello.is_one_record);
    if (!is_bad && hello.asks_for("proxy.test")) {
        if (is("sni-keeps-long-tail") && is_long) {
            hello.bytes.resize(1500);
        }
        return std::move(hello.bytes);
    }
    if (is("sni-hangs-on-others")) {
        hang();
    }
    if (is("sni-crashes-on-garbage") && !hello.is_whole) {
        crash();
    }
    if (is("sni-default") || is("sni-waits-for-a-moment")) {
        return std::move(hello.bytes);
    }
    if (is("sni-tells-a-part")) {
        return hello.bytes.substr(0, hello.bytes.size() / 2);
    }
    if (is("sni-cuts-others")) {
        return hello.bytes.substr(1);
    }
    if (is("sni-ends-others")) {
        close_politely(client);
    } else {
        client.reset();
    }
    return std::nullopt;
}
