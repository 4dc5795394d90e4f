/* The least that a hello run of socat over four combinations can be: for each of them listen, start
 * socat, poll connect every 200 microseconds, twice five bytes each way, close, end of stream, then
 * SIGTERM, wait. No checks, no deadlines, fixed ports: run it in a network of its own (127.0.0.1
 * and ::1). Prints what a combination takes on the average, so that one sees what nobody can save.
 * With any argument it does nothing: that is what starting a program takes.
 */

#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char** environ;

static double spawned, listening, conversed, ended; /* milliseconds, of all combinations */

/* Adds what has passed since the last time to `sum`. */
static void lap(double* sum) {
    static struct timespec before;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (sum != NULL) {
        *sum += (double)(now.tv_sec - before.tv_sec) * 1e3 +
                (double)(now.tv_nsec - before.tv_nsec) / 1e6;
    }
    before = now;
}

static void require(int true_or_exit, const char* what) {
    if (!true_or_exit) {
        perror(what);
        exit(1);
    }
}

static socklen_t loopback(int family, int port, struct sockaddr_storage* address) {
    memset(address, 0, sizeof *address);
    if (family == 4) {
        struct sockaddr_in* in = (struct sockaddr_in*)address;
        in->sin_family = AF_INET;
        in->sin_port = htons((unsigned short)port);
        in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return sizeof *in;
    }
    struct sockaddr_in6* in6 = (struct sockaddr_in6*)address;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons((unsigned short)port);
    in6->sin6_addr = in6addr_loopback;
    return sizeof *in6;
}

static int dial(int family, const struct sockaddr_storage* address, socklen_t length) {
    for (int tries = 0; tries < 50000; ++tries) {
        const int client = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(client, (const struct sockaddr*)address, length) == 0) {
            return client;
        }
        close(client);
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
    return -1;
}

/* Who speaks first also hears the end of the stream from the other one. */
static void converse(int listener, int from, const struct sockaddr_storage* address,
                     socklen_t length, int server_first) {
    const int client = dial(from == 4 ? AF_INET : AF_INET6, address, length);
    require(client >= 0, "connect");
    if (server_first) { /* the first one, which waits for the tool */
        lap(&listening);
    }
    const int server = accept(listener, NULL, NULL);
    require(server >= 0, "accept");
    const int first = server_first ? server : client;
    const int second = server_first ? client : server;
    char buffer[5];
    require(write(first, "Hello", 5) == 5, "write");
    require(recv(second, buffer, 5, MSG_WAITALL) == 5, "read");
    require(write(second, "Hello", 5) == 5, "write");
    require(recv(first, buffer, 5, MSG_WAITALL) == 5, "read");
    close(second);
    require(recv(first, buffer, 1, 0) == 0, "end of stream");
    close(first);
}

static void run_pair(int from, int to, int port) {
    struct sockaddr_storage address;
    const int on = 1;
    const int listener = socket(to == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    socklen_t length = loopback(to, port + 1, &address);
    require(bind(listener, (struct sockaddr*)&address, length) == 0, "bind");
    require(listen(listener, 5) == 0, "listen");

    const char* const hosts[2] = {"127.0.0.1", "[::1]"};
    char source[100];
    char target[100];
    snprintf(source, sizeof source, "TCP%d-LISTEN:%d,bind=%s,reuseaddr,fork", from, port,
             hosts[from == 6]);
    snprintf(target, sizeof target, "TCP%d:%s:%d,bind=%s", to, hosts[to == 6], port + 1,
             hosts[to == 6]);
    char* argv[] = {"socat", source, target, NULL};
    pid_t pid = 0;
    lap(NULL);
    require(posix_spawnp(&pid, "socat", NULL, NULL, argv, environ) == 0, "socat");
    lap(&spawned);

    length = loopback(from, port, &address);
    converse(listener, from, &address, length, 1);
    converse(listener, from, &address, length, 0);
    close(listener);
    lap(&conversed);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    lap(&ended);
}

int main(int argc, char** argv) {
    (void)argv;
    if (argc > 1) {
        return 0;
    }
    run_pair(4, 4, 6374);
    run_pair(4, 6, 6376);
    run_pair(6, 4, 6378);
    run_pair(6, 6, 6380);
    printf(
        "fork and exec %.2f, until it listens %.2f, two conversations %.2f, "
        "its end %.2f ms\n",
        spawned / 4, listening / 4, conversed / 4, ended / 4);
    return 0;
}
