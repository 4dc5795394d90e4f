#pragma once

// Where the library is defined. By default every function that is not a template is `inline`, and a
// file that includes a header has all of it. A program that defines TEST_TUNNEL_COMPILED in all of
// its files gets declarations only, which takes a fraction of the time to compile; one file of it
// then defines TEST_TUNNEL_IMPLEMENTATION, too, and includes all headers that are used anywhere.
// The CMake targets do both.

#if !defined(TEST_TUNNEL_COMPILED)
#define TEST_TUNNEL_INLINE inline
#define TEST_TUNNEL_DEFINES 1
#elif defined(TEST_TUNNEL_IMPLEMENTATION)
#define TEST_TUNNEL_INLINE
#define TEST_TUNNEL_DEFINES 1
#else
#define TEST_TUNNEL_INLINE
#define TEST_TUNNEL_DEFINES 0
#endif
