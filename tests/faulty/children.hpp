// The processes that it starts, and does not need.

#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "behaviours.hpp"
#include "sockets.hpp"

inline void leave_child() {
    if (::fork() == 0) {
        ::signal(SIGTERM, SIG_IGN);
        hang();
    }
}

inline void start_helper() {
    const auto child = ::fork();
    if (child == 0) {
        if (::fork() == 0) {
            ::signal(SIGTERM, SIG_IGN);
            sleep_for(200ms);
        }
        ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
}

inline void start_child() {
    if (::fork() == 0) {
        ::signal(SIGTERM, SIG_IGN);
        if (is("leaves-child")) {
            ::setsid();
            hang();
        }
        sleep_for(200ms);
        ::_exit(0);
    }
}
