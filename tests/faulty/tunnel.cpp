// A tunnel that is correct, but for the one behaviour that its arguments name; without the library,
// for what is tested must not stand on itself.
//
//   faulty_tunnel LISTEN-ADDRESS PORT SOURCE-ADDRESS TARGET-ADDRESS PORT BEHAVIOUR [MODE]
//   faulty_tunnel --list    name, kind, modes, check that is to find it, description
//
// behaviour.hpp has the modes; without one it is announce.

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "behaviours.hpp"
#include "children.hpp"
#include "connection.hpp"
#include "distortions.hpp"
#include "exhaustion.hpp"
#include "halves.hpp"
#include "keeping.hpp"
#include "names.hpp"
#include "proxy_header.hpp"
#include "relay.hpp"
#include "reloading.hpp"
#include "sockets.hpp"
#include "udp_relay.hpp"
#include "working.hpp"

namespace {

/// Whether its connections go on after SIGTERM.
bool finishes_after_sigterm() {
    return is("finishes-connections") || is("serves-on-after-sigterm") ||
           is("drops-clients-after-sigterm") || is("drains-a-while") ||
           is("loses-buffers-on-sigterm") || is("freezes-on-sigterm");
}

void on_sigterm(int /*signal*/) {
    const bool is_busy = process.open > 0;
    if (is("ignores-sigterm-when-busy") && is_busy) {
        return;
    }
    if (is("ignores-sigterm-when-dialling") && process.dialling > 0) {
        return;
    }
    if (finishes_after_sigterm()) {
        process.is_stopping = true;
        return;
    }
    if (is("crashes-on-sigterm") || (is("crashes-when-stopped-busy") && is_busy)) {
        crash();
    }
    if (is("child-keeps-port") || is("association-leaves-child") ||
        (is("leaves-port-when-busy") && is_busy)) {
        leave_child();
    }
    if (is("slow-stop")) {
        sleep_for(300ms);
    }
    ::_exit(is("status-3-on-sigterm") ? 3 : 0);
}

/// All that it does before it listens.
void start() {
    struct sigaction action {};
    action.sa_handler = is("ignores-sigterm") ? SIG_IGN : on_sigterm;
    ::sigaction(SIGTERM, &action, nullptr);
    ::signal(SIGPIPE, is("dies-without-reader") ? SIG_DFL : SIG_IGN);
    prepare_for_reload();
    if (is("exits")) {
        std::fputs("can't do it\n", stderr);
        ::_exit(4);
    }
    if (is("port-in-use")) {
        std::fputs("bind: Address already in use\n", stderr);
        ::_exit(1);
    }
    if (is("crashes-at-start")) {
        crash();
    }
    if (is("slow-start")) {
        sleep_for(300ms);
    }
    if (is("never-listens")) {
        hang();
    }
    if (is("no-newline")) {
        std::fputs("ready", stdout);
        std::fflush(stdout);
    }
    if (is("daemonizes") && ::fork() != 0) {
        ::_exit(0);
    }
    if (is("leaves-child") || is("slow-child")) {
        start_child();
    }
    if (is("helper")) {
        start_helper();
    }
    if (is("ends-with-worker")) {
        const pid_t worker = ::fork();
        if (worker != 0) {
            ::waitpid(worker, nullptr, 0);
            ::_exit(5);
        }
    }
    if (is("alarms")) {
        std::fputs("==1==ERROR: AddressSanitizer: heap-use-after-free on address 0x1\n", stderr);
    }
    if (is("renames-itself")) {
        ::prctl(PR_SET_NAME, "renamed");
    }
    if (is("never-rests")) {
        work_for_ever();
    }
    if (is("ticks")) {
        tick_for_ever();
    }
    if (is("stops-after-pause")) {
        stop_after_pause();
    }
    if (is("closes-standard-streams")) {
        ::close(STDIN_FILENO);
        ::close(STDOUT_FILENO);
    }
    if (is("forks") || is("child-serves-on")) {
        ::signal(SIGCHLD, SIG_IGN); // no zombies
    }
}

void serve_in_thread(Descriptor client, const Settings& settings) {
    ++process.open;
    std::thread{[client = std::move(client), &settings, number = ++process.clients]() mutable {
        number_of_client = number;
        serve(std::move(client), settings);
        --process.open;
        if (is("leaks-threads")) {
            hang();
        }
    }}.detach();
}

void serve_in_child(Descriptor client, Descriptor& listener, const Settings& settings) {
    const auto parent = ::getpid();
    if (::fork() != 0) {
        return;
    }
    listener.close();
    if (is("child-serves-on")) {
        ::signal(SIGTERM, SIG_IGN);
    } else {
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (::getppid() != parent) { // it died before it could be watched
            ::_exit(0);
        }
    }
    serve(std::move(client), settings);
    ::_exit(0);
}

/// Faults of what comes after the accept, and before the handshake; false: nothing comes.
bool admits(Descriptor& client) {
    static int alone = 0; // the last connection may still be on its way out
    alone += process.open <= 1 ? 1 : 0;
    if (is("resets-first-client") && alone == 1) {
        client.reset();
        return false;
    }
    if (is("every-fiftieth-fails") && alone % 50 == 0) {
        client.reset();
        return false;
    }
    if (is("four-at-most") && process.open >= 4) {
        return false;
    }
    if (is("500-at-most") && process.open >= 500) {
        return false;
    }
    log_client();
    if (is("drops-clients-after-sigterm") && process.is_stopping) {
        return false;
    }
    static auto last_came = Clock::now();
    const bool is_late = Clock::now() - std::exchange(last_came, Clock::now()) >= 2s;
    if (is("closes-who-comes-late") && is_late) {
        return false;
    }
    if (is("forgets-fiftieth") && alone % 50 == 0) {
        static std::vector<Descriptor> forgotten;
        forgotten.push_back(std::move(client));
        return false;
    }
    if (is("header-blocks-others") && is_readable(client.get(), -1)) {
        peek_at_header(client.get());
    }
    if (is("leaks-descriptors")) {
        ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    }
    if (is("leaves-zombies") && ::fork() == 0) {
        ::_exit(0);
    }
    if (is("limits-silent")) {
        ++process.not_asked;
    }
    if (is("stops-after-60") && alone > 60) {
        hang();
    }
    return true;
}

/// Waits for a client; none: there was an error, or nothing came for a while.
Descriptor accept_client(const Descriptor& listener) {
    constexpr int most_silent = 8;
    while (process.has_stopped || (is("limits-silent") && process.not_asked >= most_silent) ||
           (is("stops-after-client-reset") && process.client_resets > 0)) {
        sleep_for(5ms);
    }
    const bool looks_up = finishes_after_sigterm() || is_about_reload();
    if (!is_readable(listener.get(), looks_up ? 20 : -1)) {
        return {};
    }
    if (is("late-accept")) {
        pause_mostly_at_first();
    }
    static Descriptor spare{is("keeps-spare-descriptor") ? keep_descriptor() : -1};
    Descriptor client{::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)};
    if (!client && (errno == EMFILE || errno == ENFILE)) {
        run_out_of_descriptors(listener, spare);
    }
    constexpr int end_of_set = 1024; // FD_SETSIZE
    if (is("dies-beyond-1024") && client.get() >= end_of_set) {
        crash();
    }
    if (is("dies-of-early-reset")) {
        pollfd state{client.get(), 0, 0};
        if (::poll(&state, 1, 3) > 0) { // an error, or the end of both directions
            hang();
        }
    }
    static std::vector<Descriptor> forgotten;
    while (is("one-of-burst") && is_readable(listener.get(), 5)) {
        forgotten.emplace_back(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    }
    return client;
}

[[noreturn]] void serve_all(Descriptor listener, const Settings& settings) {
    for (;;) {
        const bool still_listens =
            (is("serves-on-after-sigterm") || is("drops-clients-after-sigterm")) &&
            process.open > 0;
        look_for_reload(listener, settings);
        if (process.is_stopping && !still_listens) {
            if (is("successor-resets-queue")) {
                sleep_for(20ms);
            }
            listener.close();
            end_with_connections();
        }
        auto client = accept_client(listener);
        if (!client || !admits(client)) {
            continue;
        }
        if (is("serves-once")) {
            listener.close();
            serve(std::move(client), settings);
            ::_exit(0);
        }
        if (is("one-at-a-time") || is("association-one-at-a-time")) {
            serve(std::move(client), settings);
        } else if (is("forks") || is("child-serves-on")) {
            serve_in_child(std::move(client), listener, settings);
        } else {
            serve_in_thread(std::move(client), settings);
        }
    }
}

[[noreturn]] void serve_in_one_thread(const Descriptor& listener, const Settings& settings) {
    std::vector<std::unique_ptr<Relay>> relays;
    for (;;) {
        std::vector<pollfd> fds{{listener.get(), POLLIN, 0}};
        int timeout = -1;
        for (const auto& relay : relays) {
            const auto wanted = relay->wanted();
            fds.insert(fds.end(), wanted.begin(), wanted.end());
            timeout = relay->timeout();
        }
        if (::poll(fds.data(), fds.size(), timeout) == -1) {
            continue;
        }
        for (std::size_t i = 0; i < relays.size(); ++i) {
            relays[i]->advance({fds[2 * i + 1], fds[2 * i + 2]});
        }
        std::erase_if(relays, [](const auto& relay) { return relay->is_finished(); });
        if (fds[0].revents == 0) {
            continue;
        }
        try {
            if (auto client = accept_client(listener)) {
                if (auto relay = open_connection(std::move(client), settings)) {
                    relays.push_back(std::move(relay));
                }
            }
        } catch (const std::exception& error) {
            std::fprintf(stderr, "%s\n", error.what());
        }
    }
}

std::uint16_t port_of(std::string_view text) {
    std::uint16_t port = 0;
    std::from_chars(text.data(), text.data() + text.size(), port);
    return port;
}

[[noreturn]] void run(char** argv, std::string_view mode) {
    static Settings settings; // outlives every thread
    settings = {
        parse_endpoint(argv[1], port_of(argv[2])), parse_endpoint(argv[3], 0), {}, mode, {}, {}};
    if (mode == "by-name") {
        settings.target_name = argv[4];
        settings.target = any_address(settings.source.family(), port_of(argv[5]));
        if (addresses_to_try(settings.target_name, settings.target).empty()) {
            throw Gone{"no such name"};
        }
    } else {
        settings.target = parse_endpoint(argv[4], port_of(argv[5]));
    }
    constexpr std::string_view via = "via-";
    if (const auto found = mode.find(via); found != std::string_view::npos) {
        settings.upstream = upstream_of(mode.substr(found + via.size()));
    }
    if (mode.starts_with("udp")) {
        run_udp({settings.listen, settings.source, settings.target, mode == "udp-proxy"});
    }
    if (mode == "tcp-and-udp") {
        std::thread{[] {
            UdpRelay{{settings.listen, settings.source, settings.target}}.run();
        }}.detach();
    }
    if (mode.ends_with("-half")) {
        other_half = mode == "first-half" ? OtherHalf::at_server : OtherHalf::at_client;
    }
    start();
    auto at = settings.listen;
    if (is("wildcard")) {
        at = any_address(at.family(), at.port());
    }
    auto listener = listen_or_take_over(at);
    if (is("reload-by-workers") || is("reload-leaves-late") || is("reload-forgets-worker")) {
        become_worker();
    }
    if (is("listens-twice")) {
        is_readable(listener.get(), 200);
        listener.close();
        listener = listen_at(at);
    }
    at.set_port(0);
    const auto second = is("second-port") ? listen_at(at) : Descriptor{};
    if (is("one-thread")) {
        serve_in_one_thread(listener, settings);
    }
    serve_all(std::move(listener), settings);
}

} // namespace

int main(int argc, char** argv) {
    if (argc == 2 && std::string_view{argv[1]} == "--list") {
        list_behaviours();
        return 0;
    }
    const std::string_view mode = argc == 8 ? argv[7] : "announce";
    const bool is_half = mode.ends_with("-half");
    if (argc < 7 || argc > 8 || !choose(argv[6], is_half ? "chain" : mode)) {
        std::fputs(
            "usage: faulty_tunnel LISTEN PORT SOURCE TARGET PORT BEHAVIOUR [MODE]\n"
            "       faulty_tunnel --list\n",
            stderr);
        return 2;
    }
    try {
        run(argv, mode);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
