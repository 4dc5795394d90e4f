#pragma once

#include <poll.h>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/checks/detail/after_reset.hpp"
#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/carrying.hpp"
#include "test_tunnel/checks/detail/resting.hpp"
#include "test_tunnel/checks/detail/tls_client.hpp"
#include "test_tunnel/checks/detail/view.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/net/expect.hpp"
#include "test_tunnel/net/stream.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// A side that speaks TLS with the tool, and ends it.
struct TlsEnder {
    Party here = Party::client;
    /// Whether that is a client which offers TLS 1.2 alone.
    bool only_1_2 = false;

    /// Names a step, and tells those of TLS 1.2 from the others.
    [[nodiscard]] std::string step(std::string_view name) const {
        return fmt::format("{}{}", name, only_1_2 ? ", TLS 1.2" : "");
    }
};

/// Returns a new connection of the client, or of the server. Throws NotApplicable where the client
/// offers TLS 1.2 alone, and is refused.
inline Connection connect_for(PairRun& run, const TlsEnder& side) {
    if (!side.only_1_2) {
        auto connection = run.connect();
        run.round_trip(connection);
        return connection;
    }
    auto client = run.connect_client();
    run.step("TLS 1.2", "a client that offers TLS 1.2 alone is served, or refused", Party::client,
             Party::tool);
    try {
        open_for_step(run, client, {.only_1_2 = true});
    } catch (const Unexpected& error) {
        if (error.cause() == Cause::timed_out) {
            throw;
        }
        run.expect_arrival(); // for one that connects before it has shaken hands
        throw NotApplicable{"it does not serve clients that offer TLS 1.2 alone"};
    }
    auto connection = connection_of(run, std::move(client));
    run.say(connection.server, connection.client, Party::server);
    return connection;
}

/// Demands that the tool rests; one that is declared never to rest need not.
inline void rest_when(PairRun& run, const std::string& when) {
    if (run.traits().busy_polls != true) {
        demand_rest(run, when);
    }
}

/// Demands that the tool ends the connection of a side that has ended TCP without close_notify, now
/// that the other side has closed. An alert will do, and so will a reset.
inline void demand_some_end(PairRun& run, const TlsEnder& side, const View& view) {
    if (!run.expects_end(direction_of(view.there))) {
        return;
    }
    run.step(side.step("close after the FIN"),
             fmt::format("the {}'s connection ends, in whatever way, when the {} closes, too",
                         view.self, view.other),
             view.there, view.here);
    const auto patience = run.config().timeouts.io;
    if (!run.wait_for(view.near.event(POLLIN), Deadline::after(patience),
                      "the end of the connection")) {
        throw Unexpected{run.expected(),
                         fmt::format("{}: no end for {}", view.back, text_of(scaled(patience))),
                         Cause::timed_out};
    }
    std::array<char, 256> bytes{};
    std::size_t count = 0;
    try {
        count = view.near.try_read(bytes.data(), bytes.size()).value_or(0);
    } catch (const SystemError&) { // a reset, or TCP's end alone
    } catch (const Unexpected&) {  // an alert
    }
    if (count > 0) {
        throw Unexpected{run.expected(), "bytes that nobody has written: " +
                                             bytes_around({bytes.data(), count}, 0)};
    }
}

/// Has a side end TCP's direction without close_notify (RFC 8446 §6.1): its stream has been cut
/// short, and the other side learns, by a reset, that it is over.
inline void end_by_fin(PairRun& run, const TlsEnder& side) {
    auto connection = connect_for(run, side);
    const auto view = view_from(side.here, connection);
    run.step(side.step("FIN without close_notify"),
             fmt::format("the {} learns, by a reset or by the end of the stream, that the {} has "
                         "ended TCP's direction",
                         view.other, view.self),
             view.here, view.there);
    view.near.shutdown_tcp();
    const auto shown = learn_of_reset(run, view);
    const auto other_end = run.tls(view.there);
    if (shown && (!other_end || other_end->tells_truncation())) {
        run.judge(trait::reset, direction_of(view), *shown,
                  fmt::format("FIN without close_notify by the {}", view.self));
    }
    rest_when(run, fmt::format("the {} has ended TCP's direction without close_notify", view.self));
    view.far.close();
    demand_some_end(run, side, view);
}

/// Has a side end its direction of the stream and of TCP at once, behind a request: it is answered
/// as after any half-close. Where TLS 1.2 is tried beside 1.3, that is not judged: there the tool
/// has to end both directions (RFC 5246 §7.2.1), and may have done so.
inline void end_by_both(PairRun& run, const TlsEnder& side) {
    constexpr std::size_t size = 4096;
    auto connection = connect_for(run, side);
    const auto view = view_from(side.here, connection);
    const auto pattern = run.pattern(side.only_1_2 ? 2 : 1).derive(view.self);
    const auto request = pattern.derive("request").bytes(0, size);
    run.step(side.step("close_notify and FIN"),
             fmt::format("the {} gets all that the {} wrote before close_notify and FIN, which "
                         "come at once, and then the end of the stream",
                         view.other, view.self),
             view.here, view.there);
    view.near.hold_back();
    view.near.write(request);
    view.near.shutdown_write();
    view.near.shutdown_tcp();
    view.near.send_held_back();
    expect_read(view.far, request, view.forth);
    run.demand_end(view.far, view.forth);
    run.step(side.step("answer after both"),
             fmt::format("the {} gets the answer, or the end of the stream from a tool that ends "
                         "both directions ({})",
                         view.self, run.wording(trait::half_close.name)),
             view.there, view.here);
    Stream reply{
        .from = view.far, .to = view.near, .name = view.back, .pattern = pattern.derive("answer")};
    const bool is_answered = answer(run, reply, size);
    rest_when(run, fmt::format("the {} has ended its direction, and TCP's", view.self));
    view.far.close();
    if (is_answered) {
        run.demand_end(view.near, view.back);
    }
    if (side.only_1_2) {
        return;
    }
    const auto direction = direction_of(view);
    const auto& declared = run.traits().half_close.in(direction);
    if (declared != HalfClose::timed) { // for how long is for other checks to say
        run.judge(trait::half_close, direction, is_answered ? HalfClose::full : HalfClose::none,
                  fmt::format("close_notify and FIN by the {}", view.self));
    }
}

/// Has each side that speaks TLS end TCP with and without close_notify; the client also where it
/// offers TLS 1.2 alone.
inline void end_tls_and_tcp(PairRun& run) {
    std::vector<TlsEnder> sides;
    for (const auto party : {Party::client, Party::server}) {
        const auto end = run.tls(party);
        if (!end || end->is_passed_on()) {
            continue;
        }
        sides.push_back({.here = party});
        if (party == Party::client && end->offers_1_2_and_1_3()) {
            sides.push_back({.here = party, .only_1_2 = true});
        }
    }
    if (sides.empty()) {
        throw NotApplicable{"neither side is declared to speak TLS with it"};
    }
    if (serves_once(run)) {
        throw NotApplicable{serves_just_one(run)};
    }
    const auto steps = run.steps();
    for (const auto& side : sides) {
        run.forget_steps(steps);
        try {
            end_by_fin(run, side);
            run.sentinel();
            run.forget_steps(steps);
            end_by_both(run, side);
        } catch (const NotApplicable&) {
            if (!side.only_1_2) {
                throw;
            }
        } catch (const BusyPolls&) { // for other checks to say
            return;
        }
        run.sentinel();
    }
}

inline constexpr Check tls_close{
    .id = "tls.close",
    .title = "the end of TCP ends a connection, with and without close_notify before it",
    .trait = trait::reset.name,
    .run = end_tls_and_tcp};

} // namespace test_tunnel::check
