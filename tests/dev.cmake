# What a developer of this project builds with; the options come before -C:
#
#   cmake -B build -C tests/dev.cmake                             g++
#   cmake -B build-clang -D CLANG=ON -C tests/dev.cmake           clang
#   cmake -B build-sanitize -D SANITIZE=ON -C tests/dev.cmake     clang, its address and undefined-behaviour
#                                                                 sanitizers
#
# Each in a directory of its own: one that was built in keeps its compiler and its flags.

set(CMAKE_COMPILE_WARNING_AS_ERROR ON CACHE BOOL "Warnings are errors")
set(CMAKE_EXPORT_COMPILE_COMMANDS ON CACHE BOOL "For clang-tidy and editors")
if(CLANG OR SANITIZE)
    set(CMAKE_CXX_COMPILER clang++-16 CACHE FILEPATH "The version that CI has")
    set(CMAKE_C_COMPILER clang-16 CACHE FILEPATH "The version that CI has")
endif()
if(SANITIZE)
    # With line numbers only: that takes half the time to compile. Without vptr, which needs a descriptor
    # to look at memory, and is wrong where a test has left none.
    set(CMAKE_CXX_FLAGS
        "-g1 -fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all"
        CACHE STRING "Finds mistakes while the tests run")
endif()
if((CLANG OR SANITIZE) AND NOT CMAKE_CXX_COMPILER MATCHES "clang"
    OR SANITIZE AND NOT CMAKE_CXX_FLAGS MATCHES "-fsanitize")
    message(FATAL_ERROR "this directory has another compiler, or flags, already: take an empty one")
endif()
