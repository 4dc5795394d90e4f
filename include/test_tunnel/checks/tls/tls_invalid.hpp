#pragma once

#include <poll.h>

#include <algorithm>
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
#include "test_tunnel/handshakes/proxy_protocol.hpp"
#include "test_tunnel/net/tls_end.hpp"
#include "test_tunnel/process/detail/settle.hpp"
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

/// A client that has said half a hello, and says no more.
struct SlowClient {
    Socket client;
    /// What it has said, which begins otherwise than what the others say.
    std::string text;
};

/// Has a client say half a hello, for which the tool may connect to the server when it has waited
/// for the rest in vain.
inline SlowClient half_hello(PairRun& run) {
    SlowClient result{.client = run.connect_client(), .text = make_tls_hello("slow.proxy.test")};
    result.text.resize(result.text.size() / 2);
    run.expect_arrival();
    result.client.write(result.text);
    return result;
}

/// What comes to the server of a client that begins otherwise than usual, with a tool that passes
/// on what clients say.
class PassedText {
public:
    /// `slow` is what another client has said, which may come to the server at any time: tools wait
    /// for the rest of a hello, and not for ever.
    PassedText(PairRun& run, Socket& client, std::string text, std::string slow)
        : run_{run}, client_{client}, text_{std::move(text)}, slow_{std::move(slow)} {}

    /// Waits until all has come, or the client was refused: then nothing may have come, or all.
    /// Returns what is wrong, in words.
    std::string await() {
        const auto patience = run_.config().timeouts.io;
        const auto deadline = Deadline::after(patience);
        bool is_refused = false;
        while (!server_ && complaint_.empty() && (!is_refused || unclear() != 0)) {
            std::vector<SocketEvent> events{run_.listener().event(POLLIN)};
            for (const auto& each : arrived_) {
                events.push_back(each.socket.event(POLLIN));
            }
            if (!is_refused) {
                events.push_back(client_.event(POLLIN));
            }
            if (!run_.wait_for(events, deadline, "the client to be refused, or its bytes")) {
                run_.expect_arrival(); // it may come later
                return fmt::format("{} for {}",
                                   is_refused ? "refused, but a part of it came to the server, and "
                                                "neither the rest nor the end"
                                              : "neither refused nor passed on",
                                   text_of(scaled(patience)));
            }
            const bool has_client_news = !is_refused && events.back().revents != 0;
            look();
            is_refused = is_refused || (has_client_news && sees_end());
        }
        return complaint_;
    }

    /// The connection on which all of it has come; nothing where the client was refused.
    [[nodiscard]] std::optional<Socket>& server() noexcept { return server_; }

private:
    struct Arrived {
        Socket socket;
        std::string bytes{};
        bool is_open = false;
    };

    /// How many connections there are on which a part of it has come.
    [[nodiscard]] std::ptrdiff_t unclear() const {
        return std::count_if(arrived_.begin(), arrived_.end(),
                             [](const Arrived& each) { return !each.bytes.empty(); });
    }

    /// Takes what has come to the server.
    void look() {
        while (auto socket = run_.listener().try_accept()) {
            arrived_.push_back({.socket = *std::move(socket)});
        }
        std::erase_if(arrived_, [&](Arrived& each) { return !server_ && is_done_with(each); });
    }

    /// Reads from a connection. Returns whether that is all there is to know of it.
    bool is_done_with(Arrived& each) {
        const bool has_ended = !read(each);
        const bool may_be_own = text_.starts_with(each.bytes);
        const bool may_be_slow = !each.bytes.empty() && slow_.starts_with(each.bytes);
        if (each.bytes.empty() || (may_be_slow && (has_ended || !may_be_own))) {
            return has_ended || may_be_slow;
        }
        if (!may_be_own) {
            complaint_ = "other bytes came to the server: " + bytes_around(each.bytes, 0);
        } else if (each.bytes.size() == text_.size()) {
            server_ = std::move(each.socket);
        } else if (has_ended) {
            complaint_ = fmt::format("{} of its {} bytes came to the server, and then the end",
                                     each.bytes.size(), text_.size());
        } else {
            return false;
        }
        return true;
    }

    /// Returns whether more may come.
    bool read(Arrived& each) {
        std::array<char, 4096> buffer{};
        try {
            if (const auto version = run_.server_header(); version && !each.is_open) {
                if (!run_.wait_for(each.socket.event(POLLIN), Deadline::now(), "a PROXY header")) {
                    return true;
                }
                read_proxy_header(each.socket, *version);
                each.is_open = true;
            }
            const auto count = each.socket.try_read(buffer.data(), buffer.size());
            each.bytes.append(buffer.data(), count.value_or(0));
            return !count || *count > 0;
        } catch (const SystemError&) { // a reset
            return false;
        } catch (const Unexpected&) { // no header: its client has gone
            return false;
        }
    }

    /// Whether the client was refused.
    bool sees_end() {
        std::array<char, 4096> buffer{};
        try {
            return client_.try_read(buffer.data(), buffer.size()) == std::size_t{0};
        } catch (const SystemError&) { // by a reset
            return true;
        }
    }

    PairRun& run_;
    Socket& client_;
    std::string text_;
    std::string slow_;
    std::vector<Arrived> arrived_;
    std::optional<Socket> server_;
    std::string complaint_;
};

/// Has a client say something else to a tool that passes on what clients say. Returns what is
/// wrong, in words: it is refused, or what it has said comes to the server as it is.
inline std::string pass_on(PairRun& run, Socket& client, const NoHello& each,
                           const std::string& slow) {
    try {
        run.open_client(client, manner_of(each));
    } catch (const SystemError&) { // it was refused by a reset before it had said, or ended, all
    }
    return PassedText{run, client, each.text, slow}.await();
}

/// Demands that a client is served while another one has said half a hello.
inline void serve_beside(PairRun& run, const SlowClient& slow, const TlsEnd& end) {
    if (!end.is_passed_on()) {
        run.sentinel();
        return;
    }
    auto client = run.connect_client();
    run.step("beside half a hello", "a client is served while another one has said half a hello",
             Party::client, Party::server);
    auto text = run.pattern(3).bytes(0, 16);
    const auto word = text;
    run.open_client(client, {.send_hello = [&](Socket& socket, std::string_view whole) {
                        text.insert(0, whole);
                        socket.write(whole);
                    }});
    client.write(word);
    PassedText passed{run, client, text, slow.text};
    const auto complaint = passed.await();
    if (!passed.server()) {
        throw Unexpected{run.expected(), complaint.empty() ? "it was refused" : complaint};
    }
    run.say(*passed.server(), client, Party::server);
}

/// Has a client say half a hello, be silent while another one is served, and leave. Returns what it
/// has said.
inline std::string say_half_hello(PairRun& run, const TlsEnd& end) {
    using namespace std::chrono_literals;
    auto slow = half_hello(run);
    detail::wait_until_idle(run.tool(), 100ms); // it waits for the rest
    serve_beside(run, slow, end);
    slow.client.reset();
    // Who waits for the rest of a hello may connect to the server only now.
    const auto late = Deadline::unscaled(1s);
    while (!late.passed() &&
           run.wait_for(run.listener().event(POLLIN), late, "no more connections")) {
        static_cast<void>(run.listener().try_accept());
    }
    return slow.text;
}

/// Has clients come that say something else than a hello.
inline void say_no_hello(PairRun& run) {
    const auto end = need_client_tls(run);
    const bool is_passed_on = end->is_passed_on();
    const auto slow = run.is_concurrent() ? say_half_hello(run, *end) : std::string{};
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
                ? pass_on(run, client, each, slow)
                : try_refused_client(run, std::move(client), *end, manner_of(each)).complaint;
        if (!complaint.empty()) {
            complaints +=
                fmt::format("{}{}: {}", complaints.empty() ? "" : "\n", each.what, complaint);
        }
        run.sentinel();
        run.forget_steps(steps);
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
