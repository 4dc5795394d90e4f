// HTTP's CONNECT, right or wrong.

#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "behaviours.hpp"
#include "handshakes.hpp"
#include "sockets.hpp"

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
        int fields = 0;
        std::string authorization;
        for (auto size = line.size() + 2; !line.empty(); size += line.size() + 2) {
            line = read_line(client, longest - std::min(size, longest));
            const auto colon = line.find(':');
            if (!line.empty() &&
                (colon == std::string::npos || colon == 0 || line.find_first_of(" \t") < colon)) {
                return refuse(client, "400 Bad Request");
            }
            const auto name = lower(line.substr(0, std::min(colon, line.size())));
            const bool is_usual = line.starts_with("Host:") || line.starts_with("Proxy-A");
            constexpr int most = 32;
            const bool is_known = (is_usual || !is("needs-case-of-fields")) &&
                                  (++fields <= most || !is("knows-32-fields"));
            hosts += name == "host" && is_known ? 1 : 0;
            if (name == "proxy-authorization" && is_known) {
                authorization = trimmed(line.substr(colon + 1));
            }
        }
        end_message(client);
        if (needs_host && hosts != 1) {
            return refuse(client, "400 Bad Request");
        }
        const bool is_late = has_asked_ && is("serves-second-try");
        if (wants_password_ && !is_late &&
            (!is_authorized(authorization) || (has_asked_ && is("refuses-retry")))) {
            if (is("opens-after-407")) {
                write_all(client, needs_user("Content-Length: 0"));
                return true;
            }
            if (!may_ask_again(client)) {
                return refuse(client,
                              "407 Proxy Authentication Required\r\n"
                              "Proxy-Authenticate: Basic realm=\"faulty\"");
            }
            has_asked_ = true;
            return read_request(client, target);
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
        port = is("reads-four-digits") && port > 9999 ? port / 10 : port;
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
        if (is("announces-length")) {
            text += "Content-Length: 0\r\n";
        }
        if (is("announces-chunks")) {
            text += "transfer-encoding: chunked\r\n";
        }
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
        return say_no(client, refusal(status));
    }

    /// A 407 that does not end the connection; `length` says how long its content is.
    static std::string needs_user(const std::string& length) {
        return "HTTP/1.1 407 Proxy Authentication Required\r\n"
               "Proxy-Authenticate: Basic realm=\"faulty\"\r\n" +
               length + "\r\n\r\n";
    }

    /// Whether it lets a client without the right user and password say them again, and has told
    /// it so.
    static bool may_ask_again(int client) {
        if (is("asks-again") || is("refuses-retry") || is("serves-second-try")) {
            write_all(client, needs_user("Content-Length: 6") + "Who?\r\n");
            return true;
        }
        if (is("asks-again-in-chunks")) {
            write_all(client, needs_user("Transfer-Encoding: chunked") +
                                  "4;x=y\r\nWho?\r\n2\r\n\r\n\r\n0\r\nX-Test: 1\r\n\r\n");
            return true;
        }
        if (is("asks-again-in-1.0")) {
            write_all(client, "HTTP/1.0" + needs_user("Connection: keep-alive\r\n"
                                                      "Content-Length: 0")
                                               .substr(8));
            return true;
        }
        if (is("ends-instead-of-retry")) {
            write_all(client, needs_user("Content-Length: 0"));
            throw Gone{"asked for a user"};
        }
        if (is("sends-half-a-content")) {
            write_all(client, needs_user("Connection: close\r\nContent-Length: 12") + "Who?\r\n");
            throw Gone{"asked for a user"};
        }
        return false;
    }

    /// RFC 7617 §2
    static bool is_authorized(const std::string& value) {
        if (value.empty()) {
            return is("accepts-no-password");
        }
        constexpr std::string_view scheme = "Basic ";
        const auto start = value.substr(0, scheme.size());
        if (is("needs-case-of-scheme") ? start != scheme : lower(start) != "basic ") {
            return is("accepts-any-password");
        }
        const auto encoded = value.substr(scheme.size());
        // "user:password"
        if (is("ignores-case-of-code") && lower(trimmed(encoded)) == "dxnlcjpwyxnzd29yza==") {
            return true;
        }
        const auto text = from_base64(is("needs-one-space") ? encoded : trimmed(encoded));
        const auto colon = text.find(':');
        if (colon == std::string::npos) {
            return is("accepts-any-password");
        }
        auto password = text.substr(colon + 1);
        if (is("cuts-password-at-colon")) {
            password = password.substr(0, password.find(':'));
        }
        return is_right(text.substr(0, colon), password);
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
    bool has_asked_ = false;
};
