#include <test_tunnel/handshakes/detail/proxy_bytes.hpp>
#include <test_tunnel/handshakes/proxy_protocol.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/scripted_peer.hpp"

using namespace test_tunnel;
using namespace std::string_literals;
using namespace std::string_view_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
using support::check_exact;
using support::MemoryStream;
using support::text_of_error;

namespace {

auto reading(std::optional<ProxyVersion> version = std::nullopt) {
    return [version](auto& stream) { return read_proxy_header(stream, version); };
}

ProxyHeader read(const std::string& bytes, std::optional<ProxyVersion> version = std::nullopt) {
    const auto all = bytes + "the client's";
    MemoryStream stream{all};
    auto result = read_proxy_header(stream, version);
    CHECK(stream.consumed() == bytes.size());
    return result;
}

std::string wrong(const std::string& bytes, std::optional<ProxyVersion> version = std::nullopt) {
    MemoryStream stream{bytes};
    return text_of_error<Unexpected>([&] { read_proxy_header(stream, version); });
}

std::string write(const ProxyHeader& header) {
    MemoryStream stream{""};
    write_proxy_header(stream, header);
    return stream.written();
}

std::string number(std::size_t value) {
    return detail::two_bytes(value);
}

const auto signature = "\r\n\r\n\0\r\nQUIT\n"s;

std::string v2(char command, char family, const std::string& rest) {
    return signature + command + family + number(rest.size()) + rest;
}

std::string value(int type, const std::string& bytes) {
    return static_cast<char>(type) + number(bytes.size()) + bytes;
}

const Endpoint source4{Address::parse("192.0.2.1"), 0x1234};
const Endpoint destination4{Address::parse("198.51.100.2"), 443};
const Endpoint source6{Address::parse("2001:db8::1"), 0x1234};
const Endpoint destination6{Address::parse("2001:db8::2"), 443};

const auto addresses4 = "\xc0\x00\x02\x01\xc6\x33\x64\x02\x12\x34\x01\xbb"s;
const auto addresses6 = std::string{source6.address.packed()} +
                        std::string{destination6.address.packed()} + "\x12\x34\x01\xbb";

ProxyHeader header(ProxyVersion version, const Endpoint& source, const Endpoint& destination) {
    return {.version = version, .source = source, .destination = destination};
}

} // namespace

// --- Version 1

TEST_CASE("a PROXY line is read as it was meant", "[proxy]") {
    CHECK(read("PROXY TCP4 192.0.2.1 198.51.100.2 4660 443\r\n") ==
          header(ProxyVersion::v1, source4, destination4));
    CHECK(read("PROXY TCP6 2001:db8::1 2001:DB8:0:0::0002 4660 443\r\n") ==
          header(ProxyVersion::v1, source6, destination6));
    CHECK(read("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n").destination ==
          Endpoint{Address::parse("255.255.255.255"), 65535});
    // As inet_ntop(3) writes it, and RFC 5952 §5 wants it.
    CHECK(read("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n").source ==
          Endpoint{Address::parse("::ffff:c000:201"), 1});
    const ProxyHeader unknown{.version = ProxyVersion::v1};
    CHECK(read("PROXY UNKNOWN\r\n") == unknown);
    CHECK(read("PROXY UNKNOWN ffff::1 whatever\r\n") == unknown);
}

TEST_CASE("a PROXY line is taken up to its end and no further", "[proxy]") {
    check_exact(reading(), "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n");
    check_exact(reading(ProxyVersion::v1), "PROXY UNKNOWN\r\n");
    check_exact(reading(), "PROXY TCP6 ::1 fe80::1 65535 2\r\n");
}

TEST_CASE("a PROXY line has at most 107 bytes", "[proxy]") {
    const auto line = [](std::size_t size) {
        return "PROXY UNKNOWN " + std::string(size - 16, 'f') + "\r\n";
    };
    CHECK(read(line(107)).source == std::nullopt);
    CHECK_THAT(wrong(line(108)),
               StartsWith("expected CRLF within 107 bytes (§2.1) in a PROXY header "
                          "(haproxy's proxy-protocol.txt §2), got 107 bytes"));
    MemoryStream stream{
        "PROXY UNKNOWN xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"};
    CHECK_THROWS_AS(read_proxy_header(stream), Unexpected);
    CHECK(stream.consumed() == 107);
}

TEST_CASE("a PROXY line with anything wrong is thrown out", "[proxy]") {
    const std::vector<std::pair<std::string, std::string>> cases{
        {"proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "'PROXY ' or the signature of version 2 (§2)"},
        {"PROXX TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "'PROXY ' (§2.1)"},
        {"PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "TCP4, TCP6 or UNKNOWN (§2.1)"},
        {"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n", "TCP4, TCP6 or UNKNOWN (§2.1)"},
        {"PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n", "TCP4, TCP6 or UNKNOWN (§2.1)"},
        {"PROXY UNKNOWNS\r\n", "TCP4, TCP6 or UNKNOWN (§2.1)"},
        {"PROXY TCP4\r\n", "TCP4, TCP6 or UNKNOWN (§2.1)"},
        {"PROXY \r\n", "TCP4, TCP6 or UNKNOWN (§2.1)"},
        {"PROXY TCP4 \r\n", "an IPv4 address (§2.1)"},
        {"PROXY TCP4 1.2.3.4\r\n", "an IPv4 address (§2.1)"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8\r\n", "a port from 0 to 65535"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 \r\n", "a port from 0 to 65535"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", "a port from 0 to 65535"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 1 \r\n", "a port from 0 to 65535"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n", "the end of the line (§2.1)"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", "the end of the line (§2.1)"},
        {"PROXY TCP4 1.2.3.4  5.6.7.8 1 2\r\n", "an IPv4 address (§2.1)"},
        {"PROXY TCP4 1.2.3.4\t5.6.7.8 1 2\r\n", "an IPv4 address (§2.1)"},
        {"PROXY TCP4 ::1 ::1 1 2\r\n", "an IPv4 address (§2.1)"},
        {"PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n", "an IPv6 address (§2.1)"},
        {"PROXY TCP6 fe80::1%lo ::1 1 2\r\n", "an IPv6 address (§2.1)"},
        {"PROXY TCP6 [::1] ::1 1 2\r\n", "an IPv6 address (§2.1)"},
        {"PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n", "an IPv4 address (§2.1)"},
        {"PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n", "an IPv4 address (§2.1)"},
        {"PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n", "an IPv4 address (§2.1)"},
        {"PROXY TCP4 1.2.3.4\0 5.6.7.8 1 2\r\n"s, "an IPv4 address (§2.1)"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n", "a port from 0 to 65535"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n", "a port from 0 to 65535"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n", "a port from 0 to 65535"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n", "a port from 0 to 65535"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 1 0x2\r\n", "a port from 0 to 65535"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", "CRLF, not a bare LF (§2.1)"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\r\n", "CRLF, not a bare CR (§2.1)"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rX", "CRLF, not a bare CR (§2.1)"},
        {"GET / HTTP/1.1\r\n", "'PROXY ' or the signature of version 2 (§2)"},
    };
    for (const auto& [line, expected] : cases) {
        INFO(line);
        const auto text = wrong(line);
        CHECK_THAT(text,
                   StartsWith("expected " + expected) &&
                       ContainsSubstring("in a PROXY header (haproxy's proxy-protocol.txt §2), "
                                         "got ") &&
                       ContainsSubstring("\n00000000 "));
    }
}

// --- Version 2

TEST_CASE("a PROXY header of version 2 is read as it was meant", "[proxy]") {
    CHECK(read(v2('\x21', '\x11', addresses4)) == header(ProxyVersion::v2, source4, destination4));
    CHECK(read(v2('\x21', '\x21', addresses6)) == header(ProxyVersion::v2, source6, destination6));
    const ProxyHeader unknown{.version = ProxyVersion::v2};
    CHECK(read(v2('\x21', '\x00', "")) == unknown);
    CHECK(read(v2('\x21', '\x00', "anything")) == unknown);
    CHECK(read(v2('\x21', '\x12', addresses4)) == unknown);
    CHECK(read(v2('\x21', '\x22', addresses6)) == unknown);
    CHECK(read(v2('\x21', '\x31', std::string(216, '/'))) == unknown);
    CHECK(read(v2('\x21', '\x32', std::string(216, '/'))) == unknown);
    const ProxyHeader local{.version = ProxyVersion::v2, .command = ProxyCommand::local};
    CHECK(read(v2('\x20', '\x00', "")) == local);
    CHECK(read(v2('\x20', '\x11', addresses4)) == local);
    CHECK(read(v2('\x20', '\xff', "anything")) == local);
    CHECK(read(v2('\x20', '\x00', std::string(65535, 'x'))) == local);
}

TEST_CASE("a PROXY header of version 2 is taken up to its end and no further", "[proxy]") {
    check_exact(reading(), v2('\x21', '\x11', addresses4));
    check_exact(reading(ProxyVersion::v2), v2('\x21', '\x21', addresses6 + value(4, "pad")));
    check_exact(reading(), v2('\x20', '\x00', ""));
}

TEST_CASE("a wrong byte in the fixed part of a PROXY header is thrown out", "[proxy]") {
    const auto good = v2('\x21', '\x11', addresses4);
    constexpr std::size_t fixed = 16;
    for (std::size_t offset = 0; offset < fixed; ++offset) {
        for (int number = 0; number < 256; ++number) {
            auto bad = good;
            bad[offset] = static_cast<char>(number);
            const bool still_good = bad == good || (offset == 12 && number == 0x20) ||
                                    (offset == 13 && (number == 0x00 || number == 0x12));
            INFO("byte " << offset << " is " << number);
            if (still_good) {
                REQUIRE_NOTHROW(read(bad));
                continue;
            }
            const auto text = wrong(bad);
            INFO(text);
            REQUIRE(text.starts_with("expected "));
            REQUIRE(text.find("§2") != std::string::npos);
            REQUIRE(text.find(fmt::format(" {:02x}", number)) != std::string::npos);
        }
    }
}

TEST_CASE("a PROXY header of version 2 has room for its addresses", "[proxy]") {
    const std::vector<std::pair<char, std::size_t>> families{
        {'\x11', 12}, {'\x12', 12}, {'\x21', 36}, {'\x22', 36}, {'\x31', 216}, {'\x32', 216}};
    for (const auto& [family, size] : families) {
        CHECK_NOTHROW(read(v2('\x21', family, std::string(size, '\1'))));
        for (std::size_t less = 0; less < size; ++less) {
            CHECK_THAT(wrong(v2('\x21', family, std::string(less, '\1'))),
                       StartsWith(fmt::format("expected a length of at least {} (§2.2)", size)));
        }
    }
}

TEST_CASE("the values in a PROXY header are walked through", "[proxy]") {
    const auto with = [](const std::string& values) {
        return v2('\x21', '\x11', addresses4 + values);
    };
    const auto expected = header(ProxyVersion::v2, source4, destination4);
    CHECK(read(with(value(1, "h2") + value(2, "") + value(0xee, std::string(1000, 'x')))) ==
          expected);
    CHECK(read(with(value(5, std::string(128, 'x')))) == expected);
    const auto ssl = "\x01\0\0\0\0"s;
    CHECK(read(with(value(0x20, ssl))) == expected);
    CHECK(read(with(value(0x20, ssl + value(0x21, "TLSv1.3") + value(0x23, "x")))) == expected);
    const auto longest = 65535 - addresses4.size() - 3;
    CHECK(read(with(value(4, std::string(longest, 'x')))) == expected);

    const auto outside = "expected a type-length-value that ends within the header (§2.2)"s;
    CHECK_THAT(wrong(with("\x04")), StartsWith(outside));
    CHECK_THAT(wrong(with("\x04\x00"s)), StartsWith(outside));
    CHECK_THAT(wrong(with("\x04\x00\x01"s)), StartsWith(outside));
    CHECK_THAT(wrong(with(value(4, "pad") + "\x04\xff\xffx")), StartsWith(outside));
    CHECK_THAT(wrong(with(value(5, std::string(129, 'x')))), ContainsSubstring("§2.2.5"));
    CHECK_THAT(wrong(with(value(0x20, "\x01\0\0\0"s))), ContainsSubstring("§2.2.6"));
    CHECK_THAT(wrong(with(value(0x20, ssl + "\x21\x00\x02x"s) + value(4, "pad"))),
               StartsWith(outside));
}

TEST_CASE("the checksum in a PROXY header is verified", "[proxy]") {
    CHECK(detail::crc32c("123456789") == 0xe3069283U);
    auto good =
        v2('\x21', '\x11', addresses4 + value(4, "x") + value(3, "\0\0\0\0"s) + value(4, ""));
    const auto at = good.size() - 7;
    const auto crc = detail::crc32c(good);
    good.replace(at, 4, number(crc >> 16U) + number(crc & 0xffffU));
    CHECK(read(good) == header(ProxyVersion::v2, source4, destination4));
    for (std::size_t offset = 16; offset < good.size(); ++offset) {
        for (unsigned bit = 0; bit < 8; ++bit) {
            auto bad = good;
            bad[offset] = static_cast<char>(static_cast<unsigned char>(bad[offset]) ^ 1U << bit);
            // A changed type of value 3 means that there is no checksum any more.
            if (offset != at - 3) {
                CHECK_THAT(wrong(bad), StartsWith("expected "));
            }
        }
    }
    auto bad = good;
    bad[at] = static_cast<char>(~bad[at]);
    CHECK_THAT(wrong(bad),
               StartsWith(fmt::format("expected the checksum 0x{:08x} (§2.2.3) in", crc)));
    CHECK_THAT(wrong(v2('\x21', '\x11', addresses4 + value(3, "\0\0\0"s))),
               StartsWith("expected one checksum of 4 bytes (§2.2.3) in"));
    CHECK_THAT(
        wrong(v2('\x21', '\x11', addresses4 + value(3, "\0\0\0\0"s) + value(3, "\0\0\0\0"s))),
        StartsWith("expected one checksum of 4 bytes (§2.2.3) in"));
}

TEST_CASE("the version that was asked for is demanded", "[proxy]") {
    const auto line = "PROXY UNKNOWN\r\n"s;
    const auto bytes = v2('\x20', '\x00', "");
    CHECK(read(line, ProxyVersion::v1).version == ProxyVersion::v1);
    CHECK(read(bytes, ProxyVersion::v2).version == ProxyVersion::v2);
    CHECK_THAT(wrong(line, ProxyVersion::v2),
               StartsWith("expected the signature of version 2 (§2.2) in"));
    CHECK_THAT(wrong(bytes, ProxyVersion::v1), StartsWith("expected 'PROXY ' (§2.1) in"));
}

// --- Writing

TEST_CASE("a PROXY header that was written is read as the same", "[proxy]") {
    std::vector<ProxyHeader> headers{{.version = ProxyVersion::v2, .command = ProxyCommand::local}};
    for (const auto version : {ProxyVersion::v1, ProxyVersion::v2}) {
        headers.push_back({.version = version});
        headers.push_back(header(version, source4, destination4));
        headers.push_back(header(version, source6, destination6));
    }
    for (const auto& each : headers) {
        CHECK(read(write(each), each.version) == each);
    }
}

TEST_CASE("a PROXY header is written byte by byte as the protocol has it", "[proxy]") {
    CHECK(write(header(ProxyVersion::v1, source4, destination4)) ==
          "PROXY TCP4 192.0.2.1 198.51.100.2 4660 443\r\n");
    CHECK(write(header(ProxyVersion::v1, source6, destination6)) ==
          "PROXY TCP6 2001:db8::1 2001:db8::2 4660 443\r\n");
    CHECK(write({}) == "PROXY UNKNOWN\r\n");
    CHECK(write(header(ProxyVersion::v2, source4, destination4)) == v2('\x21', '\x11', addresses4));
    CHECK(write(header(ProxyVersion::v2, source6, destination6)) == v2('\x21', '\x21', addresses6));
    CHECK(write({.version = ProxyVersion::v2}) == v2('\x21', '\x00', ""));
    CHECK(write({.version = ProxyVersion::v2, .command = ProxyCommand::local}) ==
          v2('\x20', '\x00', ""));
    const Endpoint scoped{Address::from_packed(Address::parse("fe80::1").packed(), 1), 7};
    CHECK(write(header(ProxyVersion::v1, scoped, scoped)) == "PROXY TCP6 fe80::1 fe80::1 7 7\r\n");
}

TEST_CASE("a PROXY header that can't be is not written", "[proxy]") {
    const auto refusal = [](const ProxyHeader& each) {
        return text_of_error<InvalidConfig>([&] { write(each); });
    };
    CHECK_THAT(refusal({.source = source4}), ContainsSubstring("or neither"));
    CHECK_THAT(refusal({.destination = source4}), ContainsSubstring("or neither"));
    CHECK_THAT(refusal(header(ProxyVersion::v2, source4, destination6)),
               StartsWith("192.0.2.1:4660 and [2001:db8::2]:443 in one"));
    CHECK_THAT(refusal({.command = ProxyCommand::local}), StartsWith("LOCAL needs version 2"));
    CHECK_THAT(refusal({.version = ProxyVersion::v2,
                        .command = ProxyCommand::local,
                        .source = source4,
                        .destination = destination4}),
               ContainsSubstring("has no addresses"));
}

TEST_CASE("a connection says in its PROXY header who it is", "[proxy]") {
    for (const auto version : {ProxyVersion::v1, ProxyVersion::v2}) {
        std::optional<ProxyHeader> seen;
        support::ScriptedPeer peer{[&](Socket& socket, support::ScriptedPeer&) {
            seen = read_proxy_header(socket, version);
            socket.write("x");
        }};
        auto& client = peer.client();
        write_proxy_header(
            client, {.version = version, .source = client.local(), .destination = client.peer()});
        CHECK(client.read(1) == "x");
        CHECK(peer.finish().empty());
        REQUIRE(seen);
        CHECK(seen->source == client.local());
        CHECK(seen->destination == client.peer());
    }
}

TEST_CASE("values and a checksum that are put behind a PROXY header are read", "[proxy]") {
    const auto usual = header(ProxyVersion::v2, source6, destination6);
    const auto plain = detail::proxy_header_bytes(usual);
    for (const std::size_t size : {0U, 1U, 1500U, 4000U}) {
        const auto values = detail::proxy_value(0xe0, std::string(size, 'v'));
        CHECK(read(detail::with_proxy_values(plain, values)) == usual);
        const auto right = detail::with_proxy_checksum(detail::with_proxy_values(plain, values));
        CHECK(read(right) == usual);
        const auto other = detail::with_proxy_checksum(detail::with_proxy_values(plain, values), 1);
        CHECK_THAT(wrong(other), ContainsSubstring("§2.2.3"));
    }
    CHECK(read(detail::proxy_v2_bytes(0x20, 0x11, addresses4)).command == ProxyCommand::local);
}
