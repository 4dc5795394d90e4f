// SOCKS5 and SOCKS4, right or wrong.

#pragma once

#include <arpa/inet.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "behaviours.hpp"
#include "handshakes.hpp"
#include "sockets.hpp"

/// What it does besides CONNECT without authentication.
struct Socks5Abilities {
    bool wants_password = false;
    bool serves_bind = false;
    bool relays_datagrams = false;
};

/// RFC 1928 and, where it wants a user and password, RFC 1929.
class Socks5Handshake : public Handshake {
public:
    explicit Socks5Handshake(Socks5Abilities abilities)
        : wants_password_{abilities.wants_password},
          serves_bind_{abilities.serves_bind},
          relays_datagrams_{abilities.relays_datagrams} {}

    [[nodiscard]] std::optional<Endpoint> association() const override { return association_; }
    [[nodiscard]] bool wants_bind() const override { return wants_bind_; }

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
        constexpr char bind = 2;
        constexpr char associate = 3;
        const bool is_association = head[1] == associate && relays_datagrams_;
        wants_bind_ = serves_bind_ && head[1] == bind;
        if (head[1] != connect && !is_association && !wants_bind_ && !is("accepts-bad-requests") &&
            !is("ignores-command")) {
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
                if (is("knows-no-literals") && look_up(host, target.family(), 0).size() == 1 &&
                    host.find_first_not_of("0123456789.:abcdef") == std::string::npos) {
                    return refuse(client, general_failure);
                }
                break;
            default:
                if (is("ignores-address-type")) {
                    discard(client, 5ms);
                    end_message(client);
                    return true;
                }
                return refuse(client, address_type_not_supported);
        }
        const auto bytes = read_exactly(client, 2);
        const auto port = static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[0]) << 8 |
                                                     static_cast<unsigned char>(bytes[1]));
        if (is_association) { // of what the client tells, the port is enough
            association_ = any_address(target.family(), port);
        } else {
            allow(is_target(host, port, target));
        }
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

    static bool refuse(int client, char code) { return say_no(client, reply_with(code)); }

    [[nodiscard]] char method_from(const std::string& offered) const {
        constexpr char no_authentication = 0;
        constexpr char user_and_password = 2;
        const char wanted = wants_password_ ? user_and_password : no_authentication;
        if (is("looks-at-first-method")) {
            return offered.front() == wanted ? wanted : none_acceptable;
        }
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
        if (method == none_acceptable) {
            return say_no(client, std::string{version, method}) || is("serves-after-no-method");
        }
        write_all(client, std::string{version, is("wrong-method") ? '\x03' : method});
        if (method == 0) {
            return true;
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
        if (!right && is("hides-wrong-password")) {
            return false;
        }
        write_all(client, std::string{subnegotiation, right ? '\0' : '\1'});
        if (!right && is("stays-open-after-wrong-password")) {
            hang();
        }
        return right || is("serves-after-wrong-password");
    }

    static constexpr char none_acceptable = '\xff';

    bool wants_password_;
    bool serves_bind_;
    bool relays_datagrams_;
    bool wants_bind_ = false;
    std::optional<Endpoint> association_;
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
            return say_no(client, reply_with(rejected));
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
