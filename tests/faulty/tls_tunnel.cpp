// A tunnel that takes TLS off, and is correct but for the one behaviour that its arguments name;
// without the library, for what is tested must not stand on itself.
//
//   faulty_tls_tunnel LISTEN-ADDRESS PORT SOURCE-ADDRESS TARGET-ADDRESS PORT BEHAVIOUR MODE PEM
//                     CLIENTS
//
// PEM is the file of its key and certificate; CLIENTS is that of the authority that has signed the
// certificates which clients have to show.

#include <signal.h>

#include <atomic>
#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "behaviours.hpp"
#include "hellos.hpp"
#include "relay.hpp"
#include "sockets.hpp"
#include "tls_relay.hpp"
#include "tls_side.hpp"

namespace {

struct Settings {
    Endpoint listen;
    Endpoint source;
    Endpoint target;
};

Descriptor dial(const Settings& settings) {
    auto server = new_socket(settings.target.family());
    set_up_stream(server.get());
    checked(::bind(server.get(), settings.source.address(), settings.source.length), "bind");
    checked(::connect(server.get(), settings.target.address(), settings.target.length), "connect");
    return server;
}

std::atomic<int> refused = 0;

void refuse(Descriptor& client) {
    ++refused;
    if (is("tls-crashes-on-cut-hello") && has_ended(client.get())) {
        crash();
    }
    if (is("tls-hangs-on-garbage") && !has_ended(client.get())) {
        hang();
    }
    if (is("tls-refuses-by-reset")) {
        client.reset();
    } else {
        close_politely(client);
    }
}

void serve(Descriptor client, const Settings& settings, SSL_CTX* context) {
    set_up_stream(client.get());
    if (!suits(client)) {
        return;
    }
    Descriptor server;
    if (is("tls-dials-first")) {
        server = dial(settings);
    }
    if (is("tls-slow-handshake")) {
        sleep_for(200ms);
    }
    const Ssl ssl = shake_hands(client.get(), context);
    if (!ssl || (is("tls-ends-with-bad") && refused >= 3)) {
        refuse(client);
        return;
    }
    const bool is_bad = was_forgiven(ssl.get());
    if (is("tls-forgets-to-refuse") && is_bad) {
        hang();
    }
    if (is("tls-resumes-refused") && is_bad) {
        SSL_shutdown(ssl.get());
        refuse(client);
        return;
    }
    if (!takes_session(ssl.get())) {
        client.reset();
        return;
    }
    if (!server) {
        try {
            server = dial(settings);
        } catch (const std::exception& error) {
            std::fprintf(stderr, "%s\n", error.what());
            client.reset();
            return;
        }
    }
    TlsRelay relay{client, server, ssl.get()};
    if (is("tls-verifies-late") && is_bad) {
        relay.run(Clock::now() + 20ms);
        refuse(client);
        return;
    }
    relay.run(Clock::time_point::max());
}

/// Passes TLS on.
void pass_on(Descriptor client, const Settings& settings) {
    set_up_stream(client.get());
    const auto first = looked_at(client);
    if (!first) {
        return;
    }
    Descriptor server;
    try {
        server = dial(settings);
    } catch (const std::exception&) {
        client.reset();
        throw;
    }
    write_all(server.get(), *first);
    if (is("sni-tells-a-part") && first->find("proxy.test") == std::string::npos) {
        client.reset();
        return;
    }
    Relay{std::move(client), std::move(server)}.run();
}

std::uint16_t port_of(std::string_view text) {
    std::uint16_t port = 0;
    std::from_chars(text.data(), text.data() + text.size(), port);
    return port;
}

[[noreturn]] void run(char** argv) {
    static Settings settings; // outlives every thread
    settings = {parse_endpoint(argv[1], port_of(argv[2])), parse_endpoint(argv[3], 0),
                parse_endpoint(argv[4], port_of(argv[5]))};
    static const auto context = make_context(argv[8], argv[9]);
    const bool is_passed_on = std::string_view{argv[7]} == passed;
    const auto listener = listen_at(settings.listen);
    for (;;) {
        Descriptor client{::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)};
        if (!client) {
            continue;
        }
        std::thread{[client = std::move(client), is_passed_on]() mutable {
            try {
                if (is_passed_on) {
                    pass_on(std::move(client), settings);
                } else {
                    serve(std::move(client), settings, context.get());
                }
            } catch (const std::exception& error) { // of this connection only
                std::fprintf(stderr, "%s\n", error.what());
            }
        }}.detach();
    }
}

} // namespace

int main(int argc, char** argv) {
    ::signal(SIGPIPE, SIG_IGN);
    if (argc != 10 || !choose(argv[6], argv[7])) {
        std::fputs(
            "usage: faulty_tls_tunnel LISTEN PORT SOURCE TARGET PORT BEHAVIOUR MODE PEM CLIENTS\n",
            stderr);
        return 2;
    }
    try {
        run(argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
