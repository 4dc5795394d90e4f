#pragma once

// The ways in which an upstream proxy refuses what it is asked for, or fails to answer.

#include <cerrno>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "test_tunnel/checks/detail/asking_client.hpp"
#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/handshake_client.hpp"
#include "test_tunnel/checks/detail/odd_upstream.hpp"
#include "test_tunnel/checks/detail/refusal.hpp"
#include "test_tunnel/handshakes/protocol.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// One way to refuse.
struct UpstreamRefusal {
    /// What it is, for texts: "refuses by 'host unreachable' (0x04)".
    std::string what;
    OddUpstream::Answer answer;
};

namespace refusing {

/// Reads the request, says `words`, and ends its direction, as who refuses does.
inline OddUpstream::Answer by(PairRun& run, std::string words) {
    return [&run, words = std::move(words)](Socket& tool) {
        run.upstream().read_asked(tool);
        tool.write(words);
        tool.shutdown_write();
    };
}

/// An answer of HTTP, whose content no client is to be sent.
inline std::string http(std::string_view status, std::string_view fields = {}) {
    const std::string content = "<html>The proxy says no.</html>\n";
    return fmt::format("HTTP/1.1 {}\r\n{}Content-Type: text/html\r\nContent-Length: {}\r\n\r\n{}",
                       status, fields, content.size(), content);
}

} // namespace refusing

/// Refusals in due form.
inline std::vector<UpstreamRefusal> refusals_of(PairRun& run) {
    const Endpoint nowhere{Address::parse("0.0.0.0"), 0};
    const auto& upstream = run.upstream().protocol();
    std::vector<UpstreamRefusal> result;
    if (std::holds_alternative<Socks5Options>(upstream)) {
        constexpr unsigned last = 8;
        for (unsigned code = 1; code <= last; ++code) {
            result.push_back(
                {fmt::format("'{}' (0x{:02x}, RFC 1928 §6)", detail::socks5_reply_text(code), code),
                 refusing::by(run, detail::socks5_reply(code, nowhere))});
        }
        result.push_back({"'no acceptable methods' (0xff, RFC 1928 §3)", [](Socket& tool) {
                              detail::Reply greeting{tool, "the method selection message"};
                              greeting.read(2);
                              greeting.read(detail::byte_at(greeting.bytes(), 1));
                              tool.write("\x05\xff");
                              tool.shutdown_write();
                          }});
    } else if (std::holds_alternative<Socks4Options>(upstream)) {
        for (const unsigned code : {91U, 92U, 93U}) {
            result.push_back(
                {fmt::format("'{}' ({}, SOCKS4 §1)", detail::socks4_reply_text(code), code),
                 refusing::by(run, detail::socks4_reply(code, nowhere))});
        }
    } else {
        for (const auto* const status : {"403 Forbidden", "502 Bad Gateway", "404 Not Found",
                                         "503 Service Unavailable", "301 Moved Permanently"}) {
            result.push_back({fmt::format("'{}' (RFC 9110 §15)", status),
                              refusing::by(run, refusing::http(status))});
        }
        const auto challenge = refusing::http("407 Proxy Authentication Required",
                                              "Proxy-Authenticate: Basic realm=\"test\"\r\n");
        result.push_back({"'407 Proxy Authentication Required' (RFC 9110 §15.5.8)",
                          refusing::by(run, challenge)});
    }
    return result;
}

/// What is no answer of the protocol, or ends before it is one.
inline std::vector<UpstreamRefusal> broken_answers_of(PairRun& run) {
    const auto& upstream = run.upstream().protocol();
    std::vector<UpstreamRefusal> result;
    result.push_back({"bytes that are no answer, and the end",
                      refusing::by(run, "go away\n" + run.pattern().bytes(0, 200))});
    const auto whole = detail::granting_reply(run.pair().svc_listen.server(), upstream);
    for (const auto size : {std::size_t{0}, std::size_t{1}, whole.size() / 2, whole.size() - 1}) {
        result.push_back({size == 0
                              ? "the end, in place of an answer"
                              : fmt::format("the first {} of {} bytes of a grant, and the end",
                                            size, whole.size()),
                          refusing::by(run, whole.substr(0, size))});
    }
    result.push_back(
        {"the end, before anything was asked", [](Socket& tool) { tool.shutdown_write(); }});
    result.push_back({"a reset", [&run](Socket& tool) {
                          run.upstream().read_asked(tool);
                          tool.reset();
                      }});
    return result;
}

/// Connects a client that speaks the tool's own protocol, and demands that it is refused in due
/// form, or that its connection ends: `why`, for texts.
inline void demand_refusal_in_form(PairRun& run, std::string_view why) {
    auto client = Socket{run.pair().proxy_listen.address.family()};
    try {
        client = run.open_client();
        run.expect_arrival();
    } catch (const SystemError& error) {
        if (error.code() != ECONNRESET) {
            throw;
        }
        return; // so soon that it is connect(2) that tells
    }
    const auto deadline = Deadline::after(run.config().timeouts.io);
    const auto protocol = run.protocol();
    HandshakeClient handshake{client};
    const auto told = attempt(handshake, [&](HandshakeClient& each) {
        if (const auto* const socks5 = std::get_if<Socks5Options>(&protocol)) {
            detail::socks5_authenticate(each, *socks5);
        }
        each.write(script_of(protocol, run.pair().svc_listen.listen()).request);
        read_answer_to(each, protocol);
    });
    switch (told.answer) {
        case Answer::ended:
            return;
        case Answer::refused:
            require_nothing_behind_refusal(run, client);
            return;
        case Answer::served: // some tell that before they connect anywhere
            await_refusal_after(run, client, why, true, deadline);
            return;
        case Answer::silent:
            throw Unexpected{run.expected(), "the client is left waiting: " + told.text,
                             Cause::timed_out};
        case Answer::malformed:
            break;
    }
    throw Unexpected{run.expected(), "no answer in due form: " + told.text};
}

/// Has the upstream proxy refuse a client's request, and demands that the client is told, in time,
/// and is sent nothing but what the tool itself says in its handshake; and that nothing goes past.
inline void demand_refusal(PairRun& run, const UpstreamRefusal& refusal) {
    const OddUpstream upstream{
        run, "answer",
        fmt::format("the client is told that it is not connected, and is sent nothing of what the "
                    "proxy says, "
                    "when the upstream proxy answers by {}",
                    refusal.what),
        refusal.answer};
    const auto why = fmt::format("its upstream proxy answers by {}", refusal.what);
    try {
        if (std::holds_alternative<std::monostate>(run.protocol())) {
            await_refusal(run, why);
        } else {
            demand_refusal_in_form(run, why);
        }
    } catch (const Unexpected&) {
        run.upstream().require_nothing_past(); // which is worse
        throw;
    }
    run.upstream().require_nothing_past();
    if (upstream.count() == 0) {
        throw Unexpected{"the tool asks its upstream proxy before it refuses a client",
                         "the client was refused, and the proxy was not asked"};
    }
}

/// Has the upstream proxy give these answers, each to a client of its own, and demands that others
/// are served afterwards.
inline void give_answers(PairRun& run, const std::vector<UpstreamRefusal>& all, std::size_t most) {
    if (serves_once(run)) {
        throw NotApplicable{serves_just_one(run)};
    }
    const auto steps = run.steps();
    for (std::size_t i = 0; i < all.size() && i < most; ++i) {
        run.forget_steps(steps);
        demand_refusal(run, all[i]);
        require_service_in_time_after(
            run, fmt::format("the upstream proxy has answered by {}", all[i].what));
    }
}

} // namespace test_tunnel::check
