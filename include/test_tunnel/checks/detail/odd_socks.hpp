#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/checks/detail/handshake_client.hpp"
#include "test_tunnel/checks/detail/odd_requests.hpp"
#include "test_tunnel/checks/detail/wrong_credentials.hpp"
#include "test_tunnel/handshakes/socks4.hpp"
#include "test_tunnel/handshakes/socks5.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel::check {

/// Returns the text with another byte at the offset `at`.
inline std::string with_byte(std::string text, std::size_t at, char byte) {
    text.at(at) = byte;
    return text;
}

/// Returns a string behind a byte with its length (RFC 1928 §5, RFC 1929 §2).
inline std::string counted(std::string_view text) {
    return static_cast<char>(text.size()) + std::string{text};
}

/// Returns requests that RFC 1928 and RFC 1929 do not allow, or leave to the server.
inline std::vector<OddRequest> odd_socks5(const Endpoint& target, const Socks5Options& options) {
    using namespace std::string_literals;
    const Script good = script_of(options, target);
    const auto port = detail::two_bytes(target.port);
    const auto host = Address::from_packed(target.address.packed()).text(); // without its scope
    std::vector<OddRequest> result;
    const auto greeting = [&](std::string_view name, std::string what, std::string text,
                              Demand demand = Demand::refusal) {
        result.push_back({name,
                          std::move(what),
                          "RFC 1928 §3",
                          {std::move(text), good.credentials, good.request},
                          demand});
    };
    const auto request = [&](std::string_view name, std::string what, std::string_view section,
                             std::string text, Demand demand = Demand::refusal) {
        result.push_back({name,
                          std::move(what),
                          section,
                          {good.greeting, good.credentials, std::move(text)},
                          demand});
    };
    const auto by_name = [&](std::string_view name) {
        return "\x05\x01\x00\x03"s + counted(name) + port;
    };
    const auto by_type = [&](char type) {
        return "\x05\x01\x00"s + type + std::string{target.address.packed()} + port;
    };
    greeting("socks5.greeting.version", "version 6 in the greeting",
             with_byte(good.greeting, 0, '\x06'));
    greeting("socks5.greeting.no_methods", "a greeting without methods", "\x05\x00"s);
    greeting("socks5.greeting.unknown_method",
             "a greeting with a method that does not exist (0x7f)", "\x05\x01\x7f");
    request("socks5.request.version", "version 6 in the request", "RFC 1928 §4",
            with_byte(good.request, 0, '\x06'));
    request("socks5.request.command_0", "the command 0x00", "RFC 1928 §4",
            with_byte(good.request, 1, '\x00'));
    request("socks5.request.command_255", "the command 0xff", "RFC 1928 §4",
            with_byte(good.request, 1, '\xff'));
    request("socks5.request.bind", "BIND", "RFC 1928 §4", with_byte(good.request, 1, '\x02'),
            Demand::elsewhere);
    request("socks5.request.associate", "UDP ASSOCIATE", "RFC 1928 §4",
            with_byte(good.request, 1, '\x03'), Demand::elsewhere);
    request("socks5.request.reserved", "a reserved byte of 0xff", "RFC 1928 §4",
            with_byte(good.request, 2, '\xff'), Demand::nothing);
    request("socks5.request.type_0", "the address type 0x00", "RFC 1928 §5", by_type('\x00'));
    request("socks5.request.type_2", "the address type 0x02", "RFC 1928 §5", by_type('\x02'));
    request("socks5.request.type_255", "the address type 0xff", "RFC 1928 §5", by_type('\xff'));
    request("socks5.request.empty_name", "an empty domain name", "RFC 1928 §5", by_name(""));
    request("socks5.request.nul_in_name", "a NUL within a domain name", "RFC 1928 §5",
            by_name(host + "\0x"s));
    request("socks5.request.port_0", "the port 0", "RFC 1928 §4",
            good.request.substr(0, good.request.size() - 2) + "\0\0"s);
    if (options.user) {
        result.push_back({"socks5.password.version",
                          "version 5 before user and password",
                          "RFC 1929 §2",
                          {good.greeting, with_byte(good.credentials, 0, '\x05'), good.request}});
    } else {
        const auto credentials = "\x01"s + counted("user") + counted("password");
        result.push_back({"socks5.password.only",
                          "an offer of user and password alone",
                          "RFC 1928 §3",
                          {"\x05\x01\x02", credentials, good.request},
                          Demand::answer});
        result.push_back({"socks5.password.offered",
                          "an offer of user and password beside no authentication",
                          "RFC 1928 §3",
                          {"\x05\x02\x00\x02"s, credentials, good.request},
                          Demand::answer});
    }
    return result;
}

/// Returns SOCKS5 requests in which something is as long as the protocol allows.
inline std::vector<OddRequest> long_socks5(const Endpoint& target, const Socks5Options& options) {
    using namespace std::string_literals;
    constexpr std::size_t longest = 255;
    const Script good = script_of(options, target);
    const auto port = detail::two_bytes(target.port);
    const auto name = [&](std::string_view text) {
        return Script{good.greeting, good.credentials, "\x05\x01\x00\x03"s + counted(text) + port};
    };
    // No name server is asked for these: one is a number, the other is too long.
    std::vector<OddRequest> result{
        {"socks5.name.1", "a domain name of 1 byte", "RFC 1928 §5", name("1"), Demand::lookup},
        {"socks5.name.255", "a domain name of 255 bytes", "RFC 1928 §5",
         name(std::string(longest, 'x')), Demand::lookup}};
    // The right method comes last, behind others that have no meaning (0x0a to 0x7f).
    std::string methods(longest, '\x0a');
    methods.back() = options.user ? '\x02' : '\x00';
    result.push_back({"socks5.methods.255",
                      "a greeting with 255 methods",
                      "RFC 1928 §3",
                      {'\x05' + counted(methods), good.credentials, good.request},
                      Demand::service});
    const auto credentials = [&](std::string_view user, std::string_view password) {
        return Script{good.greeting, '\x01' + counted(user) + counted(password), good.request};
    };
    if (options.user) {
        const std::string filler(longest, 'x');
        result.push_back({"socks5.password.1", "a wrong user and password of 1 byte each",
                          "RFC 1929 §2", credentials("\xff", "\x01")});
        if (options.password->size() + 2 <= longest) {
            result.push_back({"socks5.password.nul", "a password with a NUL and more behind it",
                              "RFC 1929 §2",
                              credentials(*options.user, *options.password + "\0x"s)});
        }
        result.push_back({"socks5.user.255", "a wrong user of 255 bytes", "RFC 1929 §2",
                          credentials(filler, *options.password)});
        result.push_back({"socks5.password.255", "a wrong password of 255 bytes", "RFC 1929 §2",
                          credentials(*options.user, filler)});
        result.push_back({"socks5.both.255", "a wrong user and password of 255 bytes each",
                          "RFC 1929 §2", credentials(filler, filler)});
    }
    return result;
}

/// Returns SOCKS5 requests with wrong users and passwords, and with none.
inline std::vector<OddRequest> unauthorized_socks5(const Endpoint& target,
                                                   const Socks5Options& options) {
    using namespace std::string_literals;
    const Script good = script_of(options, target);
    std::vector<OddRequest> result;
    for (const auto& wrong : wrong_credentials(options.user.value(), options.password.value())) {
        result.push_back({wrong.socks5,
                          std::string{wrong.what},
                          "RFC 1929 §2",
                          {good.greeting, '\x01' + counted(wrong.user) + counted(wrong.password),
                           good.request}});
    }
    result.push_back({"socks5.password.none",
                      "a greeting that offers no authentication only",
                      "RFC 1928 §3",
                      {"\x05\x01\x00"s, "", good.request}});
    return result;
}

/// Returns SOCKS5 requests that end too early.
inline std::vector<OddRequest> truncated_socks5(const Endpoint& target,
                                                const Socks5Options& options) {
    const Script good = script_of(options, target);
    const auto without_last = [](const std::string& text) {
        return text.substr(0, text.size() - 1);
    };
    std::vector<OddRequest> result{{"socks5.greeting.truncated",
                                    "an end of stream in the greeting",
                                    "RFC 1928 §3",
                                    {without_last(good.greeting)},
                                    Demand::refusal,
                                    Message::greeting},
                                   {"socks5.request.truncated",
                                    "an end of stream before the request's last byte",
                                    "RFC 1928 §4",
                                    {good.greeting, good.credentials, without_last(good.request)},
                                    Demand::refusal,
                                    Message::request}};
    if (options.user) {
        result.push_back({"socks5.password.truncated",
                          "an end of stream before the password's last byte",
                          "RFC 1929 §2",
                          {good.greeting, without_last(good.credentials)},
                          Demand::refusal,
                          Message::credentials});
    }
    return result;
}

/// Returns requests that SOCKS4 and SOCKS4A do not allow, or leave to the server.
inline std::vector<OddRequest> odd_socks4(const Endpoint& target, const Socks4Options& options) {
    using namespace std::string_literals;
    const auto good = script_of(options, target).request;
    return {{"socks4.version", "version 3", "SOCKS4 §1", {.request = with_byte(good, 0, '\x03')}},
            {"socks4.command_0",
             "the command 0x00",
             "SOCKS4 §1",
             {.request = with_byte(good, 1, '\x00')}},
            {"socks4.command_255",
             "the command 0xff",
             "SOCKS4 §1",
             {.request = with_byte(good, 1, '\xff')}},
            {"socks4.bind",
             "BIND",
             "SOCKS4 §2",
             {.request = with_byte(good, 1, '\x02')},
             Demand::elsewhere},
            {"socks4.port_0",
             "the port 0",
             "SOCKS4 §1",
             {.request = good.substr(0, 2) + "\0\0"s + good.substr(4)}},
            {"socks4.empty_name",
             "an empty domain name",
             "SOCKS4A",
             {.request = good.substr(0, 4) + "\0\0\0\1"s + options.user + "\0\0"s}}};
}

/// Returns SOCKS4 requests in which something is as long as the protocol allows.
inline std::vector<OddRequest> long_socks4(const Endpoint& target, const Socks4Options& options) {
    using namespace std::string_literals;
    constexpr std::size_t longest = 255;
    const auto good = script_of(options, target).request;
    const auto by_name = [&](const std::string& name) {
        return Script{.request =
                          good.substr(0, 4) + "\0\0\0\1"s + options.user + "\0"s + name + "\0"s};
    };
    return {{"socks4.name.1", "a domain name of 1 byte", "SOCKS4A", by_name("1"), Demand::lookup},
            {"socks4.name.255", "a domain name of 255 bytes", "SOCKS4A",
             by_name(std::string(longest, 'x')), Demand::lookup},
            {"socks4.user.255",
             "a user id of 255 bytes",
             "SOCKS4 §1",
             {.request = good.substr(0, 8) + std::string(longest, 'x') +
                         good.substr(8 + options.user.size())},
             Demand::answer}};
}

/// Returns SOCKS4 requests that end too early.
inline std::vector<OddRequest> truncated_socks4(const Endpoint& target,
                                                const Socks4Options& options) {
    const auto good = script_of(options, target).request;
    return {{"socks4.truncated",
             "an end of stream before the last NUL",
             "SOCKS4 §1",
             {.request = good.substr(0, good.size() - 1)},
             Demand::refusal,
             Message::request},
            {"socks4.truncated_address",
             "an end of stream within the address",
             "SOCKS4 §1",
             {.request = good.substr(0, 6)},
             Demand::refusal,
             Message::request}};
}

} // namespace test_tunnel::check
