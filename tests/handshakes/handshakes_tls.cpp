// The hello of TLS, as tools that only look at it see it.

#include <test_tunnel/handshakes/client_hello.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <string>

#include "support/memory_stream.hpp"
#include "support/scripted_peer.hpp"

using namespace test_tunnel;
using Catch::Matchers::ContainsSubstring;
using support::MemoryStream;
using support::text_of_error;

TEST_CASE("a hello is read as it was made, and not a byte more", "[handshakes]") {
    const std::string name = GENERATE("", "a", "proxy.test");
    const std::size_t least = GENERATE(0U, 1800U, 9000U);
    const auto hello = make_tls_hello(name, least);
    CHECK(hello.size() >= least);
    const std::size_t sent = GENERATE(0U, 1U, 4U, 40U);
    const auto records = sent == 0 ? hello : in_two_records(hello, sent);
    CHECK(records.size() == hello.size() + (sent == 0 ? 0 : 5));
    const auto said = records + "data";
    MemoryStream stream{said, GENERATE(std::string::npos, 1U)};
    CHECK(read_tls_hello(stream, name) == records);
    CHECK(stream.consumed() == records.size());
}

TEST_CASE("a hello for another name is told", "[handshakes]") {
    const auto hello = make_tls_hello("other.test");
    MemoryStream stream{hello};
    CHECK_THAT(text_of_error<Unexpected>([&] { read_tls_hello(stream, "proxy.test"); }),
               ContainsSubstring("proxy.test") && ContainsSubstring("does not ask for it"));
}

TEST_CASE("what is no hello is told from the first byte that shows it", "[handshakes]") {
    const auto refused = [](const std::string& said) {
        MemoryStream stream{said};
        return text_of_error<Unexpected>([&] { read_tls_hello(stream, "proxy.test"); });
    };
    CHECK_THAT(refused("GET / HTTP/1.1"), ContainsSubstring("a record of TLS"));
    CHECK_THAT(refused({"\x16\x03\x01\0\0", 5}), ContainsSubstring("not empty"));
    CHECK_THAT(refused({"\x16\x03\x01\0\x01\x02", 6}), ContainsSubstring("a hello"));
    CHECK_THAT(refused(make_tls_hello("proxy.test").substr(0, 100)),
               ContainsSubstring("the rest of"));
}
