// What it does when it is to reload: on SIGHUP; on SIGUSR2, as if its configuration were broken; or
// when another one takes its place.

#pragma once

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "behaviours.hpp"
#include "connection.hpp"
#include "distortions.hpp"
#include "keeping.hpp"
#include "sockets.hpp"

/// Whether it is told to reload, and does something then.
inline bool is_about_reload() {
    const auto check = behaviours.at(chosen_behaviour).check;
    return check == "life.reload" || check == "life.broken_reload";
}

inline void on_sighup(int /*signal*/) {
    ++process.reloads;
}

inline void on_sigusr2(int /*signal*/) {
    ++process.broken_reloads;
}

inline void on_sigusr1(int /*signal*/) {
    process.is_stopping = true;
}

inline void handle(int signal, void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    ::sigaction(signal, &action, nullptr);
}

inline void prepare_for_reload() {
    handle(SIGHUP, is("reload-kills") ? SIG_DFL : on_sighup);
    handle(SIGUSR2, is("broken-reload-kills") ? SIG_DFL : on_sigusr2);
    if (is_about_reload()) {
        handle(SIGUSR1, on_sigusr1);
    }
}

/// Reloads, in the thread that accepts.
inline void reload(Descriptor& listener, const Settings& settings) {
    if (is("reload-refuses")) {
        listener.close();
        sleep_for(5ms);
        listener = listen_at(settings.listen);
    }
    if (is("reload-reopens-listener")) {
        listener.close();
        listener = listen_at(settings.listen);
    }
    if (is("reload-resets-queue")) {
        sleep_for(20ms);
        auto next = listen_at(settings.listen);
        listener = std::move(next);
    }
    if (is("reload-drops-new")) {
        for (const auto end = Clock::now() + 20ms; Clock::now() < end;) {
            if (is_readable(listener.get(), 1)) {
                Descriptor{::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)};
            }
        }
    }
    if (is("broken-reload-sticks") && process.broken_reloads > 0) {
        process.has_stopped = true;
    }
    if (is("reload-stops-accepting") && process.reloads > 2) {
        process.has_stopped = true;
    }
    if (is("reload-pauses")) {
        sleep_for(100ms);
    }
    if (is("reload-leaks-descriptor")) {
        keep_descriptor();
    }
    if (is("reload-leaks-thread")) {
        std::thread{hang}.detach();
    }
}

/// Reads a broken configuration, in the thread that accepts.
inline void reload_broken(Descriptor& listener) {
    if (is("broken-reload-stops-listening")) {
        listener.close();
    } else if (is("broken-reload-pauses")) {
        sleep_for(100ms);
    }
}

/// Looks whether it is to reload, and does.
inline void look_for_reload(Descriptor& listener, const Settings& settings) {
    static int broken = 0;
    if (process.broken_reloads != broken) {
        broken = process.broken_reloads;
        reload_broken(listener);
    }
    static int done = 0;
    if (process.reloads != done) {
        done = process.reloads;
        reload(listener, settings);
    }
}

/// It is to end when its connections have, and has no listener any more.
[[noreturn]] inline void end_with_connections() {
    if (is("reload-forgets-worker")) {
        hang();
    }
    while (process.open > 0) {
        sleep_for(10ms);
    }
    if (is("reload-leaves-late")) {
        sleep_for(1s);
    }
    ::_exit(0);
}

// --- A process that serves, and one that starts it

/// Returns in a new process, which serves until it gets SIGUSR1 and its connections have ended.
/// In the first one, starts another worker for each SIGHUP, and does not return.
inline void become_worker() {
    sigset_t signals;
    ::sigemptyset(&signals);
    for (const int signal : {SIGHUP, SIGTERM}) {
        ::sigaddset(&signals, signal);
    }
    ::signal(SIGCHLD, SIG_IGN); // no zombies
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    for (pid_t worker = -1;;) {
        const pid_t last = worker;
        worker = ::fork();
        if (worker == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGTERM);
            ::signal(SIGHUP, SIG_IGN);
            ::sigprocmask(SIG_UNBLOCK, &signals, nullptr);
            return;
        }
        if (last != -1) {
            ::kill(last, SIGUSR1);
        }
        int signal = 0;
        while (::sigwait(&signals, &signal) != 0) {
        }
        if (signal == SIGTERM) {
            ::_exit(0); // and so do the workers
        }
    }
}

// --- A process that takes the place of another one

/// A Unix socket without a file, that the process of this number has.
inline Endpoint handing_over_at(const std::string& pid) {
    Endpoint endpoint;
    auto& address = reinterpret_cast<sockaddr_un&>(endpoint.storage);
    const auto name = "faulty-tunnel-" + pid;
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name.data(), name.size());
    endpoint.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    return endpoint;
}

/// Room for one descriptor in a message.
struct Parcel {
    char byte = '!';
    iovec data{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};

    Parcel() {
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
    }
    Parcel(const Parcel&) = delete;
    Parcel& operator=(const Parcel&) = delete;
};

/// Gives its listener to whoever asks for it.
inline void offer_listener(int listener) {
    Descriptor offer{checked(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
    const auto here = handing_over_at(std::to_string(::getpid()));
    checked(::bind(offer.get(), here.address(), here.length), "bind");
    checked(::listen(offer.get(), 1), "listen");
    std::thread{[offer = std::move(offer), copy = Descriptor{::dup(listener)}] {
        const Descriptor successor{::accept4(offer.get(), nullptr, nullptr, SOCK_CLOEXEC)};
        Parcel parcel;
        auto* header = CMSG_FIRSTHDR(&parcel.message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        const int fd = copy.get();
        std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
        ::sendmsg(successor.get(), &parcel.message, MSG_NOSIGNAL);
    }}.detach();
}

/// Takes the listener of the process of this number.
inline Descriptor take_listener(const std::string& pid) {
    const Descriptor predecessor{
        checked(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
    const auto there = handing_over_at(pid);
    checked(::connect(predecessor.get(), there.address(), there.length), "connect");
    Parcel parcel;
    checked(static_cast<int>(::recvmsg(predecessor.get(), &parcel.message, MSG_CMSG_CLOEXEC)),
            "recvmsg");
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&parcel.message)), sizeof fd);
    return Descriptor{fd};
}

/// Where FAULTY_TUNNEL_REPLACES names a process, takes its place; else listens.
inline Descriptor listen_or_take_over(const Endpoint& at) {
    const char* replaced = ::getenv("FAULTY_TUNNEL_REPLACES"); // NOLINT(concurrency-mt-unsafe)
    const bool takes = replaced != nullptr && is("successor-takes-listener");
    auto listener = takes ? take_listener(replaced) : listen_at(at);
    if (is("successor-takes-listener")) {
        offer_listener(listener.get());
    }
    if (replaced != nullptr && !is("successor-shares-port")) {
        ::kill(std::atoi(replaced), SIGUSR1);
    }
    return listener;
}
