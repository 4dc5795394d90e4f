#pragma once

#include <poll.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/detail/tls_client.hpp"
#include "test_tunnel/handshakes/client_hello.hpp"
#include "test_tunnel/net/tls_end.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// What a client says in place of a hello.
struct NoHello {
    /// For a reader: "a request of HTTP".
    std::string what;
    std::string text;
    /// Whether the client then ends its direction.
    bool ends = false;
    /// Whether only a tool that looks for a name has to think of it.
    bool is_about_name = false;
};

/// Returns all that is tried.
inline std::vector<NoHello> all_no_hellos() {
    const auto whole = make_tls_hello("proxy.test");
    auto wrong = whole;
    wrong[detail::tls_record_header + 1] = '\x01'; // a message that is longer than it is
    return {
        {"a request of HTTP", "GET / HTTP/1.0\r\n\r\n"},
        {"data in place of a hello", std::string{"\x17\x03\x03\x00\x05hello", 10}},
        {"half a hello, and then the end", whole.substr(0, whole.size() / 2), true},
        {"a hello whose length is wrong, and then the end", wrong, true},
        {"a hello that asks for no name", make_tls_hello(""), false, true},
    };
}

/// Has the client say that.
inline TlsManner manner_of(const NoHello& each) {
    return {.send_hello = [&each](Socket& socket, std::string_view /*hello*/) {
        socket.write(each.text);
        if (each.ends) {
            socket.shutdown_write();
        }
    }};
}

/// Has a client say something else to a tool that passes on what clients say. Returns what is
/// wrong, in words: it is refused, or what it has said comes to the server as it is.
inline std::string pass_on(PairRun& run, Socket& client, const NoHello& each) {
    const auto patience = run.config().timeouts.io;
    const auto deadline = Deadline::after(patience);
    run.open_client(client, manner_of(each));
    std::optional<Socket> server;
    std::string came;
    std::array<char, 4096> buffer{};
    while (came.size() < each.text.size()) {
        std::vector<SocketEvent> events{
            client.event(POLLIN), server ? server->event(POLLIN) : run.listener().event(POLLIN)};
        if (!run.wait_for(events, deadline, "the client to be refused, or its bytes")) {
            run.expect_arrival(); // it may come later
            return fmt::format("neither refused nor passed on for {}", text_of(scaled(patience)));
        }
        try {
            if (!server) {
                server = run.listener().try_accept();
            } else if (const auto count = server->try_read(buffer.data(), buffer.size())) {
                if (*count == 0) {
                    return came.empty() ? "" // the tool has thought better of it
                                        : "a part of it came to the server, and then the end";
                }
                came.append(buffer.data(), *count);
            }
            if (!each.text.starts_with(came)) {
                return "other bytes came to the server: " + bytes_around(came, 0);
            }
            if (events.front().revents != 0) {
                const auto count = client.try_read(buffer.data(), buffer.size());
                if (count && *count == 0) {
                    break;
                }
            }
        } catch (const SystemError&) { // refused by a reset
            break;
        }
    }
    return {};
}

/// Has clients come that say something else than a hello, while another one has said half of one.
inline void say_no_hello(PairRun& run) {
    const auto end = need_client_tls(run);
    const bool is_passed_on = end->is_passed_on();
    const bool is_concurrent = run.is_concurrent();
    std::optional<Socket> slow;
    if (is_concurrent) {
        slow = run.connect_client();
        run.expect_arrival();
        const auto whole = make_tls_hello("proxy.test");
        slow->write(std::string_view{whole}.substr(0, whole.size() / 2));
    }
    std::string complaints;
    for (const auto& each : all_no_hellos()) {
        if (each.is_about_name && !is_passed_on) {
            continue;
        }
        const auto steps = run.steps();
        auto client = run.connect_client();
        run.step("no hello",
                 fmt::format("{}: the client is refused{}", each.what,
                             is_passed_on ? ", or comes to the server as it is" : ""),
                 Party::client, Party::tool);
        const auto complaint =
            is_passed_on
                ? pass_on(run, client, each)
                : try_refused_client(run, std::move(client), *end, manner_of(each)).complaint;
        if (!complaint.empty()) {
            complaints +=
                fmt::format("{}{}: {}", complaints.empty() ? "" : "\n", each.what, complaint);
        }
        run.sentinel();
        run.forget_steps(steps);
    }
    if (slow) {
        slow->reset();
        // Who waits for the rest of a hello may connect to the server only now.
        using namespace std::chrono_literals;
        const auto late = Deadline::unscaled(1s);
        while (run.wait_for(run.listener().event(POLLIN), late, "no more connections")) {
            static_cast<void>(run.listener().try_accept());
        }
    }
    if (!complaints.empty()) {
        run.step("no hello", "each client that says something else than a hello is refused",
                 Party::client, Party::tool);
        throw Unexpected{run.expected(), complaints};
    }
}

inline constexpr Check tls_invalid{
    .id = "tls.invalid",
    .title = "clients that begin with anything but a TLS hello are refused, and others are served",
    .level = Level::strict,
    .run = say_no_hello};

} // namespace test_tunnel::check
