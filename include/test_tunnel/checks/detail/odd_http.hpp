#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/checks/detail/odd_requests.hpp"
#include "test_tunnel/checks/detail/wrong_credentials.hpp"
#include "test_tunnel/handshakes/http_connect.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel::check {

/// The parts of a correct CONNECT request, from which odd ones are made.
struct HttpParts {
    /// The target's host, as it stands in `authority`.
    std::string host;
    /// The target's host and port.
    std::string authority;
    /// The first line, without its end.
    std::string line;
    /// All that follows `line`.
    std::string rest;
    /// All of `rest` that follows the field Host.
    std::string others;
};

/// Returns the parts of the request that the library's own handshake would write.
inline HttpParts http_parts(const Endpoint& target, const HttpConnectOptions& options) {
    const auto good = detail::http_request(target, options);
    HttpParts result;
    result.authority = detail::http_authority(target, options);
    result.host = result.authority.substr(0, result.authority.rfind(':'));
    result.line = good.substr(0, good.find("\r\n"));
    result.rest = good.substr(result.line.size());
    result.others = result.rest.substr(result.rest.find("\r\n", 2));
    return result;
}

/// Returns requests that RFC 9110 and RFC 9112 do not allow, or leave to the server.
inline std::vector<OddRequest> odd_http(const Endpoint& target, const HttpConnectOptions& options) {
    using namespace std::string_literals;
    const auto good = http_parts(target, options);
    const auto version = good.line.substr(good.line.rfind(' '));
    std::vector<OddRequest> result;
    const auto add = [&](std::string_view name, std::string what, std::string_view section,
                         std::string text, Demand demand = Demand::refusal) {
        result.push_back({name, std::move(what), section, {.request = std::move(text)}, demand});
    };
    const auto form = [&](std::string_view name, std::string what, const std::string& authority,
                          std::string_view section = "RFC 9110 §9.3.6") {
        add(name, std::move(what), section, "CONNECT " + authority + version + good.rest);
    };
    form("http.target.scheme", "a target with a scheme", "http://" + good.authority);
    form("http.target.userinfo", "a target with a user", "user@" + good.authority);
    form("http.target.path", "a target with a path", good.authority + "/");
    form("http.target.empty", "a target without a host", fmt::format(":{}", target.port));
    form("http.port.none", "a target without a port", good.host);
    form("http.port.empty", "a target with an empty port", good.host + ":");
    form("http.port.0", "the port 0", good.host + ":0");
    form("http.port.65536", "the port 65536", good.host + ":65536");
    // A tool that keeps only 16 bits takes it for the target's port.
    form("http.port.wrapped", "a port that is 65536 too high",
         fmt::format("{}:{}", good.host, std::size_t{target.port} + 65536));
    form("http.port.text", "a port with a letter behind it", good.authority + "x");
    form("http.port.negative", "a port with a sign before it",
         fmt::format("{}:-{}", good.host, target.port));
    add("http.method.case", "'connect' in place of CONNECT", "RFC 9110 §9.1",
        "connect " + good.authority + version + good.rest);
    add("http.method.unknown", "a method that does not exist", "RFC 9110 §9.1",
        "CONNEXION " + good.authority + version + good.rest);
    add("http.line.no_version", "a request without a version", "RFC 9112 §3",
        "CONNECT " + good.authority + good.rest);
    add("http.line.garbage", "a line of bytes that mean nothing", "RFC 9112 §3",
        "\x80\x01\xff\xfe\r\n\r\n");
    const auto in_1_1 = "CONNECT " + good.authority + " HTTP/1.1";
    add("http.host.none", "a request without Host", "RFC 9112 §3.2", in_1_1 + good.others);
    add("http.host.two", "a request with two Hosts", "RFC 9112 §3.2",
        in_1_1 + "\r\nHost: other.invalid" + good.rest);
    add("http.field.space_before_colon", "a space before a field's colon", "RFC 9112 §5.1",
        good.line + "\r\nX-Test : 1" + good.rest);
    add("http.field.no_name", "a field without a name", "RFC 9112 §5",
        good.line + "\r\n: 1" + good.rest, Demand::nothing);
    add("http.field.nul", "a NUL in a field", "RFC 9110 §5.5",
        good.line + "\r\nX-Test: \0 1"s + good.rest, Demand::nothing);
    add("http.field.folded", "a folded line", "RFC 9112 §5.2",
        good.line + "\r\nX-Test: 1\r\n 2" + good.rest, Demand::nothing);
    std::string bare_lf = good.line + good.rest;
    std::erase(bare_lf, '\r');
    add("http.bare_lf", "lines that end in a bare LF", "RFC 9112 §2.2", bare_lf, Demand::nothing);
    add("http.bare_cr", "a CR within a field", "RFC 9112 §2.2",
        good.line + "\r\nX-Test: \r 1" + good.rest, Demand::nothing);
    add("http.version", "HTTP/1.9", "RFC 9110 §6.2",
        "CONNECT " + good.authority + " HTTP/1.9" + good.rest, Demand::nothing);
    add("http.spaces", "two spaces between the words of the request", "RFC 9112 §3",
        "CONNECT  " + good.authority + " " + version + good.rest, Demand::nothing);
    return result;
}

/// Returns options by which these credentials are sent, whatever they contain.
inline HttpConnectOptions with_raw_credentials(HttpConnectOptions options,
                                               const std::string& credentials) {
    options.user.reset();
    options.password.reset();
    options.headers.emplace_back("Proxy-Authorization", "Basic " + detail::base64(credentials));
    return options;
}

/// Returns CONNECT requests in which something is very long.
inline std::vector<OddRequest> long_http(const Endpoint& target,
                                         const HttpConnectOptions& options) {
    constexpr std::size_t longest = 255;
    constexpr std::size_t field = 1000;
    const auto good = http_parts(target, options);
    const auto version = good.line.substr(good.line.rfind(' '));
    const auto by_name = [&](const std::string& name) {
        return Script{.request = fmt::format("CONNECT {0}:{1}{2}\r\nHost: {0}:{1}{3}", name,
                                             target.port, version, good.others)};
    };
    std::string fields;
    for (int i = 0; i < 64; ++i) {
        fields += fmt::format("\r\nX-Test-{}: {}", i, std::string(field, 'x'));
    }
    std::vector<OddRequest> result{
        {"http.name.1", "a domain name of 1 byte", "RFC 3986 §3.2.2", by_name("1"), Demand::lookup},
        {"http.name.255", "a domain name of 255 bytes", "RFC 3986 §3.2.2",
         by_name(std::string(longest, 'x')), Demand::lookup},
        {"http.header.64k",
         "a header of 64 KiB",
         "RFC 9112 §3",
         {.request = good.line + fields + good.rest},
         Demand::answer},
        {"http.field.64k",
         "a field of 64 KiB",
         "RFC 9110 §5.4",
         {.request =
              good.line + "\r\nX-Test: " + std::string(std::size_t{64} * 1024, 'x') + good.rest},
         Demand::answer},
        {"http.target.64k", "a target of 64 KiB", "RFC 9112 §3",
         by_name(std::string(std::size_t{64} * 1024, 'x')), Demand::lookup}};
    if (options.user) {
        auto others = options;
        others.user = others.password = std::string(longest, 'x');
        result.push_back(
            {"http.password.nul", "a password with a NUL and more behind it", "RFC 7617 §2",
             script_of(with_raw_credentials(options,
                                            *options.user + ":" + *options.password + '\0' + "x"),
                       target)});
        result.push_back({"http.password.255", "a wrong user and password of 255 bytes each",
                          "RFC 7617 §2", script_of(others, target)});
    }
    return result;
}

/// Returns CONNECT requests with wrong users and passwords, and with none.
inline std::vector<OddRequest> unauthorized_http(const Endpoint& target,
                                                 const HttpConnectOptions& options) {
    const auto& user = options.user.value();
    const auto& password = options.password.value();
    auto without = options;
    without.user.reset();
    without.password.reset();
    const auto raw = [&](std::string_view value) {
        auto others = without;
        others.headers.emplace_back("Proxy-Authorization", value);
        return script_of(others, target);
    };
    std::vector<OddRequest> result{
        {"http.password.none", "no user and password", "RFC 9110 §11.7.1",
         script_of(without, target)},
        {"http.password.colon", "a password with a colon and more behind it", "RFC 7617 §2",
         raw("Basic " + detail::base64(user + ":" + password + ":x"))},
        {"http.password.no_colon", "a user without a password", "RFC 7617 §2",
         raw("Basic " + detail::base64(user))},
        {"http.password.no_credentials", "Basic, and nothing behind it", "RFC 7617 §2",
         raw("Basic")},
        {"http.password.base64", "credentials with capital letters for small ones in their code",
         "RFC 7617 §2", raw("Basic " + with_other_case(detail::base64(user + ":" + password)))},
        {"http.password.scheme", "user and password by a scheme that does not exist",
         "RFC 9110 §11.7.2", raw("Nonsense " + detail::base64(user + ":" + password))}};
    for (const auto& wrong : wrong_credentials(user, password)) {
        result.push_back({wrong.http, std::string{wrong.what}, "RFC 7617 §2",
                          raw("Basic " + detail::base64(wrong.user + ':' + wrong.password))});
    }
    return result;
}

/// Returns CONNECT requests that end too early.
inline std::vector<OddRequest> truncated_http(const Endpoint& target,
                                              const HttpConnectOptions& options) {
    const auto good = script_of(options, target).request;
    return {{"http.line.truncated",
             "an end of stream in the first line",
             "RFC 9112 §8",
             {.request = good.substr(0, good.find('\r') - 2)},
             Demand::refusal,
             Message::request},
            {"http.header.truncated",
             "an end of stream before the empty line",
             "RFC 9112 §8",
             {.request = good.substr(0, good.size() - 2)},
             Demand::refusal,
             Message::request}};
}

} // namespace test_tunnel::check
