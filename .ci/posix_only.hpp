// Included before all else, it takes away what Linux has and other systems have not, after the
// headers of the system and of the dependencies, which may use it: what still names it does not
// compile.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/ssl.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <catch2/catch_all.hpp>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <thread>

// macOS has an option of the socket in its place.
#undef MSG_NOSIGNAL
#define SO_NOSIGPIPE 0x1022

#undef O_PATH
#undef O_TMPFILE
#undef SOCK_CLOEXEC
#undef SOCK_NONBLOCK
#undef SOCK_SEQPACKET
#undef TCP_INFO
#undef TCP_QUICKACK
#pragma GCC poison O_PATH O_TMPFILE SOCK_CLOEXEC SOCK_NONBLOCK SOCK_SEQPACKET TCP_INFO TCP_QUICKACK
#pragma GCC poison accept4 close_range dup3 execvpe epoll_create1 epoll_wait eventfd getrandom \
    inotify_init1
#pragma GCC poison memfd_create mkostemp mremap pidfd_open pipe2 ppoll prctl program_invocation_name
#pragma GCC poison secure_getenv setns setresuid sigtimedwait signalfd strchrnul syscall tgkill \
    timerfd_create
#pragma GCC poison unshare vfork
