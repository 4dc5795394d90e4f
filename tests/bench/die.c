/* A tool that ends: after as many milliseconds as its argument says it prints the monotonic clock,
 * in nanoseconds, and exits with status 1.
 */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char** argv) {
    const long delay = argc > 1 ? atol(argv[1]) : 0;
    struct timespec now = {.tv_sec = delay / 1000, .tv_nsec = delay % 1000 * 1000000};
    nanosleep(&now, NULL);
    clock_gettime(CLOCK_MONOTONIC, &now);
    dprintf(1, "died at %lld.\n", (long long)now.tv_sec * 1000000000 + now.tv_nsec);
    _exit(1);
}
