#pragma once

#include <algorithm>
#include <string>

#include "test_tunnel/checks/detail/associations.hpp"

namespace test_tunnel::check {

/// Sends two fragments of a datagram. Who does not put them together must drop them (RFC 1928 §7).
inline void send_fragments(PairRun& run) {
    need_associations(run);
    Words words{run};
    auto flow = run.flow();
    const auto send = [&](const std::string& part, unsigned fragment) {
        auto datagram = flow.layer->encode(part, flow.target);
        datagram.at(test_tunnel::detail::Socks5Header::fragment) = static_cast<char>(fragment);
        flow.client.send(datagram, flow.relay);
    };
    const auto first = words.next();
    const auto last = words.next();
    constexpr unsigned end_of_sequence = 0x80;
    send(first, 1);
    send(last, 2 | end_of_sequence);
    run.step("fragments",
             "of two fragments (FRAG 0x01 and 0x82), nothing arrives, or both as one datagram; "
             "then the next datagram does (RFC 1928 §7)",
             Party::client, Party::server);
    const auto others = arrivals_before(run, flow, words.next());
    const auto wrong = std::find_if(others.begin(), others.end(), [&](const Datagram& each) {
        return each.data != first + last;
    });
    if (wrong != others.end() || others.size() > 1) {
        throw Unexpected{
            run.expected(),
            "at the server " + described(wrong == others.end() ? others.back() : *wrong)};
    }
    if (!others.empty()) {
        run.note("it puts the fragments of a datagram together (RFC 1928 §7)");
    }
    run.step("answer", "the client is answered after that", Party::server, Party::client);
    demand_answer(run, flow, words.next());
}

inline constexpr Check associate_fragment{
    .id = "associate.fragment",
    .title = "a SOCKS5 client's fragments are dropped, or put together; then it is served",
    .needs = {.udp = true},
    .run = send_fragments};

} // namespace test_tunnel::check
