#pragma once

#include <sys/socket.h>
#include <test_tunnel/base/deadline.hpp>
#include <test_tunnel/base/detail/system.hpp>
#include <test_tunnel/base/error.hpp>
#include <test_tunnel/net/address.hpp>
#include <test_tunnel/net/detail/poll.hpp>
#include <test_tunnel/net/socket.hpp>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "memory_stream.hpp"

namespace support {

/// A real connection over the loopback whose other end follows a script in a thread of its own.
/// No assertions in the script; `finish` tells what it threw.
class ScriptedPeer {
public:
    using Script = std::function<void(test_tunnel::Socket& socket, ScriptedPeer& self)>;

    explicit ScriptedPeer(Script script) : client_{test_tunnel::Family::ipv4, timeout} {
        test_tunnel::Socket listener{test_tunnel::Family::ipv4, timeout};
        listener.bind({test_tunnel::Address::parse("127.0.0.1"), 0});
        listener.listen();
        client_.connect(listener.local());
        thread_ =
            std::thread{[this, script = std::move(script), socket = listener.accept()]() mutable {
                try {
                    script(socket, *this);
                } catch (const std::exception& error) {
                    error_ = error.what();
                }
                socket.close();
            }};
    }
    ScriptedPeer(const ScriptedPeer&) = delete;
    ScriptedPeer& operator=(const ScriptedPeer&) = delete;
    ~ScriptedPeer() { finish(); }

    test_tunnel::Socket& client() { return client_; }

    /// For the script: returns when the client has read all that has arrived.
    void wait_until_read() const {
        const auto deadline = test_tunnel::Deadline::after(timeout);
        while (client_.pending() > 0) {
            if (ended_ || deadline.passed()) {
                throw test_tunnel::TimedOut{"the client did not read what it was sent"};
            }
            test_tunnel::detail::poll_once({}, std::chrono::microseconds{50});
        }
    }

    /// Ends the connection, and the script with it; what the script threw, if anything.
    std::string finish() {
        if (thread_.joinable()) {
            ended_ = true;
            // Not closed: the script may still look at it.
            ::shutdown(client_.fd(), SHUT_RDWR);
            thread_.join();
        }
        return error_;
    }

private:
    /// Much longer than anything here takes.
    static constexpr std::chrono::seconds timeout{60};

    test_tunnel::Socket client_;
    std::atomic<bool> ended_ = false;
    std::string error_;
    std::thread thread_;
};

/// What a text of an error has to contain, and of what type it is.
template <typename Error, typename Action>
std::string text_of_error(Action action) {
    try {
        action();
    } catch (const Error& error) {
        return error.what();
    } catch (const std::exception& error) {
        return std::string{"of another type: "} + error.what();
    }
    return "nothing was thrown";
}

/// Runs a handshake on `reply` from memory.
template <typename Run>
auto from_memory(Run run, std::string_view reply) {
    MemoryStream stream{reply};
    return run(stream);
}

/// That a handshake which accepts `reply` takes exactly its bytes: however they are cut up, none of
/// what follows, and not without its last one. `run` takes any stream and returns something that
/// can be compared with what it gives for the whole reply.
template <typename Run>
void check_exact(Run run, const std::string& reply) {
    const auto expected = from_memory(run, reply);
    // What a handshake that reads too far would take for more of the same.
    const std::string following = "\r\n\r\n" + reply;
    for (std::size_t piece = 1; piece <= reply.size(); ++piece) {
        const std::string all = reply + following;
        MemoryStream stream{all, piece};
        CHECK(run(stream) == expected);
        CHECK(stream.consumed() == reply.size());
    }
    for (std::size_t cut = 0; cut < reply.size(); ++cut) {
        INFO("cut at " << cut);
        const std::string first = reply.substr(0, cut);
        {
            ScriptedPeer peer{[&](test_tunnel::Socket& socket, ScriptedPeer& self) {
                socket.write(first);
                self.wait_until_read();
                socket.write(reply.substr(cut) + following);
                static_cast<void>(socket.read(1000000)); // until the client ends the connection
            }};
            CHECK(run(peer.client()) == expected);
            CHECK(peer.client().read(following.size()) == following);
        }
        {
            ScriptedPeer peer{[&](test_tunnel::Socket& socket, ScriptedPeer&) {
                socket.write(first);
                socket.shutdown_write();
                static_cast<void>(socket.read(1000000));
            }};
            const auto text = text_of_error<test_tunnel::Unexpected>([&] { run(peer.client()); });
            CHECK(text.find("then end of stream") != std::string::npos);
            CHECK(text.find("§") != std::string::npos);
        }
    }
}

} // namespace support
