// A program that does what its arguments say, one after the other: see `commands` below. It exits
// with status 0 after the last one, and by SIGALRM if a test should ever leave it behind.

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr unsigned lifetime_in_seconds = 100;
constexpr int failed = 120;

std::deque<std::string> words;

std::string next_word() {
    if (words.empty()) {
        std::cerr << "child: an argument is missing\n";
        std::_Exit(failed);
    }
    auto word = words.front();
    words.pop_front();
    return word;
}

int next_number() {
    return std::stoi(next_word());
}

void require(bool condition, const char* what) {
    if (!condition) {
        std::cerr << "child: " << what << ": " << std::strerror(errno) << '\n';
        std::_Exit(failed);
    }
}

void write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const auto count = ::write(fd, text.data(), text.size());
        require(count > 0, "write");
        text.remove_prefix(static_cast<std::size_t>(count));
    }
}

void sleep_for(int milliseconds) {
    timespec rest{.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1'000'000L};
    while (::nanosleep(&rest, &rest) == -1 && errno == EINTR) {
    }
}

[[noreturn]] void wait_for_ever() {
    for (;;) {
        ::pause();
    }
}

bool exists(const char* path) {
    struct stat info {};
    return ::stat(path, &info) == 0;
}

// What the handlers of SIGTERM need.
volatile sig_atomic_t slowness = 0;
std::array<char, 4096> path_for_handler{};
std::array<char, 64> text_for_handler{};

void set(auto& array, const std::string& text) {
    require(text.size() < array.size(), "text too long");
    text.copy(array.data(), text.size());
}

void handle_term_by(void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    require(::sigaction(SIGTERM, &action, nullptr) == 0, "sigaction");
}

int fifo = -1;
int listener = -1;

/// What follows a fork is the child's; what the child forks has a "parent" of its own.
void skip_to_parent() {
    for (int depth = 1; depth > 0;) {
        const auto word = next_word();
        depth += word.starts_with("fork") ? 1 : word == "parent" ? -1 : 0;
    }
}

struct ListenAddress {
    sockaddr_storage storage{};
    socklen_t length = 0;

    ListenAddress() = default;
    ListenAddress(const std::string& text, int port) {
        auto& ipv4 = reinterpret_cast<sockaddr_in&>(storage);
        auto& ipv6 = reinterpret_cast<sockaddr_in6&>(storage);
        if (::inet_pton(AF_INET, text.c_str(), &ipv4.sin_addr) == 1) {
            storage.ss_family = AF_INET;
            ipv4.sin_port = htons(static_cast<in_port_t>(port));
            length = sizeof ipv4;
        } else {
            require(::inet_pton(AF_INET6, text.c_str(), &ipv6.sin6_addr) == 1, "inet_pton");
            storage.ss_family = AF_INET6;
            ipv6.sin6_port = htons(static_cast<in_port_t>(port));
            length = sizeof ipv6;
        }
    }

    [[nodiscard]] sockaddr* data() { return reinterpret_cast<sockaddr*>(&storage); }
};

const std::map<std::string, std::function<void()>> commands{
    // --- The end
    {"exit", [] { std::_Exit(next_number()); }},
    {"kill",
     [] { // N: by a signal to itself
         const rlimit no_core{};
         ::setrlimit(RLIMIT_CORE, &no_core);
         const int number = next_number();
         ::signal(number, SIG_DFL);
         ::kill(::getpid(), number);
     }},
    {"wait", wait_for_ever},
    {"spin",
     [] { // until somebody ends it, but no longer than a minute of the CPU
         const rlimit minute{.rlim_cur = 60, .rlim_max = 60};
         ::setrlimit(RLIMIT_CPU, &minute);
         for (volatile bool busy = true; busy;) {
         }
     }},
    {"sleep", [] { sleep_for(next_number()); }}, // N milliseconds

    // --- Output
    {"out", [] { write_all(1, next_word()); }},
    {"err", [] { write_all(2, next_word()); }},
    {"ready", [] { write_all(1, "ready\n"); }},
    {"flood",
     [] { // N KiB to each of both, first lines and last lines marked
         const int count = next_number();
         write_all(1, "first out\n");
         write_all(2, "first err\n");
         const std::string block(1024, 'x');
         for (int i = 0; i < count; ++i) {
             write_all(1, block);
             write_all(2, block);
         }
         write_all(1, "\nlast out\n");
         write_all(2, "\nlast err\n");
     }},
    {"endless",
     [] {
         for (;;) {
             write_all(1, "y\n");
         }
     }},

    // --- What it was started with
    {"args",
     [] { // the rest of its arguments
         while (!words.empty()) {
             std::cout << '[' << next_word() << "]\n";
         }
     }},
    {"env",
     [] {
         const char* value = std::getenv(next_word().c_str());
         std::cout << (value == nullptr ? "(none)" : value) << '\n';
     }},
    {"directory",
     [] {
         std::array<char, 4096> buffer{};
         require(::getcwd(buffer.data(), buffer.size()) != nullptr, "getcwd");
         std::cout << buffer.data() << '\n';
     }},
    {"input",
     [] { // how much there is on its standard input, a failure counting as -1
         std::array<char, 16> buffer{};
         std::cout << ::read(0, buffer.data(), buffer.size()) << '\n';
     }},
    {"descriptors",
     [] {
         DIR* directory = ::opendir("/proc/self/fd");
         require(directory != nullptr, "opendir");
         while (const dirent* entry = ::readdir(directory)) {
             const std::string_view name{entry->d_name};
             if (name[0] != '.' && name != std::to_string(::dirfd(directory))) {
                 std::cout << name << ' ';
             }
         }
         ::closedir(directory);
         std::cout << '\n';
     }},
    {"signals",
     [] { // those that are blocked and those that are ignored
         std::ifstream status{"/proc/self/status"};
         for (std::string line; std::getline(status, line);) {
             if (line.starts_with("SigBlk:") || line.starts_with("SigIgn:")) {
                 std::cout << line << '\n';
             }
         }
     }},
    {"group",
     [] { std::cout << (::getpgrp() == ::getpid() ? "leads a group" : "is in a group") << '\n'; }},

    // --- Signals
    {"ignore", [] { ::signal(next_number(), SIG_IGN); }},
    {"end-slowly",
     [] { // N: it takes N milliseconds to exit after SIGTERM
         slowness = next_number();
         handle_term_by([](int) {
             sleep_for(slowness);
             std::_Exit(0);
         });
     }},
    {"end-the-second-time",
     [] { // it exits when SIGTERM comes again
         slowness = 0;
         handle_term_by([](int) {
             if (slowness == 1) {
                 std::_Exit(0);
             }
             slowness = 1;
         });
     }},
    {"end-noting",
     [] { // PATH TEXT: SIGTERM makes it append the text to a file and exit
         set(path_for_handler, next_word());
         set(text_for_handler, next_word());
         handle_term_by([](int) {
             const int fd =
                 ::open(path_for_handler.data(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
             write_all(fd, text_for_handler.data());
             std::_Exit(0);
         });
     }},
    {"end-when",
     [] { // PATH: after SIGTERM it exits when there is such a file
         set(path_for_handler, next_word());
         handle_term_by([](int) {
             while (!exists(path_for_handler.data())) {
                 sleep_for(1);
             }
             std::_Exit(0);
         });
     }},
    {"stop", [] { ::raise(SIGSTOP); }},

    // --- Files
    {"close", [] { ::close(next_number()); }},
    {"create",
     [] { // PATH
         const int fd = ::open(next_word().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
         require(fd != -1, "create");
         ::close(fd);
     }},
    {"await",
     [] { // PATH: until there is such a file
         const auto path = next_word();
         while (!exists(path.c_str())) {
             sleep_for(1);
         }
     }},
    {"hold",
     [] { // PATH of a FIFO, to which it writes a byte: as long as this process and its
          // children live, and no longer, the FIFO's reader sees no end of file
         fifo = ::open(next_word().c_str(), O_WRONLY | O_CLOEXEC);
         require(fifo != -1, "open the FIFO");
         write_all(fifo, "!");
     }},

    // --- Children: what follows is theirs until "parent"
    {"fork",
     [] {
         const pid_t pid = ::fork();
         require(pid != -1, "fork");
         if (pid == 0) {
             ::alarm(lifetime_in_seconds);
         } else {
             skip_to_parent();
         }
     }},
    {"fork-twice",
     [] { // so that the child loses its parent, and is nobody's but the subreaper's
         const pid_t between = ::fork();
         require(between != -1, "fork");
         if (between != 0) {
             require(::waitpid(between, nullptr, 0) == between, "waitpid");
             skip_to_parent();
         } else if (::fork() != 0) {
             std::_Exit(0);
         } else {
             ::alarm(lifetime_in_seconds);
         }
     }},
    {"own-group", [] { require(::setpgid(0, 0) == 0, "setpgid"); }},
    {"leave-group", [] { require(::setsid() != -1, "setsid"); }},
    {"say-pid", [] { write_all(1, "pid " + std::to_string(::getpid()) + "\n"); }},

    {"parent", [] { std::_Exit(0); }},

    // --- Who it is
    {"overwrite-environment",
     [] { // as programs do that show a title
         for (char** entry = environ; *entry != nullptr; ++entry) {
             std::memset(*entry, 0, std::strlen(*entry));
         }
     }},
    {"become-root", [] { require(::setresuid(0, 0, 0) == 0, "setresuid"); }},
    {"exec",
     [] { // PROGRAM and the rest of the arguments: it becomes that
         std::vector<char*> argv;
         std::transform(words.begin(), words.end(), std::back_inserter(argv),
                        [](std::string& word) { return word.data(); });
         argv.push_back(nullptr);
         ::execv(argv[0], argv.data());
         require(false, "execv");
     }},

    // --- Network
    {"bind",
     [] { // ADDRESS PORT: what "listen" and "say-port" are about from now on
         const auto text = next_word();
         ListenAddress address{text, next_number()};
         listener = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
         require(listener != -1, "socket");
         require(::bind(listener, address.data(), address.length) == 0, "bind");
     }},
    {"bind-udp",
     [] { // ADDRESS PORT
         const auto text = next_word();
         ListenAddress address{text, next_number()};
         const int fd = ::socket(address.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
         require(fd != -1, "socket");
         require(::bind(fd, address.data(), address.length) == 0, "bind");
     }},
    {"say-port",
     [] {
         ListenAddress address;
         address.length = sizeof address.storage;
         require(::getsockname(listener, address.data(), &address.length) == 0, "getsockname");
         const auto port = address.storage.ss_family == AF_INET
                               ? reinterpret_cast<sockaddr_in&>(address.storage).sin_port
                               : reinterpret_cast<sockaddr_in6&>(address.storage).sin6_port;
         write_all(1, "port " + std::to_string(ntohs(port)) + ".\n");
     }},
    {"listen", [] { require(::listen(listener, 16) == 0, "listen"); }},
    {"send",
     [] { // IPv4-ADDRESS PORT TEXT: on a new connection, which stays open
         sockaddr_in address{};
         address.sin_family = AF_INET;
         require(::inet_pton(AF_INET, next_word().c_str(), &address.sin_addr) == 1, "inet_pton");
         address.sin_port = htons(static_cast<in_port_t>(next_number()));
         const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
         require(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0,
                 "connect");
         write_all(fd, next_word());
     }},
};

} // namespace

int main(int argc, char** argv) {
    ::alarm(lifetime_in_seconds);
    words.assign(argv + 1, argv + argc);
    while (!words.empty()) {
        const auto word = next_word();
        const auto command = commands.find(word);
        if (command == commands.end()) {
            std::cerr << "child: what is '" << word << "'?\n";
            return failed;
        }
        command->second();
        std::cout.flush();
    }
}
