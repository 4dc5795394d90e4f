#include <test_tunnel/handshakes/socks4.hpp>
#include <test_tunnel/handshakes/socks5.hpp>

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
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;
using support::check_exact;
using support::from_memory;
using support::MemoryStream;
using support::text_of_error;

namespace {

const Endpoint target{Address::parse("192.0.2.1"), 0x1234};
const Endpoint target6{Address::parse("2001:db8::1"), 0x1234};

/// A generic lambda, so that it runs on a Socket and from memory.
auto socks5(Socks5Options options = {}, Endpoint to = target) {
    return [options = std::move(options), to](auto& stream) {
        return socks5_connect(stream, to, options);
    };
}

auto socks4(Socks4Options options = {}, Endpoint to = target) {
    return [options = std::move(options), to](auto& stream) {
        return socks4_connect(stream, to, options);
    };
}

template <typename Run>
std::string written(Run run, std::string_view reply) {
    MemoryStream stream{reply};
    run(stream);
    return stream.written();
}

std::optional<Endpoint> endpoint(const char* address, std::uint16_t port) {
    return Endpoint{Address::parse(address), port};
}

const std::string ipv4_reply = "\x05\x00\x00\x01\xc0\x00\x02\x07\x10\x01"s;
const std::string ipv6_reply =
    "\x05\x00\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07\x10\x01"s;
const std::string name_reply = "\x05\x00\x00\x03\x05proxy\x10\x01"s;
const std::string no_method = "\x05\x00"s;
const std::string password_method = "\x05\x02\x01\x00"s;
const Socks5Options with_user{.user = "u", .password = "p"};

/// Every reply that differs from `good` in one of the first `fixed` bytes has to be thrown out,
/// with the byte in the dump.
template <typename Run>
void check_each_wrong_byte(Run run, const std::string& good, std::size_t fixed,
                           const std::vector<std::string>& sections) {
    for (std::size_t offset = 0; offset < fixed; ++offset) {
        for (int value = 0; value < 256; ++value) {
            auto bad = good;
            bad[offset] = static_cast<char>(value);
            if (bad == good) {
                continue;
            }
            const auto text = text_of_error<Unexpected>([&] { from_memory(run, bad); });
            INFO("byte " << offset << " is " << value << ": " << text);
            REQUIRE(text.starts_with("expected "));
            REQUIRE(text.find(sections.at(offset)) != std::string::npos);
            REQUIRE(text.find(fmt::format(" {:02x}", value)) != std::string::npos);
        }
    }
}

} // namespace

// --- SOCKS5: what is sent

TEST_CASE("SOCKS5 asks by IPv4, IPv6 and name", "[socks5]") {
    const auto reply = no_method + ipv4_reply;
    const auto greeting = "\x05\x01\x00"s;
    CHECK(written(socks5(), reply) == greeting + "\x05\x01\x00\x01\xc0\x00\x02\x01\x12\x34"s);
    CHECK(written(socks5({}, target6), reply) ==
          greeting + "\x05\x01\x00\x04"s + std::string{target6.address.packed()} + "\x12\x34");
    CHECK(written(socks5({.name = "localhost"}), reply) ==
          greeting + "\x05\x01\x00\x03\x09localhost\x12\x34"s);
}

TEST_CASE("SOCKS5 offers what it was given", "[socks5]") {
    const auto request = "\x05\x01\x00\x01\xc0\x00\x02\x01\x12\x34"s;
    CHECK(written(socks5(with_user), password_method + ipv4_reply) ==
          "\x05\x01\x02\x01\x01u\x01p"s + request);
    auto both = with_user;
    both.offer_no_authentication = true;
    CHECK(written(socks5(both), password_method + ipv4_reply) ==
          "\x05\x02\x00\x02\x01\x01u\x01p"s + request);
    CHECK(written(socks5(both), no_method + ipv4_reply) == "\x05\x02\x00\x02"s + request);
}

TEST_CASE("SOCKS5 carries texts of 1 and 255 bytes, and no others", "[socks5]") {
    const std::string longest(255, 'x');
    const std::string too_long(256, 'x');
    CHECK(written(socks5({.name = longest}), no_method + ipv4_reply) ==
          "\x05\x01\x00\x05\x01\x00\x03\xff"s + longest + "\x12\x34");
    CHECK(written(socks5({.name = "x"}), no_method + ipv4_reply) ==
          "\x05\x01\x00\x05\x01\x00\x03\x01x\x12\x34"s);
    CHECK(written(socks5({.user = longest, .password = longest}), password_method + ipv4_reply)
              .starts_with("\x05\x01\x02\x01\xff" + longest + "\xff" + longest + "\x05"));

    const auto refusal = [](const Socks5Options& options) {
        MemoryStream stream{"\x05\x00"sv};
        auto text = text_of_error<InvalidConfig>([&] { socks5_connect(stream, target, options); });
        CHECK(stream.written().empty());
        return text;
    };
    CHECK(refusal({.name = too_long}) ==
          "the SOCKS5 name has 256 bytes, not 1 to 255 (RFC 1928 §5)");
    CHECK(refusal({.name = ""}) == "the SOCKS5 name has 0 bytes, not 1 to 255 (RFC 1928 §5)");
    for (const auto& wrong : {""s, too_long}) {
        const auto rest = fmt::format(" has {} bytes, not 1 to 255 (RFC 1929 §2)", wrong.size());
        CHECK(refusal({.user = wrong, .password = "p"}) == "the SOCKS5 user" + rest);
        CHECK(refusal({.user = "u", .password = wrong}) == "the SOCKS5 password" + rest);
    }
    CHECK_THAT(refusal({.user = "u"}), EndsWith("not a user alone"));
    CHECK_THAT(refusal({.password = "p"}), EndsWith("not a password alone"));
}

TEST_CASE("SOCKS5 waits for each reply before it goes on", "[socks5]") {
    std::vector<std::string> turns;
    support::ScriptedPeer peer{[&](Socket& socket, support::ScriptedPeer&) {
        turns.push_back(socket.read(3));
        turns.push_back(std::to_string(socket.pending()));
        socket.write("\x05\x02"sv);
        turns.push_back(socket.read(5));
        turns.push_back(std::to_string(socket.pending()));
        socket.write("\x01\x00"sv);
        turns.push_back(socket.read(10));
        socket.write(ipv4_reply);
    }};
    CHECK(socks5_connect(peer.client(), target, with_user) == endpoint("192.0.2.7", 0x1001));
    CHECK(peer.finish().empty());
    CHECK(turns == std::vector<std::string>{"\x05\x01\x02", "0", "\x01\x01u\x01p", "0",
                                            "\x05\x01\x00\x01\xc0\x00\x02\x01\x12\x34"s});
}

// --- SOCKS5: what is accepted

TEST_CASE("SOCKS5 returns the address in the reply", "[socks5]") {
    CHECK(from_memory(socks5(), no_method + ipv4_reply) == endpoint("192.0.2.7", 0x1001));
    CHECK(from_memory(socks5(), no_method + ipv6_reply) == endpoint("2001:db8::7", 0x1001));
    CHECK(from_memory(socks5(), no_method + name_reply) == std::nullopt);
    CHECK(from_memory(socks5(), no_method + "\x05\x00\x00\x01\0\0\0\0\0\0"s) ==
          endpoint("0.0.0.0", 0));
    CHECK(from_memory(socks5(), no_method + "\x05\x00\x00\x04"s + std::string(18, '\0')) ==
          endpoint("::", 0));
}

TEST_CASE("SOCKS5 takes exactly the bytes of its replies", "[socks5]") {
    check_exact(socks5(), no_method + ipv4_reply);
    check_exact(socks5(), no_method + ipv6_reply);
    check_exact(socks5(), no_method + name_reply);
    check_exact(socks5(), no_method + "\x05\x00\x00\x03\x01x\x10\x01"s);
    check_exact(socks5(with_user), password_method + ipv4_reply);
}

TEST_CASE("SOCKS5 takes a domain name of 255 bytes", "[socks5]") {
    const auto reply = no_method + "\x05\x00\x00\x03\xff"s + std::string(255, 'x') + "\x10\x01";
    MemoryStream stream{reply};
    CHECK(socks5_connect(stream, target) == std::nullopt);
    CHECK(stream.consumed() == reply.size());
}

// --- SOCKS5: what is not

TEST_CASE("SOCKS5 throws out every wrong byte", "[socks5]") {
    const auto method = "RFC 1928 §3"s;
    const auto user = "RFC 1929 §2"s;
    const auto reply = "RFC 1928 §6"s;
    check_each_wrong_byte(socks5(), no_method + ipv4_reply, 6,
                          {method, method, reply, reply, reply, reply});
    check_each_wrong_byte(socks5(with_user), password_method + ipv4_reply, 8,
                          {method, method, user, user, reply, reply, reply, reply});
}

TEST_CASE("SOCKS5 says what was wrong, and quotes it", "[socks5]") {
    const auto text = [](const std::string& reply) {
        return text_of_error<Unexpected>([&] { from_memory(socks5(), reply); });
    };
    CHECK(
        text("\x04\x00"s) ==
        "expected version 5 in the method selection (RFC 1928 §3), got 1 byte, wrong at offset 0\n"
        "00000000  04                                               |.|");
    CHECK(text("\x05\x02"s) ==
          "expected a method that was offered in the method selection (RFC 1928 §3), got 2 bytes, "
          "wrong at offset 1\n"
          "00000000  05 02                                            |..|");
    CHECK_THAT(text("\x05\x00\x05\x00\x00\x02"s),
               StartsWith("expected an address type of 0x01, 0x03 or 0x04 in the reply to CONNECT "
                          "(RFC 1928 §6), got 4 bytes, wrong at offset 3\n"));
    CHECK_THAT(text("\x05\x00\x05\x00\x00\x03\x00\x10\x01"s),
               StartsWith("expected a domain name of at least 1 byte in"));
    CHECK_THAT(text("\x05\x00\x05\x00\x00\x03\x03x\x00y\x10\x01"s),
               StartsWith("expected a domain name without a NUL (§5) in") &&
                   ContainsSubstring("wrong at offset 6"));
    CHECK_THAT(text("\x05\x00\x05\x09\x00\x01\0\0\0\0\0\0"s),
               StartsWith("expected a reply code from 0x00 to 0x08 in"));
    CHECK_THAT(text("\x05\x00\x05\x01\x00\x01\0\0\0\0\0"s),
               StartsWith("expected the rest of the reply to CONNECT (RFC 1928 §6), got 9 bytes, "
                          "then end of stream\n"));
    CHECK_THAT(text(""),
               StartsWith("expected the rest of the method selection (RFC 1928 §3), got 0 "
                          "bytes, then end of stream"));
}

TEST_CASE("SOCKS5 names each refusal in due form", "[socks5]") {
    const std::vector<std::pair<int, std::string>> refusals{
        {1, "general SOCKS server failure"},
        {2, "connection not allowed by ruleset"},
        {3, "network unreachable"},
        {4, "host unreachable"},
        {5, "connection refused by destination host"},
        {6, "TTL expired"},
        {7, "command not supported"},
        {8, "address type not supported"}};
    for (const auto& [code, name] : refusals) {
        for (auto reply : {ipv4_reply, ipv6_reply, name_reply}) {
            reply[1] = static_cast<char>(code);
            const auto all = no_method + reply;
            MemoryStream input{all};
            try {
                socks5_connect(input, target);
                FAIL("accepted");
            } catch (const HandshakeRefused& refused) {
                CHECK(refused.step() == RefusedStep::connect);
                CHECK(refused.code() == code);
                CHECK(refused.expected() ==
                      "'succeeded' (0x00) in the reply to CONNECT (RFC 1928 "
                      "§6)");
                CHECK_THAT(refused.actual(),
                           StartsWith(fmt::format("'{}' (0x{:02x}): {} bytes\n00000000  05 {:02x}",
                                                  name, code, reply.size(), code)));
            }
            CHECK(input.consumed() == all.size());
            // A refusal that is not complete is no refusal in due form.
            for (std::size_t size = 0; size < all.size(); ++size) {
                const auto text = text_of_error<Unexpected>(
                    [&] { from_memory(socks5(), std::string_view{all}.substr(0, size)); });
                CHECK(text.find("then end of stream") != std::string::npos);
            }
        }
    }
}

TEST_CASE("SOCKS5 tells who was refused: the methods, or the user", "[socks5]") {
    try {
        from_memory(socks5(), "\x05\xff"sv);
        FAIL("accepted");
    } catch (const HandshakeRefused& refused) {
        CHECK(refused.step() == RefusedStep::method);
        CHECK(refused.code() == 0xff);
        CHECK_THAT(refused.what(), ContainsSubstring("RFC 1928 §3") &&
                                       ContainsSubstring("no acceptable methods") &&
                                       ContainsSubstring("05 ff"));
    }
    for (const int status : {1, 255}) {
        try {
            from_memory(socks5(with_user), "\x05\x02\x01"s + static_cast<char>(status));
            FAIL("accepted");
        } catch (const HandshakeRefused& refused) {
            CHECK(refused.step() == RefusedStep::authentication);
            CHECK(refused.code() == status);
            CHECK_THAT(refused.what(), ContainsSubstring("RFC 1929 §2") &&
                                           ContainsSubstring(fmt::format("01 {:02x}", status)));
        }
    }
}

TEST_CASE("SOCKS5 notices at once what is too short to be a reply", "[socks5]") {
    // Nothing follows, and nobody closes: who waited for more would wait in vain.
    support::ScriptedPeer peer{[](Socket& socket, support::ScriptedPeer&) {
        socket.write("H");
        static_cast<void>(socket.read(1000));
    }};
    const auto begin = Clock::now();
    CHECK_THROWS_AS(socks5_connect(peer.client(), target), Unexpected);
    CHECK(Clock::now() - begin < std::chrono::seconds{30});
}

TEST_CASE("a reply that does not go on is quoted with what came of it", "[socks5]") {
    support::ScriptedPeer peer{[](Socket& socket, support::ScriptedPeer&) {
        socket.write("\x05\x00\x05\x00\x00\x01\x7f"sv);
        static_cast<void>(socket.read(1000));
    }};
    peer.client().set_timeout(std::chrono::milliseconds{50});
    CHECK_THAT(text_of_error<Unexpected>([&] { socks5_connect(peer.client(), target); }),
               StartsWith("expected the rest of the reply to CONNECT (RFC 1928 §6), got 5 bytes, "
                          "then: nothing for ") &&
                   ContainsSubstring("05 00 00 01 7f"));
}

// --- SOCKS4

TEST_CASE("SOCKS4 asks by address, SOCKS4A by name", "[socks4]") {
    const auto reply = "\x00\x5a\x10\x01\xc0\x00\x02\x07"s;
    CHECK(written(socks4(), reply) == "\x04\x01\x12\x34\xc0\x00\x02\x01\x00"s);
    CHECK(written(socks4({.user = "me"}), reply) == "\x04\x01\x12\x34\xc0\x00\x02\x01me\x00"s);
    CHECK(written(socks4({.name = "localhost"}), reply) ==
          "\x04\x01\x12\x34\x00\x00\x00\x01\x00localhost\x00"s);
    CHECK(written(socks4({.name = "x", .user = "me"}, target6), reply) ==
          "\x04\x01\x12\x34\x00\x00\x00\x01me\x00x\x00"s);
    CHECK(written(socks4({}, {Address{}, 1}), reply) == "\x04\x01\x00\x01\0\0\0\0\0"s);
    const std::string longest(255, 'x');
    CHECK(written(socks4({.name = longest, .user = longest}), reply) ==
          "\x04\x01\x12\x34\x00\x00\x00\x01"s + longest + "\0"s + longest + "\0"s);
}

TEST_CASE("SOCKS4 refuses to ask for what it can't", "[socks4]") {
    const auto refusal = [](const Socks4Options& options, const Endpoint& to = target) {
        MemoryStream stream{""};
        auto text = text_of_error<InvalidConfig>([&] { socks4_connect(stream, to, options); });
        CHECK(stream.written().empty());
        return text;
    };
    const std::string too_long(256, 'x');
    CHECK(refusal({.name = too_long}) == "the SOCKS4 name has 256 bytes, not 1 to 255 (SOCKS4A)");
    CHECK(refusal({.name = ""}) == "the SOCKS4 name has 0 bytes, not 1 to 255 (SOCKS4A)");
    CHECK(refusal({.user = too_long}) == "the SOCKS4 user has 256 bytes, not 0 to 255 (SOCKS4 §1)");
    CHECK(refusal({.name = "a\0b"s}) == "the SOCKS4 name contains a NUL, which would end it");
    CHECK(refusal({.user = "a\0b"s}) == "the SOCKS4 user contains a NUL, which would end it");
    CHECK_THAT(refusal({}, target6),
               StartsWith("SOCKS4 has no IPv6 addresses, such as 2001:db8::1"));
    CHECK_THAT(refusal({}, {Address::parse("0.0.0.7"), 1}),
               StartsWith("SOCKS4 can't ask for 0.0.0.7"));
}

TEST_CASE("SOCKS4 returns the address in the reply and takes exactly its bytes", "[socks4]") {
    CHECK(from_memory(socks4(), "\x00\x5a\x10\x01\xc0\x00\x02\x07"s) ==
          endpoint("192.0.2.7", 0x1001));
    CHECK(from_memory(socks4(), "\x00\x5a\0\0\0\0\0\0"s) == endpoint("0.0.0.0", 0));
    check_exact(socks4(), "\x00\x5a\x10\x01\xc0\x00\x02\x07"s);
}

TEST_CASE("SOCKS4 throws out every wrong byte", "[socks4]") {
    check_each_wrong_byte(socks4(), "\x00\x5a\x10\x01\xc0\x00\x02\x07"s, 2,
                          {"SOCKS4 §1", "SOCKS4 §1"});
}

TEST_CASE("SOCKS4 names each refusal in due form", "[socks4]") {
    const std::vector<std::pair<int, RefusedStep>> refusals{{91, RefusedStep::connect},
                                                            {92, RefusedStep::authentication},
                                                            {93, RefusedStep::authentication}};
    for (const auto& [code, step] : refusals) {
        const auto reply = "\0"s + static_cast<char>(code) + "\0\0\0\0\0\0"s;
        try {
            from_memory(socks4(), reply);
            FAIL("accepted");
        } catch (const HandshakeRefused& refused) {
            CHECK(refused.code() == code);
            CHECK(refused.step() == step);
            CHECK_THAT(refused.actual(),
                       StartsWith("'request rejected ") &&
                           ContainsSubstring(fmt::format("({}): 8 bytes\n", code)));
        }
        for (std::size_t size = 0; size < reply.size(); ++size) {
            CHECK_THAT(
                text_of_error<Unexpected>([&] { from_memory(socks4(), reply.substr(0, size)); }),
                ContainsSubstring("then end of stream"));
        }
    }
    for (const int code : {0, 89, 94, 255}) {
        CHECK_THAT(text_of_error<Unexpected>([&] {
                       from_memory(socks4(), "\0"s + static_cast<char>(code) + "\0\0\0\0\0\0"s);
                   }),
                   StartsWith("expected a reply code from 90 to 93 in"));
    }
}
