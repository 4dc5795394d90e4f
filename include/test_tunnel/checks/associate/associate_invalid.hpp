#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/checks/detail/associations.hpp"

namespace test_tunnel::check {

/// A datagram without a header that means anything.
struct Malformed {
    std::string_view what;
    std::string datagram;
};

/// Returns datagrams whose headers RFC 1928 §7 does not know; the rest of each is as it should be,
/// so that who guesses relays it to the target. `good` has an address, and says something.
inline std::vector<Malformed> malformed_datagrams(const std::string& good, std::size_t header) {
    using namespace std::string_literals;
    using test_tunnel::detail::Socks5Header;
    const auto with_type = [&](char type) {
        auto result = good;
        result.at(Socks5Header::type) = type;
        return result;
    };
    const auto port = good.substr(header - 2, 2);
    const auto beginning = good.substr(0, Socks5Header::type);
    return {
        {"no byte at all", ""},
        {"one byte", good.substr(0, 1)},
        {"no type of address", good.substr(0, Socks5Header::type)},
        {"no address", good.substr(0, Socks5Header::address)},
        {"half a port", good.substr(0, header - 1)},
        {"the address type 0x00", with_type('\x00')},
        {"the address type 0x02", with_type('\x02')},
        {"the address type 0xff", with_type('\xff')},
        {"an empty domain name", beginning + "\x03\x00"s + port + "x"},
        {"a domain name that ends beyond the datagram", beginning + "\x03\xff" + "name" + port}};
}

/// Whether a client that has sent a malformed datagram is served after that, as it need not be.
inline bool is_still_served(PairRun& run, Flow& flow, Words& words, std::string_view what) {
    using namespace std::chrono_literals;
    if (has_news(run, flow)) {
        return false;
    }
    run.step("sense",
             fmt::format("from a client that has sent a datagram with {}, nothing arrives but what "
                         "it says next",
                         what),
             Party::client, Party::server);
    const auto word = words.next();
    flow.send(word);
    const auto came = run.receive_at_server(Deadline::after(500ms));
    if (came && came->data != word) {
        throw Unexpected{run.expected(), "at the server " + described(*came)};
    }
    if (!came) {
        run.expect_again(word); // it may be late
    }
    return came.has_value();
}

/// Sends malformed datagrams: none is relayed, and another client is served after each.
inline void send_nonsense(PairRun& run) {
    need_several_associations(run);
    Words words{run};
    auto other = run.flow();
    std::optional<Flow> flow{run.flow()};
    const auto header = flow->layer->overhead(flow->target);
    for (const auto& [what, datagram] :
         malformed_datagrams(flow->layer->encode(words.next(), flow->target), header)) {
        flow->client.send(datagram, flow->relay);
        run.step("nonsense",
                 fmt::format("a datagram with {} is dropped, and another client is served", what),
                 Party::client, Party::server);
        demand_only(run, other, words.next());
        demand_answer(run, other, words.next());
        if (!is_still_served(run, *flow, words, what)) {
            run.note(fmt::format("a datagram with {} ends the client's association", what));
            flow.emplace(run.flow());
        }
    }
}

inline constexpr Check associate_invalid{
    .id = "associate.invalid",
    .title = "malformed datagrams of a SOCKS5 client are dropped, and others are served",
    .needs = {.udp = true},
    .run = send_nonsense};

} // namespace test_tunnel::check
