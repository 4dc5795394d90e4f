// How the client says where it wants to go, and is told whether it got there.

#pragma once

#include <arpa/inet.h>
#include <stdlib.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "behaviours.hpp"
#include "sockets.hpp"

enum class Verdict { connected, target_refused, not_allowed };

/// In a handshake the client is answered once; what comes after that is its data.
class Handshake {
public:
    Handshake() = default;
    Handshake(const Handshake&) = delete;
    Handshake& operator=(const Handshake&) = delete;
    virtual ~Handshake() = default;

    /// Reads the request; false: it was bad, and has been answered. `target` is the only one
    /// allowed.
    virtual bool read_request(int client, const Endpoint& target) = 0;

    /// Whether the request was for the target that is allowed.
    [[nodiscard]] bool is_allowed() const { return is_allowed_; }

    /// The answer; `source` is the outgoing side's address.
    [[nodiscard]] virtual std::string reply(Verdict verdict, const Endpoint& source) const = 0;

protected:
    void allow(bool allowed) { is_allowed_ = allowed; }

private:
    bool is_allowed_ = true;
};

/// Whether this host, as a client has written it, and port are the target.
inline bool is_target(const std::string& host, std::uint16_t port, const Endpoint& target) {
    if (port != target.port()) {
        return false;
    }
    if (host == "localhost") {
        const auto loopback = target.family() == AF_INET ? "127.0.0.1" : "::1";
        return parse_endpoint(loopback, 0).packed() == target.packed();
    }
    try {
        const auto wanted = parse_endpoint(host, port);
        return wanted.family() == target.family() && wanted.packed() == target.packed();
    } catch (const Gone&) {
        return false;
    }
}

/// No request; `announce` says in a line of text where it connects from, `forward` says nothing.
class PlainHandshake : public Handshake {
public:
    explicit PlainHandshake(bool announces) : announces_{announces} {}

    bool read_request(int client, const Endpoint& /*target*/) override {
        if (is("lazy")) {
            is_readable(client, -1);
        }
        return true;
    }

    [[nodiscard]] std::string reply(Verdict verdict, const Endpoint& source) const override {
        if (verdict != Verdict::connected || !announces_ || is("greets-early")) {
            return {};
        }
        return source.address_text() + " " + std::to_string(source.port()) + "\n";
    }

private:
    bool announces_;
};

/// RFC 1928 and, with a user and password, RFC 1929.
class Socks5Handshake : public Handshake {
public:
    bool read_request(int client, const Endpoint& target) override {
        if (!agree_on_method(client)) {
            return false;
        }
        const auto head = read_exactly(client, 4); // version, command, reserved, type of address
        if (head[0] != version || head[2] != 0) {
            return false;
        }
        constexpr char connect = 1;
        if (head[1] != connect && !is("accepts-bad-requests")) {
            write_all(client, reply_with(command_not_supported));
            return false;
        }
        std::string host;
        switch (head[3]) {
            case type_ipv4:
                host = numeric_text(AF_INET, read_exactly(client, sizeof(in_addr)));
                break;
            case type_ipv6:
                host = numeric_text(AF_INET6, read_exactly(client, sizeof(in6_addr)));
                break;
            case type_domain:
                host = read_counted(client);
                break;
            default:
                write_all(client, reply_with(address_type_not_supported));
                return false;
        }
        const auto port = read_exactly(client, 2);
        allow(is_target(host,
                        static_cast<std::uint16_t>(static_cast<unsigned char>(port[0]) << 8 |
                                                   static_cast<unsigned char>(port[1])),
                        target));
        return true;
    }

    [[nodiscard]] std::string reply(Verdict verdict, const Endpoint& source) const override {
        switch (verdict) {
            case Verdict::target_refused:
                return reply_with(connection_refused);
            case Verdict::not_allowed:
                return reply_with(not_allowed);
            case Verdict::connected:
                break;
        }
        std::string text{is("wrong-version") ? '\x04' : version, succeeded, 0};
        text += source.family() == AF_INET ? type_ipv4 : type_ipv6;
        text += source.packed();
        text += static_cast<char>(source.port() >> 8);
        text += static_cast<char>(source.port() & 0xff);
        return text;
    }

private:
    static constexpr char version = 5;
    static constexpr char type_ipv4 = 1;
    static constexpr char type_domain = 3;
    static constexpr char type_ipv6 = 4;
    static constexpr char succeeded = 0;
    static constexpr char not_allowed = 2;
    static constexpr char connection_refused = 5;
    static constexpr char command_not_supported = 7;
    static constexpr char address_type_not_supported = 8;

    static std::string reply_with(char code) {
        return std::string{version, code, 0, type_ipv4} + std::string(6, '\0');
    }

    static std::string numeric_text(int family, const std::string& packed) {
        std::array<char, INET6_ADDRSTRLEN> text{};
        ::inet_ntop(family, packed.data(), text.data(), text.size());
        return text.data();
    }

    /// A string after a byte with its length.
    static std::string read_counted(int client) {
        return read_exactly(client, static_cast<unsigned char>(read_exactly(client, 1)[0]));
    }

    static bool agree_on_method(int client) {
        constexpr char no_authentication = 0;
        constexpr char user_and_password = 2;
        constexpr char none_acceptable = '\xff';
        if (read_exactly(client, 1)[0] != version) {
            return false;
        }
        const auto offered = read_counted(client);
        const char* expected = ::getenv("FAULTY_TUNNEL_AUTH"); // NOLINT(concurrency-mt-unsafe)
        const char method = expected == nullptr ? no_authentication : user_and_password;
        if (offered.find(method) == std::string::npos) {
            write_all(client, std::string{version, none_acceptable});
            return false;
        }
        write_all(client, std::string{version, is("wrong-method") ? '\x03' : method});
        if (method == no_authentication) {
            return true;
        }
        constexpr char subnegotiation = 1;
        if (read_exactly(client, 1)[0] != subnegotiation) {
            return false;
        }
        const auto user = read_counted(client);
        const auto password = read_counted(client);
        const bool is_right = user + ":" + password == expected || is("accepts-any-password");
        write_all(client, std::string{subnegotiation, is_right ? '\0' : '\1'});
        return is_right;
    }
};

/// CONNECT, RFC 9110 section 9.3.6.
class HttpHandshake : public Handshake {
public:
    bool read_request(int client, const Endpoint& target) override {
        constexpr std::size_t longest = 16384;
        std::string line = read_line(client, longest);
        const auto method_end = line.find(' ');
        const auto authority_end = line.find(' ', method_end + 1);
        if (method_end == std::string::npos || authority_end == std::string::npos ||
            line.compare(authority_end, 8, " HTTP/1.") != 0 || line.size() != authority_end + 9) {
            return refuse(client, "400 Bad Request");
        }
        const auto method = line.substr(0, method_end);
        const auto authority = line.substr(method_end + 1, authority_end - method_end - 1);
        for (auto size = line.size() + 2; !line.empty(); size += line.size() + 2) {
            line = read_line(client, longest - std::min(size, longest));
            if (!line.empty() && (line.find(':') == std::string::npos || line[0] == ':')) {
                return refuse(client, "400 Bad Request");
            }
        }
        if (method != "CONNECT" && !is("accepts-bad-requests")) {
            return refuse(client, "405 Method Not Allowed\r\nAllow: CONNECT");
        }
        const auto port_at = authority.rfind(':');
        if (port_at == std::string::npos || port_at == 0) {
            return refuse(client, "400 Bad Request");
        }
        std::uint16_t port = 0;
        const auto* end = authority.data() + authority.size();
        const auto parsed = std::from_chars(authority.data() + port_at + 1, end, port);
        auto host = authority.substr(0, port_at);
        const bool is_bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
        if (is_bracketed) {
            host = host.substr(1, host.size() - 2);
        }
        if (parsed.ec != std::errc{} || parsed.ptr != end ||
            is_bracketed != (host.find(':') != std::string::npos)) {
            return refuse(client, "400 Bad Request");
        }
        allow(is_target(host, port, target));
        return true;
    }

    [[nodiscard]] std::string reply(Verdict verdict, const Endpoint& /*source*/) const override {
        switch (verdict) {
            case Verdict::target_refused:
                return refusal("502 Bad Gateway");
            case Verdict::not_allowed:
                return refusal("403 Forbidden");
            case Verdict::connected:
                break;
        }
        std::string text = is("wrong-version") ? "HTTP/9.7 200 OK" : "HTTP/1.1 200 OK";
        if (is("odd-reason")) {
            text = "HTTP/1.1 200 Tunnel: 100 % (open) \xe2\x86\x92";
        } else if (is("http-1.0")) {
            text = "HTTP/1.0 200 ";
        }
        text += "\r\n";
        if (is("extra-headers")) {
            text += "Via: 1.1 faulty\r\nX-Empty:\r\nX-Long: " + std::string(4000, 'x') + "\r\n";
        }
        return is("no-blank-line") ? text : text + "\r\n";
    }

private:
    static std::string refusal(const std::string& status) {
        return "HTTP/1.1 " + status + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    }

    static bool refuse(int client, const std::string& status) {
        write_all(client, refusal(status));
        return false;
    }

    /// Without its CR LF; not a byte of what follows is read. What stands for a line that is too
    /// long is neither a request nor a header.
    static std::string read_line(int client, std::size_t longest) {
        std::string line;
        while (line.size() < longest) {
            const char byte = read_exactly(client, 1)[0];
            if (byte == '\n') {
                if (!line.empty() && line.back() == '\r') {
                    line.pop_back();
                }
                return line;
            }
            line += byte;
        }
        return "too long";
    }
};
