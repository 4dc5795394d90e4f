#pragma once

// What only Linux has (network namespaces, pidfd, abstract sockets, the parent-death signal) is
// used behind this; with TEST_TUNNEL_POSIX_ONLY defined Linux itself gets the portable ways.
#if defined(__linux__) && !defined(TEST_TUNNEL_POSIX_ONLY)
#define TEST_TUNNEL_LINUX 1
#else
#define TEST_TUNNEL_LINUX 0
#endif
