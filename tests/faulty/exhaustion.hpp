// What it does when it has no descriptor left, and what it prints.

#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>

#include "behaviours.hpp"
#include "distortions.hpp"
#include "keeping.hpp"
#include "sockets.hpp"

/// What it does where a client has come for which it has no descriptor.
inline void run_out_of_descriptors(const Descriptor& listener, Descriptor& spare) {
    process.has_run_out = true;
    if (is("spins-without-descriptors")) {
        return;
    }
    if (is("stops-without-descriptors")) {
        process.has_stopped = true;
    } else if (is("dies-without-descriptors")) {
        std::fputs("accept: Too many open files\n", stderr);
        ::_exit(1);
    } else if (is("evicts-others")) {
        process.evicts = true;
    } else if (spare) {
        spare.close();
        Descriptor{::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)}.close();
        spare = Descriptor{keep_descriptor()};
        return;
    }
    sleep_for(is("pauses-without-descriptors") ? 500ms : 10ms); // some connection will end
}

/// What it prints of a client that has come.
inline void log_client() {
    if (is("logs-clients") || is("dies-without-reader")) {
        std::fputs("a client has come\n", stderr);
    }
    if (is("logs-without-waiting")) {
        pollfd state{STDERR_FILENO, POLLOUT, 0};
        if (::poll(&state, 1, 0) > 0 && state.revents == POLLOUT) {
            std::fputs("a client has come\n", stderr);
        }
    }
}
