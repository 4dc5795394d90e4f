#include <test_tunnel/kernel/udp_sockets.hpp>
#include <test_tunnel/net/datagram_socket.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cerrno>
#include <chrono>
#include <string>

#include "support/durations.hpp"

using namespace test_tunnel;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using support::long_time;
using support::short_time;

namespace {

DatagramSocket bound(const char* address = "127.0.0.1", Duration timeout = long_time) {
    const auto parsed = Address::parse(address);
    DatagramSocket result{parsed.family(), timeout};
    result.bind({parsed, 0});
    return result;
}

} // namespace

TEST_CASE("a datagram arrives whole, and says from where and to where", "[datagram_socket]") {
    const auto* const address = GENERATE("127.0.0.1", "::1");
    auto from = bound(address);
    auto to = bound(address);
    const std::string data =
        GENERATE(as<std::string>{}, "", "a", std::string(1473, 'x'), std::string(65507, 'y'));
    from.send(data, to.local());
    const auto came = to.receive();
    CHECK(came.data == data);
    CHECK(came.from == from.local());
    CHECK(came.to == to.local());
    CHECK_FALSE(came.truncated);
}

TEST_CASE("a datagram of the largest size arrives, and none is larger", "[datagram_socket]") {
    const auto* const address = GENERATE("127.0.0.1", "::1");
    auto from = bound(address);
    auto to = bound(address);
    const auto most = largest_datagram(to.local().address.family());
    from.send(std::string(most, 'z'), to.local());
    CHECK(to.receive().data.size() == most);
    CHECK_THROWS_WITH(from.send(std::string(most + 1, 'z'), to.local()),
                      ContainsSubstring("Message too long"));
}

TEST_CASE("who asks for less is told that there was more", "[datagram_socket]") {
    auto from = bound();
    auto to = bound();
    from.send("0123456789", to.local());
    from.send("next", to.local());
    static_cast<void>(wait_for(to.event(POLLIN), Deadline::after(long_time), nullptr, "it"));
    const auto part = to.try_receive(4);
    REQUIRE(part);
    CHECK(part->data == "0123");
    CHECK(part->truncated);
    CHECK(to.receive().data == "next");
}

TEST_CASE("what is sent to the wildcard address says to which address it was sent",
          "[datagram_socket]") {
    DatagramSocket to{Family::ipv4, long_time};
    to.bind({Address::parse("0.0.0.0"), 0});
    auto from = bound();
    const Endpoint there{Address::parse("127.0.0.1"), to.local().port};
    from.send("x", there);
    CHECK(to.receive().to == there);
}

TEST_CASE("a wait for a datagram ends when its time is over", "[datagram_socket]") {
    auto socket = bound("127.0.0.1", short_time);
    CHECK_THROWS_AS(static_cast<void>(socket.receive()), TimedOut);
    CHECK_FALSE(socket.receive(Deadline::unscaled(1ms)));
    CHECK_FALSE(socket.try_receive());
}

TEST_CASE("a refusal is told apart, and fails no call", "[datagram_socket]") {
    const auto* const address = GENERATE("127.0.0.1", "::1");
    auto from = bound(address);
    auto gone = bound(address);
    const auto target = gone.local();
    gone.close();
    from.send("one", target);
    from.send("two", target);
    CHECK_FALSE(from.receive(Deadline::unscaled(20ms)));
    const auto errors = from.take_errors();
    REQUIRE(errors.size() == 2);
    CHECK(errors[0].code == ECONNREFUSED);
    CHECK(errors[0].target == target);
    CHECK_THAT(errors[0].text(), ContainsSubstring("refused, of a datagram to " + target.text()));
    CHECK(from.take_errors().empty());

    auto other = bound(address);
    from.send("three", other.local());
    CHECK(other.receive().data == "three");
}

TEST_CASE("a refusal is told of the one who was meant", "[datagram_socket]") {
    const auto* const address = GENERATE("127.0.0.1", "::1");
    auto from = bound(address);
    auto gone = bound(address);
    auto gone_too = bound(address);
    const auto target = gone.local();
    const auto other = gone_too.local();
    gone.close();
    gone_too.close();
    from.send("one", target);
    from.send("two", other);
    from.send("three", other);
    const auto error = from.take_error_of(other);
    REQUIRE(error);
    CHECK(error->target == other);
    CHECK_FALSE(from.take_error_of(other));
    CHECK(from.take_errors().size() == 1);
    CHECK_FALSE(from.take_error_of(target));
}

TEST_CASE("a socket that is connected takes nothing from others", "[datagram_socket]") {
    auto server = bound();
    auto client = bound();
    auto stranger = bound();
    client.connect(server.local());
    client.send("hello");
    CHECK(server.receive().from == client.local());
    stranger.send("stranger", client.local());
    server.send("answer", client.local());
    CHECK(client.receive().data == "answer");
    CHECK_FALSE(client.receive(Deadline::unscaled(5ms)));
}

TEST_CASE("what a full buffer has no room for is counted", "[datagram_socket]") {
    auto from = bound();
    auto to = bound();
    to.set_receive_buffer(1);
    for (int i = 0; i < 100; ++i) {
        from.send(std::string(500, 'x'), to.local());
    }
    while (to.try_receive()) {
    }
    from.send("last", to.local());
    CHECK(to.receive().data == "last");
    CHECK(to.overflows() > 0);
}

TEST_CASE("the system tells who has a UDP port, without a datagram", "[datagram_socket]") {
    auto socket = bound();
    const auto here = socket.local();
    const auto found = udp_sockets_at(here);
    if (!found) {
        SKIP("this system does not tell");
    }
    REQUIRE(found->size() == 1);
    CHECK(found->front().is_open());
    auto other = bound();
    socket.connect(other.local());
    CHECK(udp_sockets_at(here)->front().remote == other.local());
    socket.close();
    CHECK(udp_sockets_at(here)->empty());
}
