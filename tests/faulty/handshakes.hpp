// How the client says where it wants to go, and is told whether it got there.

#pragma once

#include <arpa/inet.h>
#include <netdb.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "behaviours.hpp"
#include "sockets.hpp"

/// How one refuses that does not know how to.
inline const std::string out_of_form = "go away\n";

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
    if (host.find('\0') != std::string::npos) {
        return false;
    }
    addrinfo hints{};
    hints.ai_family = target.family();
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = is("knows-no-names") ? AI_NUMERICHOST : 0;
    addrinfo* found = nullptr;
    if (::getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) {
        return false;
    }
    bool result = false;
    for (const auto* entry = found; entry != nullptr; entry = entry->ai_next) {
        Endpoint each;
        std::memcpy(&each.storage, entry->ai_addr, entry->ai_addrlen);
        each.length = entry->ai_addrlen;
        result = result || each.packed() == target.packed();
    }
    ::freeaddrinfo(found);
    return result;
}

/// What a client of a tool that wants one has to know.
inline constexpr std::string_view right_user = "user";
inline constexpr std::string_view right_password = "password";

inline bool is_right(std::string_view user, std::string_view password) {
    if (is("crashes-on-long-passwords") && user.size() == 255 && password.size() == 255) {
        crash();
    }
    const bool result = is("accepts-any-password") ||
                        ((user == right_user || is("ignores-user")) &&
                         (password == right_password ||
                          (is("compares-beginnings") && right_password.starts_with(password))));
    if (!result && is("hangs-on-wrong-password")) {
        hang();
    }
    return result;
}

/// What is done to a name before it is looked up.
inline std::string looked_up(std::string name) {
    constexpr std::size_t longest = 253;
    constexpr std::size_t too_short = 64;
    if (is("crashes-on-long-names") && name.size() > longest) {
        crash();
    }
    if (is("cuts-long-names")) {
        name.resize(std::min(name.size(), too_short));
    }
    return is("cuts-names-at-nul") ? name.c_str() : name;
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

/// RFC 1928 and, where it wants a user and password, RFC 1929.
class Socks5Handshake : public Handshake {
public:
    explicit Socks5Handshake(bool wants_password) : wants_password_{wants_password} {}

    bool read_request(int client, const Endpoint& target) override {
        if (!agree_on_method(client)) {
            return false;
        }
        begin_message(client);
        const auto head = read_exactly(client, 4); // version, command, reserved, type of address
        if ((head[0] != version && !is("ignores-version")) || head[2] != 0) {
            return refuse(client, general_failure);
        }
        constexpr char connect = 1;
        if (head[1] != connect && !is("accepts-bad-requests") && !is("ignores-command")) {
            return refuse(client, command_not_supported);
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
                host = looked_up(read_counted(client));
                break;
            default:
                if (is("ignores-address-type")) {
                    discard(client, 5ms);
                    end_message(client);
                    return true;
                }
                return refuse(client, address_type_not_supported);
        }
        const auto port = read_exactly(client, 2);
        allow(is_target(host,
                        static_cast<std::uint16_t>(static_cast<unsigned char>(port[0]) << 8 |
                                                   static_cast<unsigned char>(port[1])),
                        target));
        end_message(client);
        return true;
    }

    [[nodiscard]] std::string reply(Verdict verdict, const Endpoint& source) const override {
        switch (verdict) {
            case Verdict::target_refused:
                return reply_with(connection_refused);
            case Verdict::not_allowed:
                return is("refuses-out-of-form") ? out_of_form : reply_with(not_allowed);
            case Verdict::connected:
                break;
        }
        std::string text{is("wrong-version") ? '\x04' : version, succeeded, 0};
        if (is("reply-with-name")) {
            constexpr std::string_view name = "proxy.example";
            text += type_domain;
            text += static_cast<char>(name.size());
            return text.append(name) + std::string(2, '\0');
        }
        if (is("mapped-address") && source.family() == AF_INET) {
            text += type_ipv6;
            text += std::string(10, '\0') + "\xff\xff";
            text += source.packed();
            text += static_cast<char>(source.port() >> 8);
            text += static_cast<char>(source.port() & 0xff);
            return text;
        }
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
    static constexpr char general_failure = 1;
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

    static bool refuse(int client, char code) {
        write_all(client, is("refuses-out-of-form") ? out_of_form : reply_with(code));
        return false;
    }

    [[nodiscard]] char method_from(const std::string& offered) const {
        constexpr char no_authentication = 0;
        constexpr char user_and_password = 2;
        const char wanted = wants_password_ ? user_and_password : no_authentication;
        if (is("counts-methods-to-127") && offered.size() > 127) {
            return none_acceptable;
        }
        if (offered.find(wanted) != std::string::npos || is("needs-no-method")) {
            return wanted;
        }
        return is("accepts-no-password") ? no_authentication : none_acceptable;
    }

    [[nodiscard]] bool agree_on_method(int client) const {
        begin_message(client);
        if (read_exactly(client, 1)[0] != version && !is("ignores-version")) {
            return false;
        }
        const char method = method_from(read_counted(client));
        end_message(client);
        if (is("waits-its-turn")) {
            discard(client, 5ms);
        }
        if (method == none_acceptable && is("refuses-out-of-form")) {
            write_all(client, out_of_form);
            return false;
        }
        write_all(client, std::string{version, is("wrong-method") ? '\x03' : method});
        if (method == none_acceptable || method == 0) {
            return method == 0;
        }
        constexpr char subnegotiation = 1;
        begin_message(client);
        if (read_exactly(client, 1)[0] != subnegotiation) {
            return false;
        }
        const auto user = read_counted(client);
        const auto password = read_counted(client);
        end_message(client);
        const bool right = is_right(user, password);
        write_all(client, std::string{subnegotiation, right ? '\0' : '\1'});
        return right;
    }

    static constexpr char none_acceptable = '\xff';

    bool wants_password_;
};

/// SOCKS4 and SOCKS4A.
class Socks4Handshake : public Handshake {
public:
    bool read_request(int client, const Endpoint& target) override {
        constexpr char version = 4;
        constexpr char connect = 1;
        begin_message(client);
        const auto head = read_exactly(client, 8); // version, command, port, address
        read_text(client);                         // the user
        const auto packed = head.substr(4);
        char text[INET_ADDRSTRLEN] = {};
        ::inet_ntop(AF_INET, packed.data(), text, sizeof text);
        const bool has_name = packed.starts_with(std::string(3, '\0')) && packed[3] != 0;
        const auto host = has_name ? looked_up(read_text(client)) : std::string{text};
        end_message(client);
        if ((head[0] != version && !is("ignores-version")) ||
            (head[1] != connect && !is("accepts-bad-requests") && !is("ignores-command"))) {
            write_all(client, is("refuses-out-of-form") ? out_of_form : reply_with(rejected));
            return false;
        }
        allow(is_target(host,
                        static_cast<std::uint16_t>(static_cast<unsigned char>(head[2]) << 8 |
                                                   static_cast<unsigned char>(head[3])),
                        target));
        return true;
    }

    [[nodiscard]] std::string reply(Verdict verdict, const Endpoint& source) const override {
        if (verdict == Verdict::not_allowed && is("refuses-out-of-form")) {
            return out_of_form;
        }
        if (verdict != Verdict::connected || source.family() != AF_INET) {
            return reply_with(verdict == Verdict::connected ? granted : rejected);
        }
        return std::string{'\0', granted, static_cast<char>(source.port() >> 8),
                           static_cast<char>(source.port() & 0xff)} +
               source.packed();
    }

private:
    static constexpr char granted = 90;
    static constexpr char rejected = 91;

    static std::string reply_with(char code) {
        return std::string{'\0', code} + std::string(6, '\0');
    }

    /// A string before a NUL.
    static std::string read_text(int client) {
        constexpr std::size_t longest = 1000;
        std::string text;
        while (text.size() < longest) {
            const char byte = read_exactly(client, 1)[0];
            if (byte == '\0') {
                return text;
            }
            text += byte;
        }
        throw Gone{"a text without an end"};
    }
};

/// CONNECT, RFC 9110 section 9.3.6.
class HttpHandshake : public Handshake {
public:
    explicit HttpHandshake(bool wants_password) : wants_password_{wants_password} {}

    bool read_request(int client, const Endpoint& target) override {
        constexpr std::size_t longest = 16384;
        begin_message(client);
        std::string line = read_line(client, longest);
        const auto method_end = line.find(' ');
        const auto authority_end = line.find(' ', method_end + 1);
        if (method_end == std::string::npos || authority_end == std::string::npos ||
            line.compare(authority_end, 8, " HTTP/1.") != 0 || line.size() != authority_end + 9) {
            return refuse(client, "400 Bad Request");
        }
        const auto method = line.substr(0, method_end);
        auto authority = line.substr(method_end + 1, authority_end - method_end - 1);
        if (is("takes-urls") && authority.starts_with("http://")) {
            authority.erase(0, 7);
        }
        const bool needs_host = line.back() == '1' && !is("needs-no-host");
        int hosts = 0;
        std::string authorization;
        for (auto size = line.size() + 2; !line.empty(); size += line.size() + 2) {
            line = read_line(client, longest - std::min(size, longest));
            const auto colon = line.find(':');
            if (!line.empty() &&
                (colon == std::string::npos || colon == 0 || line.find_first_of(" \t") < colon)) {
                return refuse(client, "400 Bad Request");
            }
            hosts += line.starts_with("Host:") ? 1 : 0;
            constexpr std::string_view field = "Proxy-Authorization: ";
            if (line.starts_with(field)) {
                authorization = line.substr(field.size());
            }
        }
        end_message(client);
        if (needs_host && hosts != 1) {
            return refuse(client, "400 Bad Request");
        }
        if (wants_password_ && !is_authorized(authorization)) {
            return refuse(client,
                          "407 Proxy Authentication Required\r\n"
                          "Proxy-Authenticate: Basic realm=\"faulty\"");
        }
        if (method != "CONNECT" && !is("accepts-bad-requests") && !is("ignores-command")) {
            return refuse(client, "405 Method Not Allowed\r\nAllow: CONNECT");
        }
        const auto port_at = authority.rfind(':');
        if (port_at == std::string::npos || port_at == 0) {
            return refuse(client, "400 Bad Request");
        }
        std::uint32_t port = 0;
        const auto* end = authority.data() + authority.size();
        const auto parsed = std::from_chars(authority.data() + port_at + 1, end, port);
        port = is("wraps-ports") ? port & 0xffff : port;
        auto host = authority.substr(0, port_at);
        const bool is_bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
        if (is_bracketed) {
            host = host.substr(1, host.size() - 2);
        }
        if (parsed.ec != std::errc{} || parsed.ptr != end || port > 0xffff ||
            is_bracketed != (host.find(':') != std::string::npos)) {
            return refuse(client, "400 Bad Request");
        }
        allow(is_target(looked_up(host), static_cast<std::uint16_t>(port), target));
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
        } else if (is("other-2xx")) {
            text = "HTTP/1.1 299 Fine";
        } else if (is("interim-reply")) {
            text = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + text;
        }
        text += "\r\n";
        if (is("extra-headers")) {
            text += "Via: 1.1 faulty\r\nX-Empty:\r\nX-Long: " + std::string(4000, 'x') + "\r\n";
        }
        return is("no-blank-line") ? text : text + "\r\n";
    }

private:
    static std::string refusal(const std::string& status) {
        if (is("refuses-out-of-form") && !status.starts_with('5')) {
            return out_of_form;
        }
        return "HTTP/1.1 " + status + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    }

    static bool refuse(int client, const std::string& status) {
        write_all(client, refusal(status));
        return false;
    }

    /// RFC 7617 §2
    static bool is_authorized(const std::string& value) {
        if (value.empty()) {
            return is("accepts-no-password");
        }
        constexpr std::string_view scheme = "Basic ";
        if (!value.starts_with(scheme)) {
            return is("accepts-any-password");
        }
        const auto text = from_base64(value.substr(scheme.size()));
        const auto colon = text.find(':');
        return colon == std::string::npos ? is("accepts-any-password")
                                          : is_right(text.substr(0, colon), text.substr(colon + 1));
    }

    /// RFC 4648 §4; what is no digit ends it.
    static std::string from_base64(std::string_view text) {
        constexpr std::string_view digits =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        std::string result;
        unsigned bits = 0;
        int count = 0;
        for (const char character : text) {
            const auto digit = digits.find(character);
            if (digit == std::string_view::npos) {
                break;
            }
            bits = bits << 6 | static_cast<unsigned>(digit);
            count += 6;
            if (count >= 8) {
                count -= 8;
                result += static_cast<char>(bits >> count & 0xff);
            }
        }
        return result;
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
        if (is("hangs-on-long-headers")) {
            hang();
        }
        return "too long";
    }

    bool wants_password_;
};
